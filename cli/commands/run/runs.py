"""`fruitsctl status`, `logs`, `cancel`, `ui`, `runs`: a run on any target, from here or from another machine; by default the last one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.settings.config import settings
from cli.targets.base import LogLine, RunStatus, UnsupportedError
from cli.targets.runs.find import find
from cli.targets.runs.launch import names, say_detached
from cli.ui import run_files
from cli.ui.output import emit, say, so_far
from job.contract.records import Outcome, Progress, from_line, stage_title

RunId = Annotated[str | None, typer.Argument(metavar="RUN_ID", help="Run id or job run id. [default: the last run]", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


def status(run_id: RunId = None, as_json: AsJson = False) -> None:
    """Say how far a run is, or how it ended."""
    target, run = find(run_id, say)
    found = target.describe(run, say)
    data: dict[str, Any] = names(run) | {"output": run.output, "state": found.service_state, "details": found.details}
    data["attempt"] = found.attempt
    place = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in names(run).items() if name not in ("run_id", "target"))
    lines = [f"Run {run.run_id}: {found.service_state.lower()}", f"  target    {target.title}{f': {place}' if place else ''}"]
    if found.outcome is None:
        data["progress"] = vars(found.progress) if found.progress else None
        lines += [f"  stage     {_words(found.progress)}"] if found.progress else []
    else:
        data["outcome"] = vars(found.outcome)
        lines.append(f"  ended     {_ending(found.outcome)}")
        try:
            data["cost"] = usd = target.cost(run, say)
            lines.append(f"  cost      {'not available yet' if usd is None else f'${usd:.4f}'}")
        except UnsupportedError:
            data["cost"] = None
    emit(data, "\n".join(lines), as_json)


def logs(
    run_id: RunId = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow until the run has finished; Ctrl-C detaches.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Spark's own log and tracebacks, not what the job says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print the log of a run's driver."""
    target, run = find(run_id, say)
    shown = 0
    try:
        for line in target.logs(run, follow, stderr, say):
            _print(line, "stderr" if stderr else "stdout", as_json)
            shown += 1
    except KeyboardInterrupt:
        say(f"Detached, the run continues. Follow it with fruitsctl logs -f {run.run_id}; cancel it with fruitsctl cancel {run.run_id}")
        return
    if not shown:
        say("There is no log yet, or it was deleted.")


def cancel(run_id: RunId = None, as_json: AsJson = False) -> None:
    """End a run; waits until its workers are gone."""
    target, run = find(run_id, say)
    try:
        ended: RunStatus = target.cancel(run, say)
    except KeyboardInterrupt:
        say_detached(run, as_json)
        return
    data = {"run_id": run.run_id, "job_run_id": run.job_run_id, "state": ended.service_state}
    emit(data, f"Run {run.run_id}: {ended.service_state.lower()}", as_json)


def ui(run_id: RunId = None, as_json: AsJson = False) -> None:
    """Print a link to the Spark UI of a run.

    On EMR Serverless it opens without a login for an hour: do not share it.
    """
    target, run = find(run_id, say)
    url = target.ui(run, say)
    emit({"run_id": run.run_id, "url": url}, url, as_json)


def runs(
    output: Annotated[
        str | None, typer.Option(metavar="OUTPUT", help="Folder or s3://bucket/prefix. [or fruits.toml, or the last local run]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of an OUTPUT: target, state, photos, cost."""
    from cli.targets.runs.history import history, table

    where = run_files.output_of(output, settings())
    found = history(where, settings(), say)
    emit({"output": where, "runs": [asdict(run) for run in found]}, table(found) if found else f"no run in {where}", as_json)


def _print(line: LogLine, stream: str, as_json: bool) -> None:
    from cli.aws.redact import redact

    text = redact(line.text)
    emit({"at_ms": line.at_ms, "stream": stream, "line": text}, _readable(text), as_json)


def _readable(text: str) -> str:
    record = from_line(text)
    if isinstance(record, Progress):
        return _words(record)
    return _ending(record) if isinstance(record, Outcome) else text


def _ending(outcome: Outcome) -> str:
    return f"{'finished' if outcome.code == 0 else outcome.kind}: {outcome.message}"


def _words(progress: Progress) -> str:
    ended = ", finished" if progress.finished else ""
    return f"{stage_title(progress.stage)}: {so_far(progress.done, progress.total, progress.unit)}, {progress.seconds:.0f} s{ended}"
