"""
Read the digest, the kind and the configuration of a tag or digest by the registry's HTTP API.

https://distribution.github.io/distribution/spec/api/#pulling-an-image-manifest
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.container.logins import Login
from cli.errors import FruitsError

if TYPE_CHECKING:
    from requests import Response, Session

# One image, and a list of several: https://github.com/opencontainers/image-spec/blob/main/media-types.md
IMAGE = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
INDEX = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")

LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")  # where docker, too, speaks plain HTTP
API_HOSTS = {"docker.io": "registry-1.docker.io"}
TIMEOUT_SECONDS = (10, 30)  # to connect, between two packets


@dataclass(frozen=True)
class ImageManifest:
    """What a registry has under a tag or digest."""

    digest: str
    media_type: str
    config: str = ""  # digest of the image's configuration; an index has none

    def holds(self, image_id: str) -> bool:
        """Return whether it is this local image. Docker's own store names images by configuration, containerd's by manifest."""
        return image_id in (self.config, self.digest)


def read_manifest(registry: str, repository: str, reference: str, login: Login | None) -> ImageManifest | None:
    """
    Return the manifest of a tag or a digest.

    None: there is no such image, or `login` may not read it; registries do not distinguish the two.

    Raises:
        FruitsError: no response from the registry, or another kind of response.
    """
    answer = _ask(registry, f"{repository}/manifests/{reference}", login)
    if answer.status_code in (401, 403, 404):
        return None
    if answer.status_code != 200:
        raise FruitsError(f"cannot read `{repository}:{reference}` from `{registry}`: HTTP status {answer.status_code}", "try again later")
    try:
        manifest = answer.json()
        kind = manifest.get("mediaType") or answer.headers.get("Content-Type", "")
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"  # by definition
        return ImageManifest(digest, kind, manifest.get("config", {}).get("digest", ""))
    except (ValueError, AttributeError) as error:
        raise FruitsError(
            f"`{registry}` did not return a manifest for `{repository}:{reference}`", "check that the address is a registry"
        ) from error


def read_config(registry: str, repository: str, reference: str, login: Login | None) -> dict[str, Any] | None:
    """
    Return the image's Config of `docker inspect`: user, environment, labels.

    None: no such image, an index, or one that `login` may not read. https://github.com/opencontainers/image-spec/blob/main/config.md

    Raises:
        FruitsError: no response from the registry, or another kind of response.
    """
    manifest = read_manifest(registry, repository, reference, login)
    if manifest is None or not manifest.config:
        return None
    answer = _ask(registry, f"{repository}/blobs/{manifest.config}", login)
    try:
        if answer.status_code != 200:
            raise ValueError(f"HTTP status {answer.status_code}")
        return dict(answer.json()["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise FruitsError(f"cannot read the configuration of `{repository}@{reference}` from `{registry}`", "try again later") from error


def _ask(registry: str, path: str, login: Login | None) -> Response:
    """Return the registry's response; `path` begins with the repository."""
    import requests

    scheme = "http" if LOOPBACK.fullmatch(registry) else "https"
    try:
        with requests.Session() as session:
            session.trust_env = scheme == "https"  # requests to this machine use no proxy
            return _get(session, f"{scheme}://{API_HOSTS.get(registry, registry)}/v2/{path}", login)
    except requests.RequestException as error:
        root: BaseException = error
        while root.__context__ is not None:  # requests and urllib3 wrap `Connection refused` in three sentences
            root = root.__context__
        why = getattr(root, "strerror", None) or root
        raise FruitsError(f"no response from `{registry}` ({why})", "check the network, then try again") from error


def _get(session: Session, url: str, login: Login | None) -> Response:
    basic = (login.username, login.password) if login else None
    headers = {"Accept": ", ".join(IMAGE + INDEX)}
    answer = session.get(url, headers=headers, auth=basic, timeout=TIMEOUT_SECONDS)
    challenge = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code != 401 or not challenge.lower().startswith("bearer"):
        return answer
    # https://distribution.github.io/distribution/spec/auth/token/
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    wanted = {name: fields[name] for name in ("service", "scope") if name in fields}
    given = session.get(fields.get("realm", ""), params=wanted, auth=basic, timeout=TIMEOUT_SECONDS)
    if given.status_code != 200:
        return answer
    token = given.json().get("token") or given.json().get("access_token")
    return session.get(url, headers={**headers, "Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS)
