"""The runs of an OUTPUT, from their own files and from what this machine has saved: a row for each, oldest first."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cli.aws.run_state import RunState
from cli.errors import FruitsError
from cli.settings.config import Settings
from cli.targets.base import RunStatus, SubmittedRun, Tell
from cli.targets.registry import named
from cli.targets.runs.saved import saved
from cli.ui import run_files
from job.contract.records import Manifest, Outcome, RecordError
from job.contract.uris import bucket_and_key, is_s3, join, local_path

T = TypeVar("T")

READERS = 8  # requests to S3 at a time
Read = Callable[[str], bytes | None]  # of a path below OUTPUT; None: there is no such file


@dataclass(frozen=True)
class RunRow:
    """One run. None is unknown."""

    run_id: str
    target: str | None
    state: str
    photos: int | None  # listed
    k: int | None
    seconds: float | None
    usd: float | None  # of the workers; only a run on EMR Serverless has a cost


def history(output: str, config: Settings, tell: Tell) -> list[RunRow]:
    """
    Return the runs of OUTPUT, by run id.

    Raises:
        FruitsError: OUTPUT cannot be read.
    """
    names, read = _on_s3(output) if is_s3(output) else _local(output)
    sent = {run.run_id: run for run in saved(config.state) if run.output == output}
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda name: _row(name, sent.get(name), read, tell), sorted({*names, *sent})))


def table(rows: list[RunRow]) -> str:
    """Return the rows as text, each column as wide as it needs."""
    heads = ("run", "target", "state", "photos", "k", "seconds", "cost")
    cells = [
        (
            row.run_id,
            row.target or "unknown",
            row.state,
            _shown(row.photos, ","),
            _shown(row.k, ""),
            _shown(row.seconds, ".0f"),
            "-" if row.usd is None else f"${row.usd:.4f}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]
    aligned = [("<" if column < 3 else ">") + str(width) for column, width in enumerate(widths)]  # words left, numbers right
    lines = ("  ".join(map(format, line, aligned)) for line in (heads, *cells))
    return "\n".join(line.rstrip() for line in lines)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _row(run_id: str, sent: SubmittedRun | None, read: Read, tell: Tell) -> RunRow:
    manifest = _record(Manifest.from_json, read(f"runs/{run_id}/manifest.json"))
    outcome = _record(Outcome.from_json, read(f"runs/{run_id}/outcome.json"))
    cost = read(f"costs/{run_id}.json")
    target = sent.target if sent else manifest.params.get("target") if manifest else None
    return RunRow(
        run_id,
        target,
        _state(outcome, manifest, sent, tell),
        manifest.counts.get("listed") if manifest else None,
        manifest.k if manifest else None,
        round(sum(stage.seconds for stage in manifest.stages.values()), 1) if manifest else None,
        json.loads(cost).get("usd") if cost else None,
    )


def _state(outcome: Outcome | None, manifest: Manifest | None, sent: SubmittedRun | None, tell: Tell) -> str:
    """Return how the run ended, by its own files; without them its target is asked."""
    if outcome is not None:
        return RunStatus.ended(outcome).state.value
    if manifest is not None:
        return RunState.SUCCEEDED.value
    if sent is None:
        return "unknown"
    try:
        return named(sent.target).describe(sent, tell).state.value
    except FruitsError as error:
        tell(f"note: the state of `{sent.run_id}` is not available: {error}")
        return "unknown"


def _record(parse: Callable[[bytes], T], content: bytes | None) -> T | None:
    try:
        return parse(content) if content else None
    except RecordError:
        return None


def _local(output: str) -> tuple[list[str], Read]:
    root = Path(local_path(output))

    def read(name: str) -> bytes | None:
        try:
            return (root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    folder = root / "runs"
    return [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else [], read


def _on_s3(output: str) -> tuple[list[str], Read]:
    from cli.aws.errors import translate_aws_errors
    from cli.aws.s3 import client_for, read_if_there

    bucket, prefix = bucket_and_key(join(output, "runs", ""))
    client = client_for(run_files.session(), bucket)
    with translate_aws_errors("s3:ListBucket"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        names = [item["Prefix"].rstrip("/").rpartition("/")[2] for page in pages for item in page.get("CommonPrefixes", [])]

    def read(name: str) -> bytes | None:
        return read_if_there(client, join(output, *name.split("/")))

    return names, read
