"""`fruitsctl teach`: photos with the right label, added to INPUT and to the run that `identify` compares with. No Spark, no Java."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.photos.identifier import open_identifier
from cli.photos.lessons import check_labels, labelled_photos, refuse_untaught, taught_to
from cli.settings.config import settings
from cli.ui import run_files
from cli.ui.output import emit
from job.contract.records import counted


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
    """Add photos to a run with their right label, for `identify`.

    Copies without metadata go to INPUT, their features and scores to OUTPUT; the PCA stays. A later run uses them as all other photos,
    and `forget` erases them. Exits 1 if photos could not be taught; the others are.
    """
    given = list(labelled_photos(photos, label))
    run_files.export_aws_settings(settings())
    identifier = open_identifier(output, run, second_opinion=False)
    check_labels(given)
    if dry_run:
        lines = [f"{photo.source} -> {photo.label}" for photo in given]
        planned = [{"photo": photo.source, "label": photo.label} for photo in given]
        emit({"planned": planned}, "\n".join([*lines, f"{counted(len(given), 'photos')} to teach"]), as_json)
        return
    result = taught_to(identifier, given, with_metadata)
    already = f", {len(result.already):,} known already" if result.already else ""
    emit(asdict(result), f"{counted(len(result.added), 'photos')} taught to run {result.run_id}{already}", as_json)
    refuse_untaught(result, len(given))
