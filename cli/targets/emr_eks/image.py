"""For which target an image in a registry was built, as its own labels say: asked of the registry, nothing is pulled."""

from __future__ import annotations

from typing import Any

from cli.aws.errors import client
from cli.container import ecr
from cli.container.logins import stored_login
from cli.container.manifest import read_config
from cli.errors import UsageError

BUILD = "run `fruitsctl image build --target eks` and `fruitsctl image push`, then add --image"


def check_target(session: Any, image: str) -> None:
    """
    Check that the image was built for this target.

    Raises:
        UsageError: there is no such image, or it was built for another target, such as EMR Serverless.
        RefusedError: the registry is outside the European Union.
        FruitsError: the registry refuses or gives no response.
    """
    repository_uri, _, digest = image.partition("@")
    registry, _, repository = repository_uri.partition("/")
    region = ecr.checked_region(registry)
    login = ecr.login(client(session, "ecr", region)) if region else stored_login(registry)
    config = read_config(registry, repository, digest, login)
    if config is None:
        raise UsageError(f"cannot find a single image `{image}`, or no permission to read it", BUILD)
    target = (config.get("Labels") or {}).get("fruitsctl.target")
    if target != "eks":
        raise UsageError(f"`{image}` was built for `{target or 'another target'}`, not for EMR on EKS", BUILD)
