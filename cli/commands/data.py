"""`fruitsctl data`: photos into a bucket."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.config import settings
from cli.errors import FruitsError, UsageError
from cli.examples import examples
from cli.output import emit, progress_bar, say
from job.uris import bucket_and_key, from_text, is_s3, join

SHOWN = 5  # of what was not sent

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring photos into a bucket.")


@app.callback()
def data() -> None:
    pass


@app.command(epilog=examples("data push"))
def push(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="With one sub-folder per label.")],
    destination: Annotated[str, typer.Argument(metavar="S3_URI", help="s3://bucket/prefix, in the European Union.")],
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Without place, time, camera and names; every pixel stays as it is.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Upload photos that are not there yet; exits 3 if the bucket is outside the European Union.

    Run it again to resume after an interruption. Nothing is deleted. Exits 1 if photos could not be sent.
    """
    from cli import buckets, photo_push
    from cli.credentials import aws_session

    uri = from_text(destination)
    if not is_s3(uri):
        raise UsageError(f"`{destination}` is not an s3:// address", "give a bucket and a prefix, for example s3://bucket/photos")
    bucket, _ = bucket_and_key(uri)
    photos, result = photo_push.find(source, uri)
    where = "--serverless" if bucket.startswith(f"{settings().project}-") else "--local"  # the stack's own bucket
    following = f"fruitsctl run {shlex.quote(uri)} {shlex.quote(join('s3://' + bucket, 'out'))} {where}"
    client = buckets.client_for(aws_session(), bucket)
    if dry_run:
        size = sum(photo.path.stat().st_size for photo in photos)
        emit(
            asdict(result) | {"destination": uri, "bytes": size},
            "\n".join(f"{photo.path} -> s3://{bucket}/{photo.key}" for photo in photos) + f"\n{len(photos):,} photos, {size / 1e6:,.1f} MB",
            as_json,
        )
        return
    with progress_bar("Upload photos", "photos") as progress:
        result = photo_push.push(client, uri, photos, result, strip_metadata, progress)
    before = f", {result.already:,} already there" if result.already else ""
    text = f"{result.sent + result.already:,} photos in {uri} ({result.bytes / 1e6:,.1f} MB uploaded{before})"
    emit(asdict(result) | {"destination": uri, "next": following}, f"{text}\nnext: {following}", as_json)
    if result.refused:
        for path, reason in result.refused[:SHOWN]:
            say(f"not uploaded: {path}: {reason}")
        raise FruitsError(
            f"`{len(result.refused)}` of {result.photos:,} photos were not uploaded",
            "fix these files, then run the command again: photos already there are skipped",
        )
