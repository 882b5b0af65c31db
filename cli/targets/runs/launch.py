"""A run on any target, from its plan to its summary: shown, started or sent, followed, and what it published."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import typer

from cli.settings.config import settings
from cli.targets.base import SubmittedRun, Target, TargetOptions
from cli.targets.options import words
from cli.targets.runs.saved import load
from cli.ui.output import emit, say
from cli.ui.summary import summary
from job.contract.params import Params


def launch(
    target: Target[Any, Any],
    options: TargetOptions,
    make_params: Callable[[str, str], Params],
    places: tuple[str | None, str | None],
) -> None:
    """
    Carry out a run and print its result.

    Args:
        target: where.
        options: the target's own.
        make_params: makes Params of INPUT and OUTPUT.
        places: INPUT and OUTPUT, None where the target has a default.

    Raises:
        FruitsError: the run cannot be sent, or failed; with the job's own exit code.
    """
    source, output = places
    params = make_params(*target.places(source, output))
    if not options.dry_run:
        target.prepare(options)
    plan = target.plan(params, options)
    if options.dry_run:
        data, text = target.dry_run(plan)
        emit(data, text, options.as_json)
        return
    try:
        run = target.submit(plan, say)
        if getattr(options, "detach", False):
            say_detached(run, options.as_json)
            return
        ended = target.follow(run, say)
    except KeyboardInterrupt:
        sent = load(settings().state, params.run_id)
        if sent is None or sent.job_run_id is None:  # no service has it
            raise
        say_detached(sent, options.as_json)
        return
    if ended.manifest is None:
        raise typer.Exit(ended.code)
    again = f"--{target.name} {words(options)}".rstrip()
    text = "\n\n".join([summary(ended.manifest, params, again), *ended.lines])
    emit(json.loads(ended.manifest.to_json()) | dict(ended.data), text, options.as_json)


def new_run_id() -> str:
    """Return the time in UTC with four random characters."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"


def say_detached(run: SubmittedRun, as_json: bool) -> None:
    """Print how to find a run again that continues without this command."""
    back = [f"fruitsctl {command} {run.run_id}" for command in ("status", "logs -f", "cancel")]
    text = f"Detached from run {run.run_id}, which continues.\n  follow   {back[0]}, {back[1]}\n  cancel   {back[2]}"
    emit(names(run) | {"detached": True}, text, as_json)


def names(run: SubmittedRun) -> dict[str, Any]:
    """Return what identifies a run, for --json."""
    service = {"job_run_id": run.job_run_id} if run.job_run_id else {}
    return {"run_id": run.run_id, "target": run.target, **service, **run.where}
