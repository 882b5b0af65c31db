"""Push a local image to a registry and return the digest that the registry then has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.container.docker import docker
from cli.container.ecr import region_of
from cli.container.logins import Login, logged_in, stored_login
from cli.container.manifest import INDEX, ImageManifest, read_manifest
from cli.errors import FruitsError, UsageError
from cli.settings.waiting import retry
from cli.ui.output import say

T = TypeVar("T")

# https://github.com/distribution/reference/blob/main/reference.go
HOST = re.compile(r"(?=.*[.:]|localhost)[a-z0-9.-]+(:\d+)?|\[[0-9a-f:]+\](:\d+)?")
REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

PAUSES_SECONDS = (2.0, 6.0, 18.0)  # before each further attempt; docker itself tries a layer five times
NETWORK = re.compile(
    r"connection (refused|reset)|broken pipe|\bEOF\b|timeout|timed out|deadline exceeded|request canceled|closed network connection"
    r"|no such host|name resolution|network is unreachable|no route to host|no response from"
    r"|HTTP status:? 5\d\d|\b50[0234]\b|\b429\b|toomanyrequests|blob upload (unknown|invalid)",
    re.I,
)
TAKEN = re.compile(r"immutable|cannot be overwritten", re.I)
UNKNOWN = re.compile(r"name unknown|repository .*(does not exist|not found)", re.I)
DENIED = re.compile(r"denied|unauthorized|not authorized|no basic auth|authentication required|forbidden", re.I)
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
ECR_PUSH = ("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage", "BatchGetImage")
ONE_MANIFEST = "build it with --provenance=false --sbom=false, as `fruitsctl image build` does"


@dataclass(frozen=True)
class ImageReference:
    """Where an image is pushed: registry, repository and tag."""

    registry: str  # host, and port
    repository: str  # path in the registry
    tag: str

    @property
    def repository_uri(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def name(self) -> str:
        return f"{self.repository_uri}:{self.tag}"


def split(address: str) -> tuple[str, str]:
    """
    Split `ghcr.io/alice/fruits` into (`ghcr.io`, `alice/fruits`); the second is "" for a registry alone.

    Raises:
        UsageError: it does not begin with the host name of a registry.
    """
    host, _, repository = address.partition("/")
    host = host.lower()  # host names are: the Region guard must not depend on how one is typed
    if not HOST.fullmatch(host):
        raise UsageError(f"`{address}` does not begin with a registry's host name", f"for Docker Hub use docker.io/{address}")
    return host, repository.rstrip("/")


def check_names(repository: str, tag: str | None) -> None:
    """Raise UsageError for a repository or tag that registries do not accept."""
    if not REPOSITORY.fullmatch(repository):
        raise UsageError(
            f"`{repository}` is not a valid repository name",
            "use lower-case letters, digits and - _ . between them; give the tag with --tag",
        )
    if tag is not None and not TAG.fullmatch(tag):
        raise UsageError(f"`{tag}` is not a valid tag", "use up to 128 letters, digits, and _ . - after the first character")


def short_id(image: Mapping[str, Any]) -> str:
    """Return a tag made of the image's id: tags are immutable, so each image needs its own."""
    return str(image["Id"]).removeprefix("sha256:")[:12]


def push(
    image: Mapping[str, Any], target: ImageReference, login: Login | None, sleep: Callable[[float], None] = time.sleep
) -> ImageManifest:
    """
    Push the image if the registry does not have it, and return its manifest under `target`.

    `image` is docker's description of it. A failing network is retried; a layer that has arrived is not sent twice, in this push or the
    next. With `login` docker's stored logins are neither read nor changed; without, they are used.

    Raises:
        UsageError: there is no docker, no response from its engine, or the tag belongs to another image.
        FruitsError: the image is an index; the registry refuses, gives no response, or has another image under that tag afterwards.
    """
    _refuse_index(image.get("Descriptor") or {}, target)
    try:
        return _retry_network(lambda: _attempt(image, target, login), sleep)
    except FruitsError as error:
        if error.hint:
            raise
        raise _push_error(str(error), target) from error


def _attempt(image: Mapping[str, Any], target: ImageReference, login: Login | None) -> ImageManifest:
    reader = login or stored_login(target.registry)
    # ECR refuses an immutable tag even with the same image: https://github.com/aws/containers-roadmap/issues/2179
    there = read_manifest(target.registry, target.repository, target.tag, reader)
    if there is not None and there.holds(image["Id"]):
        say(f"{target.name} already exists")
        return there
    with logged_in(target.registry, login) as variables:
        docker("tag", image["Id"], target.name)
        docker("push", target.name, env=variables, show=True)
    pushed = read_manifest(target.registry, target.repository, target.tag, reader)
    if pushed is None:
        raise FruitsError(f"`{target.name}` was pushed but cannot be read", "get permission to pull (ECR: ecr:BatchGetImage)")
    _refuse_index({"mediaType": pushed.media_type}, target)
    if not pushed.holds(image["Id"]):
        raise FruitsError(f"another image replaced `{target.name}` during the push", "choose another --tag")
    return pushed


def _retry_network(action: Callable[[], T], sleep: Callable[[float], None]) -> T:
    def passes(error: BaseException) -> bool:
        return isinstance(error, FruitsError) and not isinstance(error, UsageError) and bool(NETWORK.search(str(error)))

    def tell(error: BaseException, seconds: float) -> None:
        say(f"{error}\nRetrying in {seconds:.0f} s")

    return retry(action, passes, PAUSES_SECONDS, before=tell, sleep=sleep)


def _refuse_index(descriptor: Mapping[str, Any], target: ImageReference) -> None:
    if descriptor.get("mediaType") in INDEX:
        raise FruitsError(f"`{target.name}` is an image index; EMR needs a single manifest", ONE_MANIFEST)


def _push_error(said: str, target: ImageReference) -> FruitsError:
    """Return the error for a failed push, with a hint by docker's message."""
    if TAKEN.search(said):
        return UsageError(
            f"tag `{target.tag}` of `{target.repository_uri}` belongs to another image and is immutable: {said}", "choose another --tag"
        )
    if UNKNOWN.search(said):
        return UsageError(f"there is no repository `{target.repository_uri}`: {said}", "create it there, then push again")
    if DENIED.search(said):
        needed = "get the permissions " + ", ".join(f"ecr:{action}" for action in ECR_PUSH)
        return FruitsError(
            f"access denied by `{target.registry}`: {said}",
            needed if region_of(target.registry) else f"run `docker login {target.registry}`",
        )
    return FruitsError(f"push of `{target.name}` failed: {said}", "push again: layers already uploaded are skipped")
