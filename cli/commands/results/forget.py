"""`fruitsctl forget`: photos, and all that came from them, erased for good; a search that proves it, and a receipt."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import FruitsError, UsageError
from cli.settings import user
from cli.settings.config import Settings, environment, settings
from cli.targets.local import process as local
from cli.targets.local.run import credentials_for, merged, plan_local
from cli.targets.runs.launch import new_run_id
from cli.ui import report_copies, run_files
from cli.ui.output import Stages, emit, say
from job.contract.params import ForgetParams
from job.contract.records import Manifest, RecordError, counted, plural_noun
from job.contract.uris import bucket_and_key, from_text, is_s3, join, local_path, shown

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
SHOWN = 10  # addresses in the question
WHOLE = ("s3://", "s3a://", "file:///", "/")  # how an address in a list begins


def forget(
    uris: Annotated[list[str] | None, typer.Argument(metavar="[URI]...", help="Photos, as `uri` in the matrix has them, or paths.")] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(metavar="URI", help="All whose address begins so; end it with / for a folder. May be repeated.")
    ] = None,
    list_: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="A text file with one whole address a line: s3://, file:// or /path.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(metavar="180d", help="All that was taken in longer ago: days (d), hours (h), minutes (m), seconds (s).")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="OUTPUT", help="Folder or s3://bucket/prefix to clean. [or fruits.toml, or the last local run]"),
    ] = None,
    tombstone: Annotated[bool, typer.Option("--tombstone", help="Refuse the same photo if it comes back; a keyed hash is kept.")] = False,
    copies: Annotated[bool, typer.Option("--copies", help="Also the very same picture under other addresses.")] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Refit the PCA of published runs. Without it their manifests note that the old PCA is kept.")
    ] = False,
    logs: Annotated[
        str | None, typer.Option(metavar="URI", help="Folder with logs to search too. [default: s3://bucket/logs of OUTPUT's bucket]")
    ] = None,
    log_group: Annotated[str | None, typer.Option(metavar="NAME", help="Log group of CloudWatch to search too.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The receipt as JSON on stdout.")] = False,
) -> None:
    """Erase photos and all that came from them.

    The photo itself in all its versions, its features and rejects, its rows in every run, its picture in every report.
    Then everything left in OUTPUT is searched for it. Run the same command again to resume after an interruption.
    Exits 1 if an address is neither known in OUTPUT or its receipts nor a photo in the INPUT of one of its runs; the others are erased.
    """
    asked = {"uris": [from_text(uri) for uri in [*(uris or []), *_lines(list_)]], "prefixes": [_prefix(text) for text in prefix or []]}
    if not (asked["uris"] or asked["prefixes"] or retention):
        raise UsageError("no photos given", "give photos, --prefix, --list or --retention")
    config = settings()
    where = run_files.output_of(output, config)
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError("cannot ask for confirmation: stdin is not a terminal", "check with --dry-run, then add --yes")
    with local.scratch_folder() as scratch:
        targets = Path(scratch, "targets.json")
        targets.write_text(json.dumps(asked), encoding="utf-8")
        wanted = ForgetParams(
            output=where,
            run_id=new_run_id(),
            targets=str(targets),
            answer=str(Path(scratch, "answer.json")),
            by=f"{user.name() or os.getuid()}@{socket.gethostname()}",
            older_than=_seconds(retention) if retention else None,
            tombstone=tombstone,
            copies=copies,
            refit=refit,
            cache=str(config.cache),
            logs=from_text(logs) if logs else join(f"s3://{bucket_and_key(where)[0]}", "logs") if is_s3(where) else None,
            log_group=log_group,
        )
        if dry_run or not yes:
            plan = start(replace(wanted, dry_run=True), config, scratch)
            if dry_run:
                emit(plan, _planned(plan, where, refit), as_json)
                _refuse_unknown(plan["unknown"], where)
                return
            say(_planned(plan, where, refit))
            if not plan["images"]:
                _refuse_unknown(plan["unknown"], where)
                return
            _drop_what_was_typed()
            if not typer.confirm("Erase them permanently?", err=True):
                say("Nothing was erased.")
                raise typer.Exit(1)
        report_copies.remove()
        emit(done := start(wanted, config, scratch), _receipt(done, where), as_json)
        _refuse_unknown(done["unknown"], where)


def _refuse_unknown(unknown: list[str], where: str) -> None:
    """Raise FruitsError for addresses that neither OUTPUT nor the INPUT of a published run has."""
    if not unknown:
        return
    hint = "give the address as in column `uri` of the matrix; a folder needs --prefix"
    if len(unknown) == 1:
        raise FruitsError(f"`{shown(unknown[0])}` is not known here: {shown(where)} and the INPUT of its runs do not have it", hint)
    listed = "".join(f"\n  {line}" for line in _some(unknown))
    what = f"`{len(unknown):,}` {plural_noun(len(unknown), 'addresses')} are not known here"
    raise FruitsError(f"{what}: {shown(where)} and the INPUT of its runs do not have them:{listed}", hint)


def _some(uris: list[str]) -> list[str]:
    """Return the first addresses and the number of the others."""
    more = [f"and {len(uris) - SHOWN:,} more"] if len(uris) > SHOWN else []
    return [*map(shown, uris[:SHOWN]), *more]


def start(wanted: ForgetParams, config: Settings, scratch: str) -> dict[str, Any]:
    """
    Erase in a separate process on this machine and return its answer.

    Raises:
        FruitsError: it failed, or a trace is left. Its log stays.
    """
    log = Path(tempfile.gettempdir(), f"fruitsctl-{wanted.run_id}.log")
    todo = plan_local(wanted, config, log, "job.erasure")
    session = run_files.session() if wanted.log_group or any(map(is_s3, _places(wanted))) else None
    with credentials_for(session) as extra, Stages() as stages:
        outcome = local.start(
            todo,
            wanted.run_id,
            merged(environment(), extra),
            stages.show,
        )
    if outcome.code:
        raise FruitsError(outcome.message, outcome.hint or f"see the log {log}", outcome.code)
    log.unlink(missing_ok=True)
    answer: dict[str, Any] = json.loads(Path(wanted.answer).read_text(encoding="utf-8"))
    return answer


def _places(wanted: ForgetParams) -> Iterator[str]:
    """Yield the addresses that the erasure will read: OUTPUT, what is to be erased, and the INPUT of each run of a local OUTPUT."""
    yield wanted.output
    yield from chain.from_iterable(json.loads(Path(wanted.targets).read_text(encoding="utf-8")).values())
    for manifest in Path(local_path(wanted.output)).glob("runs/*/manifest.*"):  # `.refit` while a run is being rewritten
        with suppress(OSError, RecordError):  # the job tells what is wrong with it
            yield str(Manifest.from_json(manifest.read_bytes()).params.get("input"))


def _drop_what_was_typed() -> None:
    """Discard input from before the question: a `y` from then is not an answer."""
    with suppress(ImportError):  # Windows has no termios
        import termios

        if sys.stdin.isatty():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _lines(file: Path | None) -> list[str]:
    """
    Return the addresses in `file` unchanged.

    A name may have blanks at its ends and characters at which `str.splitlines` splits. A relative path would mean another file in each
    folder.
    """
    if file is None:
        return []
    try:
        lines = file.read_bytes().decode("utf-8-sig").split("\n")  # with Windows' mark and line ends, or without
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read `{file}`: {error}", "give a text file with one address per line") from error
    found = {number: text for number, line in enumerate(lines, start=1) if (text := line.removesuffix("\r"))}
    for number, text in found.items():
        if not text.startswith(WHOLE):
            raise UsageError(
                f"`{text}` in line {number} of `{file}` is not a whole address", "write s3://bucket/key, file:///path or /path in each line"
            )
    return list(found.values())


def _prefix(text: str) -> str:
    """
    Convert as `from_text`, but keep a slash at the end, which marks a folder.

    On S3 all slashes stay, because `a/` and `a//` are different folders there.
    """
    uri, slashes = from_text(text), text[len(text.rstrip("/")) :]
    return uri + (slashes if is_s3(uri) else slashes[:1])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)([dhms])", text)
    if match is None:
        raise UsageError(f"`{text}` is not a valid duration", "give a number and a unit, for example --retention 180d or 12h")
    return float(int(match[1]) * UNITS[match[2]])


def _planned(plan: dict[str, Any], where: str, refit: bool) -> str:
    images = plan["images"]
    if not images:
        return "\n".join([f"Nothing to erase in {shown(where)}.", *_before(plan)])
    lines = [f"{counted(len(images), 'images')}, the photo file of {plan['photos']:,} still exists:"]
    lines += [f"  {line}" for line in _some(images)]
    if plan.get("unknown"):
        lines.append(f"Not known here, skipped: {counted(len(plan['unknown']), 'addresses')}:")
        lines += [f"  {line}" for line in _some(plan["unknown"])]
    lines += _before(plan)
    if plan["copies"]:
        lines.append(f"Identical photos at {counted(len(plan['copies']), 'other addresses')} are kept; add --copies to erase them too:")
        lines += [f"  {shown(uri)}" for uri in plan["copies"][:SHOWN]]
    if plan["runs"]:
        lines.append("These published runs contain them; their reports will be rewritten:")
        lines += [f"  {run}: {counted(rows, 'rows')}" for run, rows in sorted(plan["runs"].items())]
        if not refit:  # later it is too late: nothing tells any more which photos they were
            lines.append("Their PCA keeps the mean of all photos, from which erased features can be computed; add --refit to prevent it.")
    lines.append(f"The photo files and everything derived from them in {shown(where)} will be deleted, in all versions.")
    return "\n".join(lines)


def _receipt(done: dict[str, Any], where: str) -> str:
    removed, searched = done["removed"], done["searched"]
    if not removed:
        return "\n".join([f"Nothing to erase in {shown(where)}.", *_before(done)])
    words = {"photos": ("photo files", ", older versions included"), "features": ("feature rows", ""), "rejects": ("reject rows", "")}
    words |= {"rows": ("rows", " of published runs"), "versions": ("older versions", " of results")}
    lines = ["Erased:", *(_row(removed.get(name, 0), *text) for name, text in words.items())]
    for name, text in (("refitted", " with a refitted PCA"), ("marked", " marked: the PCA was fitted with the erased photos")):
        if done[name]:
            lines.append(_row(len(done[name]), "runs", text))
    older, events = searched["older_versions"], searched["log_events"]
    logs = f", {counted(events, 'log events')}" if events else ""
    lines.append(
        f"Searched: {counted(searched['objects'], 'files')}, {counted(older, 'older versions')}, {searched['bytes'] / 1e6:,.1f} MB"
        f"{logs}: no trace found."
    )
    lines += _before(done)
    if done["copies_left"]:
        lines.append(f"Identical photos at {counted(done['copies_left'], 'other addresses')} were kept; add --copies to erase them too.")
    lines.append(f"Receipt: {shown(where)}/erasures/{done['id']}.json")
    return "\n".join(lines)


def _before(answer: dict[str, Any]) -> list[str]:
    """Return one line for each of the first addresses that an earlier `forget` has erased."""
    before = answer.get("before", {})
    more = [f"and {len(before) - SHOWN:,} more were erased before"] if len(before) > SHOWN else []
    return [*(f"{shown(uri)} was erased before: {at}" for uri, at in list(before.items())[:SHOWN]), *more]


def _row(count: int, nouns: str, more: str) -> str:
    return f"  {count:>9,} {plural_noun(count, nouns)}{more}"
