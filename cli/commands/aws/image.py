"""`fruitsctl image`: build the job's image, hold it to every rule of the service, push it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.settings.config import environment, settings
from cli.settings.folders import local
from cli.ui.choices import Architecture, ImageTarget
from cli.ui.examples import examples
from cli.ui.output import emit, progress_bar, say
from job.contract.locations import check_input_folder

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Build, check and push the job's image.")

Image = Annotated[str, typer.Argument(help="The image's name on this machine.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


@app.command(epilog=examples("image build"))
def build(
    target: Annotated[ImageTarget, typer.Option(help="Service whose base image is used.")] = "serverless",
    base_image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Another base image, such as the simulated one.", envvar="BASE_IMAGE")
    ] = None,
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Its name. [default: fruitsctl:TARGET]")] = None,
    architecture: Annotated[Architecture, typer.Option(help="Architecture of the application.")] = "amd64",
    cache: Annotated[str | None, typer.Option(help="Layer cache of BuildKit, for CI: type=gha or type=registry,ref=….")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command, run nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build the image from the Dockerfile here, with verified weights."""
    from cli.container import build as image_build
    from cli.container.docker import docker, inspect_image
    from cli.photos import assets

    buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0 if not dry_run else True
    todo = image_build.plan(Path.cwd(), target, base_image, image, f"linux/{architecture}", buildx, cache)
    if dry_run:
        emit(asdict(todo), shlex.join(todo.command), as_json)
        return
    docker("version")
    config = settings()
    with progress_bar("Download weights", "bytes") as progress:
        weights = assets.weights(config.assets, config.cache, progress)
    image_build.build(todo, Path.cwd(), weights, environment())
    built = inspect_image(todo.image)
    size = f"{built['Size'] / 1e9:.2f} GB"
    following = f"fruitsctl image check {todo.image}"
    emit(
        {"image": todo.image, "id": built["Id"], "bytes": built["Size"], "base": todo.base, "next": following},
        f"{todo.image}  {built['Id']}  {size}\nnext: {following}",
        as_json,
    )


@app.command(epilog=examples("image check"))
def check(
    image: Image = "fruitsctl:serverless",
    base_image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Its base, if its label names another.")] = None,
    photos: Annotated[str | None, typer.Option(metavar="FOLDER", help="Folder of photos to embed in the container.")] = None,
    architecture: Annotated[Architecture, typer.Option(help="Architecture of the application.")] = "amd64",
    as_json: AsJson = False,
) -> None:
    """Check an image by the rules of EMR Serverless and EMR on EKS.

    Exits 1 if one is broken.
    """
    from cli.container.facts import gather
    from cli.container.rules import judge
    from cli.ui.checks import report

    folder = local(photos, "give a local folder of photos") if photos else None
    if folder:
        check_input_folder(str(folder))
    say(f"Checking {image}; this takes about a minute")
    report(
        judge(gather(image, base_image, folder, say), architecture),
        as_json,
        f"`{image}` fails checks",
        "follow the lines after `fix:`, then check again",
    )
