"""`fruitsctl teach`: photos with the right label, added to INPUT and to the run that `identify` compares with. No Spark, no Java."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import FruitsError
from cli.photos.identifier import open_identifier
from cli.photos.lessons import LabelledPhoto, labelled_photos, without_metadata
from cli.settings.config import settings
from cli.ui import run_files
from cli.ui.output import emit, progress_bar, say
from job.contract.errors import JobError
from job.contract.records import counted

SHOWN = 10  # of what was not taught


def teach(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO...", help="Image files, or folders with one sub-folder per label; `-` reads one from stdin."),
    ],
    label: Annotated[str | None, typer.Option(metavar="LABEL", help="What they show. [default: the name of each photo's folder]")] = None,
    output: Annotated[str | None, typer.Option(help="OUTPUT of the run to teach. [or fruits.toml, or the last local run]")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN_ID", help="Another run than the newest.")] = None,
    with_metadata: Annotated[bool, typer.Option("--with-metadata", help="Keep place, time, camera and names in the copies.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taught; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Teach photos with their right label: `identify` uses them at once.

    Copies without metadata go to INPUT, their features and scores to OUTPUT; the PCA stays. A later run uses them as all other photos,
    and `forget` erases them. Exits 1 if photos could not be taught; the others are.
    """
    given = list(labelled_photos(photos, label))
    usable, refused = (given, []) if with_metadata else _stripped(given)
    run_files.export_aws_settings(settings())
    identifier = open_identifier(output, run, second_opinion=False)
    from job.product.teach import Lesson, Taught, check_label
    from job.product.teach import teach as teach_run

    try:
        for photo in given:
            check_label(photo.label)
        if dry_run or not usable:
            result = Taught(identifier.gallery.run_id, "", refused=[])
        else:
            with progress_bar("Teach photos", "photos") as progress:
                result = teach_run(identifier, [Lesson(*photo) for photo in usable], progress)
    except JobError as error:
        raise FruitsError(str(error), error.hint, error.code) from error
    refused = sorted([*refused, *result.refused])
    if dry_run:
        text = "\n".join([*(f"{photo.source} -> {photo.label}" for photo in usable), f"{counted(len(usable), 'photos')} to teach"])
    else:
        already = f", {len(result.already):,} known already" if result.already else ""
        text = f"{counted(len(result.added), 'photos')} taught to run {result.run_id}{already}"
    emit(asdict(result) | {"refused": refused, "planned": len(usable) if dry_run else 0}, text, as_json)
    if refused:
        for source, reason in refused[:SHOWN]:
            say(f"not taught: {source}: {reason}")
        raise FruitsError(
            f"`{len(refused)}` of {counted(len(given), 'photos')} {'was' if len(given) == 1 else 'were'} not taught",
            "save them as JPEG, then run the command again: photos that were taught are skipped",
        )


def _stripped(photos: list[LabelledPhoto]) -> tuple[list[LabelledPhoto], list[tuple[str, str]]]:
    """Return the photos without metadata, and source and reason of those from which it cannot be removed."""
    usable, refused = [], []
    for photo in photos:
        stripped = without_metadata(photo)
        if isinstance(stripped, str):
            refused.append((photo.source, stripped))
        else:
            usable.append(stripped)
    return usable, refused
