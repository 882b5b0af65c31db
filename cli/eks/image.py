"""For which target an image in a registry was built, as its own labels say: asked of the registry, nothing is pulled."""

from __future__ import annotations

from typing import Any

from cli import ecr
from cli.errors import FruitsError, UsageError
from cli.logins import Login, stored_login
from cli.manifest import API_HOSTS, LOOPBACK, _get, read_manifest
from cli.regions import refuse_outside_eu

BUILD = "fruitsctl image build --target eks, then `image push` it and name it by --image"


def check_target(session: Any, image: str) -> None:
    """
    Raises:
        UsageError: there is no such image, or it was built for another target, such as EMR Serverless.
        RefusedError: the registry is outside the European Union.
        FruitsError: the registry refuses or does not answer.
    """
    repository_uri, _, digest = image.partition("@")
    registry, _, repository = repository_uri.partition("/")
    region = ecr.region_of(registry)
    if region is not None:
        refuse_outside_eu(region)
    login = ecr.login(ecr.client(session, region)) if region else stored_login(registry)
    target = labels(registry, repository, digest, login).get("fruitsctl.target")
    if target != "eks":
        raise UsageError(f"`{image}` was built for `{target or 'something else'}`, not for EMR on EKS", BUILD)


def labels(registry: str, repository: str, digest: str, login: Login | None) -> dict[str, str]:
    """
    Raises:
        UsageError: there is no such image, or none that `login` may read.
        FruitsError: the registry does not answer, or gives something else.
    """
    import requests

    manifest = read_manifest(registry, repository, digest, login)
    if manifest is None or not manifest.config:
        raise UsageError(f"there is no single image `{registry}/{repository}@{digest}`, or you may not read it", BUILD)
    scheme = "http" if LOOPBACK.fullmatch(registry) else "https"
    url = f"{scheme}://{API_HOSTS.get(registry, registry)}/v2/{repository}/blobs/{manifest.config}"
    try:
        with requests.Session() as session:
            session.trust_env = scheme == "https"
            answer = _get(session, url, login)
            answer.raise_for_status()
            config = answer.json()["config"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise FruitsError(
            f"`{registry}` does not show the configuration of `{repository}@{digest}`", "run it again a little later"
        ) from error
    return dict(config.get("Labels") or {})
