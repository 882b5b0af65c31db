"""`fruitsctl data`: photos into a bucket."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import FruitsError, RefusedError, UsageError
from cli.settings.config import settings
from cli.settings.folders import local
from cli.ui.examples import examples
from cli.ui.output import emit, progress_bar, say
from job.contract.records import counted, plural_noun
from job.contract.uris import bucket_and_key, from_text, is_s3, join

if TYPE_CHECKING:
    from cli.photos.upload import UploadResult

SHOWN = 5  # of what was not sent

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring photos into a bucket.")


@app.callback()
def data() -> None:
    pass


def _refuse_exposed(keys: list[str], uri: str) -> None:
    """Raise RefusedError if photos with metadata would replace copies without, from which it was removed on purpose."""
    if not keys:
        return
    bucket, _ = bucket_and_key(uri)
    for key in keys[:SHOWN]:
        say(f"without metadata: s3://{bucket}/{key}")
    raise RefusedError(
        f"`{len(keys):,}` {plural_noun(len(keys), 'photos')} in `{uri}` would be replaced by copies with metadata: place, time, camera",
        "add --strip-metadata to keep it out, or --with-metadata to replace them",
    )


def _say_refused(result: UploadResult) -> None:
    for path, reason in result.refused[:SHOWN]:
        say(f"not uploaded: {path}: {reason}")


@app.command(epilog=examples("data push"))
def push(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="With one sub-folder per label.")],
    destination: Annotated[str, typer.Argument(metavar="S3_URI", help="s3://bucket/prefix, in the European Union.")],
    strip_metadata: Annotated[
        bool | None,
        typer.Option(
            "--strip-metadata/--with-metadata",
            help="Without place, time, camera and names; every pixel stays as it is. --with-metadata also replaces copies without them.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask the bucket and say what would be sent; send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Upload photos that are not in the bucket yet.

    Run it again to resume after an interruption. Nothing is deleted. Exits 1 if photos could not be sent, and 3, before any is sent, if
    the bucket is outside the European Union or photos with metadata would replace copies without.
    """
    from cli.aws import s3 as buckets
    from cli.aws.session import aws_session
    from cli.photos import upload

    folder = local(source, "give the local folder with the photos first, then the address")
    uri = from_text(destination)
    if not is_s3(uri):
        raise UsageError(f"`{destination}` is not an s3:// address", "give a bucket and a prefix, for example s3://bucket/photos")
    bucket, _ = bucket_and_key(uri)
    photos, result = upload.find_photos(folder, uri)
    where = "--serverless" if bucket.startswith(f"{settings().project}-") else "--local"  # the stack's own bucket
    following = f"fruitsctl run {shlex.quote(uri)} {shlex.quote(join('s3://' + bucket, 'out'))} {where}"
    client = buckets.client_for(aws_session(), bucket)
    with progress_bar("Compare photos", "photos") as progress:
        missing = upload.compare(client, uri, photos, result, bool(strip_metadata), progress)
    if dry_run:
        size = sum(photo.path.stat().st_size for photo in missing)
        lines = [f"{photo.path} -> s3://{bucket}/{photo.key}" for photo in missing]
        lines.append(f"{counted(len(missing), 'photos')}, {size / 1e6:,.1f} MB to upload; {result.already:,} already there")
        emit(asdict(result) | {"destination": uri, "bytes": size}, "\n".join(lines), as_json)
        _say_refused(result)
    if strip_metadata is None:
        _refuse_exposed(result.exposed, uri)
    if dry_run:
        return
    with progress_bar("Upload photos", "photos") as progress:
        upload.push(client, uri, missing, result, bool(strip_metadata), progress)
    before = f", {result.already:,} already there" if result.already else ""
    text = f"{counted(result.sent + result.already, 'photos')} in {uri} ({result.bytes / 1e6:,.1f} MB uploaded{before})"
    emit(asdict(result) | {"destination": uri, "next": following}, f"{text}\nnext: {following}", as_json)
    if result.refused:
        _say_refused(result)
        raise FruitsError(
            f"`{len(result.refused)}` of {counted(result.photos, 'photos')} {'was' if result.photos == 1 else 'were'} not uploaded",
            "fix these files, then run the command again: photos already there are skipped",
        )
