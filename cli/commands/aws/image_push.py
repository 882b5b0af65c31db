"""`fruitsctl image push`: a local image to ECR, or to any other registry; prints the digest that runs will name."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws.regions import PARIS, refuse_outside_eu
from cli.errors import UsageError
from cli.settings.config import settings
from cli.ui.output import emit, say

if TYPE_CHECKING:
    from cli.container.logins import Login
    from cli.container.push import ImageReference


def push(
    registry: Annotated[
        str | None,
        typer.Argument(
            metavar="REGISTRY[/REPOSITORY]", help="Such as ghcr.io/alice/fruits. [default: ECR of your AWS account]", show_default=False
        ),
    ] = None,
    image: Annotated[str, typer.Option(metavar="NAME", help="The image's name on this machine.")] = "fruitsctl:serverless",
    region: Annotated[
        str | None, typer.Option(help=f"Of ECR, in the European Union. [default: AWS_REGION, fruits.toml, the profile, {PARIS}]")
    ] = None,
    repository: Annotated[str | None, typer.Option(help="Its name in the registry. [default: the project's]")] = None,
    tag: Annotated[str | None, typer.Option(help="[default: the image's own short id]")] = None,
    create_repository: Annotated[bool, typer.Option("--create-repository", help="Make the ECR repository if there is none.")] = False,
    kms_key: Annotated[str | None, typer.Option(metavar="ARN", help="Encrypt a repository made now with this key.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent where, send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Image, digest, tag and repository as JSON.")] = False,
) -> None:
    """Push an image to a registry.

    Exits 3 for an ECR registry outside the European Union; the place of other registries is not checked.
    """
    from cli.aws.errors import client
    from cli.aws.session import aws_session
    from cli.aws.session import region as region_of_settings
    from cli.container import ecr
    from cli.container import push as registries
    from cli.container.docker import inspect_image
    from cli.container.pushed import PushedImage, save_pushed

    host, path = registries.split(registry) if registry else (None, "")
    own_region = region or region_of_settings()
    aws_region = ecr.region_of(host) if host else own_region
    if aws_region is not None:
        refuse_outside_eu(aws_region)
    if registry and region:
        raise UsageError(f"`--region` cannot be used with `{registry}`", "remove --region: the address of an ECR registry has its Region")
    if kms_key and not create_repository:
        raise UsageError("`--kms-key` is given without `--create-repository`", "add --create-repository, or remove --kms-key")
    if path and repository:
        raise UsageError(f"two repositories given: `{path}` and `{repository}`", "remove --repository, or the path in REGISTRY")
    if create_repository and aws_region is None:
        raise UsageError(f"`{host}` is not ECR: fruitsctl cannot create its repositories", "remove --create-repository")
    path = path or repository or settings().project  # `infra up` makes the repository of that name
    registries.check_names(path, tag)
    local = inspect_image(image)

    session = aws_session(aws_region) if aws_region else None
    target = registries.ImageReference(host or ecr.own_registry(session, own_region), path, tag or registries.short_id(local))
    if dry_run:
        _show(image, local, target, aws_region, ecr.creation_requests(path, kms_key) if create_repository else {}, as_json)
        return
    login = _into_ecr(client(session, "ecr", aws_region), target, create_repository, kms_key) if aws_region else None
    manifest = registries.push(local, target, login)

    pushed = PushedImage(f"{target.repository_uri}@{manifest.digest}", manifest.digest, target.tag, target.repository_uri)
    emit(asdict(pushed), pushed.image, as_json)
    try:
        save_pushed(settings().state, pushed)
    except OSError as error:
        say(f"note: cannot save the digest for later commands: {error}")


def _into_ecr(client: Any, target: ImageReference, create: bool, kms_key: str | None) -> Login:
    """Return a login for the registry, in which the repository now exists."""
    from cli.container import ecr

    if not ecr.has_repository(client, target.registry, target.repository):
        if not create:
            raise UsageError(f"there is no repository `{target.repository_uri}`", "add --create-repository")
        ecr.create_repository(client, target.repository, kms_key)
        say(f"Created the repository {target.repository_uri}")
    return ecr.login(client)


def _show(
    image: str, local: dict[str, Any], target: ImageReference, region: str | None, creation: dict[str, dict[str, Any]], as_json: bool
) -> None:
    lines = [
        f"aws ecr {operation.replace('_', '-')} --region {region} --cli-input-json {shlex.quote(json.dumps(request))}"
        for operation, request in creation.items()
    ]
    lines += [f"docker tag {local['Id']} {target.name}", f"docker push {target.name}"]
    plan = {"image": image, "id": local["Id"], "bytes": local.get("Size"), "target": target.name, "repository": target.repository_uri}
    emit(plan | {"requests": creation}, "\n".join(lines), as_json)
