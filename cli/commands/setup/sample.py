"""`fruitsctl sample`: a small real data set for a first run."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import UsageError
from cli.photos import assets
from cli.photos.drawn.generated import generate_photos
from cli.settings.config import settings
from cli.settings.folders import local
from cli.ui.output import emit, progress_bar
from job.contract.locations import check_folder
from job.contract.records import counted


def sample(
    destination: Annotated[str, typer.Argument(help="Folder that receives one sub-folder per label.")] = "photos",
    images: Annotated[int, typer.Option(help="Photos in all.", min=1)] = assets.SAMPLE_IMAGES,
    classes: Annotated[int, typer.Option(help="Labels that they are spread over.", min=1)] = assets.SAMPLE_CLASSES,
    generated: Annotated[bool, typer.Option("--generated", help="Draw the photos instead: needs no network and no data.")] = False,
    seed: Annotated[int | None, typer.Option(help="With --generated: another number gives other photos. [default: 0]", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Get a small real data set, one folder per label, or draw one.

    Only the wanted photos are taken out of the published archive. Run it again after an interruption: it continues.
    FRUITS_ASSETS=DIR takes them from DIR/fruits-360-sample/ instead, without a network.
    """
    if seed is not None and not generated:
        raise UsageError("`--seed` has no effect without --generated", "add --generated or leave out --seed")
    folder = local(destination, "create a local folder, then `fruitsctl data push FOLDER s3://bucket/photos`")
    check_folder(str(folder))
    with progress_bar("Draw photos" if generated else "Get photos", "images") as progress:
        if generated:
            result = generate_photos(folder, images, classes, seed or 0, progress)
        else:
            result = assets.sample(folder, images, classes, settings().assets, progress)
    following = f"fruitsctl run {shlex.quote(str(folder))} out --local"
    before = f", {result.already:,} were there before" if result.already else ""
    what = f"{counted(result.images, 'photos')} of {counted(result.classes, 'fruits')}"
    text = f"{what} in {folder} ({result.bytes / 1e6:.1f} MB{before})\nnext: {following}"
    emit({"destination": str(folder), **asdict(result), "next": following}, text, as_json)
