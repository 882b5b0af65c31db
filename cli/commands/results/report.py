"""`fruitsctl report`: the page about a run, opened; from OUTPUT on disk or on S3."""

from __future__ import annotations

import json
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import FruitsError, UsageError
from cli.settings.config import settings
from cli.ui import report_copies, run_files
from cli.ui.output import emit, say
from job.contract.uris import is_s3, join, local_path, shown

if TYPE_CHECKING:
    from boto3.session import Session

MISSING = ("NoSuchKey", "NoSuchBucket", "404")


def report(
    run_id: Annotated[str | None, typer.Argument(metavar="RUN_ID", help="[default: the newest run of OUTPUT]", show_default=False)] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="OUTPUT", help="Folder or s3://bucket/prefix that holds the run. [or fruits.toml, or the last local run]"),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Rewrite the page from the results of the run first.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print where it is, open nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Where it is as JSON on stdout; opens nothing.")] = False,
) -> None:
    """Open the page about a run: map, photos, mistakes, times.

    One file that needs no network: pass it on as it is. Photos in it are small, and without place, time or camera.
    """
    where = run_files.output_of(output, settings())
    session = run_files.session() if is_s3(where) else None
    wanted = run_id or newest(where, session)
    if rebuild:
        write_again(where, wanted)
    file = fetched(where, wanted, session)
    emit({"run_id": wanted, "report": join(where, "runs", wanted, "report.html"), "file": str(file)}, str(file), as_json)
    if not (no_open or as_json) and not webbrowser.open(file.as_uri()):
        say("note: no browser found, open the file in a browser")


def newest(where: str, session: Session | None) -> str:
    """
    Return the newest run.

    Raises:
        FruitsError: OUTPUT has no complete run, or cannot be read.
    """
    none = FruitsError(f"there is no finished run in `{shown(where)}`", "create one with `fruitsctl run INPUT OUTPUT --local`")
    pointer: dict[str, str] = json.loads(read(join(where, "latest.json"), session, none))
    return pointer["run_id"]


def fetched(where: str, run_id: str, session: Session | None) -> Path:
    """
    Return the page as a local file; a page on S3 is copied.

    Raises:
        FruitsError: there is no such run, or it has no page.
    """
    no_run = FruitsError(f"there is no finished run `{run_id}` in `{shown(where)}`", "omit RUN_ID to use the newest run")
    no_page = FruitsError(f"run `{run_id}` has no report", "add --rebuild to write one")
    read(join(where, "runs", run_id, "manifest.json"), session, no_run)
    uri = join(where, "runs", run_id, "report.html")
    content = read(uri, session, no_page)
    if not is_s3(uri):
        return Path(local_path(uri))
    return report_copies.copied(run_id, content)


def write_again(where: str, run_id: str) -> None:
    """
    Write the page again.

    Raises:
        UsageError: this installation lacks the extra [job].
        FruitsError: there is no such run, or something that the page needs cannot be read.
    """
    if find_spec("jinja2") is None or find_spec("pyarrow") is None:
        raise UsageError("the extra `job` is not installed", "run `uv tool install '.[job]'` in the checkout")
    from job.contract.errors import JobError
    from job.product.report.report import ERRORS, rebuild

    config = settings()
    if is_s3(where):
        run_files.export_aws_settings(config)
    try:
        rebuild(where, run_id, config.cache)
    except JobError as error:
        raise FruitsError(str(error), error.hint, error.code) from error
    except ERRORS as error:
        raise FruitsError(f"cannot write the report of run `{run_id}`: {error}", "fix the cause, then run the command again") from error


def read(uri: str, session: Session | None, missing: FruitsError) -> bytes:
    """Return the file at `uri`. Raise `missing` if it does not exist, FruitsError if it cannot be read."""
    try:
        return run_files.read(uri, session)
    except FruitsError as error:
        cause = error.__cause__
        code = getattr(cause, "response", {}).get("Error", {}).get("Code")
        if isinstance(cause, (FileNotFoundError, NotADirectoryError)) or code in MISSING:
            raise missing from error
        raise
