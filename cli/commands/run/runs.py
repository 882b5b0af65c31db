"""`fruitsctl status`, `logs`, `cancel`, `ui`: a run on EMR Serverless, from here or from another machine; by default the last one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import FruitsError, UsageError
from cli.settings.config import Settings, settings
from cli.targets.emr_serverless.run import connect
from cli.targets.emr_serverless.watch import cost_of, detached
from cli.ui.output import emit, say, so_far
from job.contract.records import Outcome, Progress, from_line, stage_title

if TYPE_CHECKING:
    from cli.aws.clients import Clients
    from cli.targets.emr_serverless.logs import Line
    from cli.targets.emr_serverless.runs import Sent

RunId = Annotated[str | None, typer.Argument(metavar="RUN_ID", help="Run id or job run id. [default: the last run]", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


def status(run_id: RunId = None, as_json: AsJson = False) -> None:
    """Say how far a run on EMR Serverless is, or how it ended."""
    from cli.aws.emr_serverless import state_of
    from cli.aws.redact import redact
    from cli.targets.emr_serverless import follow

    clients, sent, job_run = find(run_id)
    names = {"run_id": sent.run_id, "job_run_id": sent.job_run_id, "application_id": sent.application_id, "region": sent.region}
    data: dict[str, Any] = names | {"output": sent.output, "state": job_run["state"], "details": redact(job_run.get("stateDetails", ""))}
    data["attempt"] = job_run.get("attempt", 1)
    lines = [f"Run {sent.run_id}: {job_run['state'].lower()}", f"  service   {sent.application_id} {sent.job_run_id} in {sent.region}"]
    if not state_of(job_run).ended:
        progress = _latest(clients, job_run)
        data["progress"] = vars(progress) if progress else None
        lines += [f"  stage     {_words(progress)}"] if progress else []
    else:
        outcome = follow.conclude(clients, sent, job_run, say)
        data["outcome"] = vars(outcome)
        lines.append(f"  ended     {_ending(outcome)}")
        usd = cost_of(clients, sent, job_run)
        data["cost"] = usd
        lines.append(f"  cost      {'not available yet' if usd is None else f'${usd:.4f}'}")
    emit(data, "\n".join(lines), as_json)


def logs(
    run_id: RunId = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow until the run has finished; Ctrl-C detaches.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Spark's own log and tracebacks, not what the job says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Print the driver's log of a run on EMR Serverless."""
    from cli.aws.clients import retry_transient
    from cli.aws.emr_serverless import state_of
    from cli.settings.waiting import wait_until
    from cli.targets.emr_serverless import logs as driver
    from cli.targets.emr_serverless.follow import FOLLOW_SECONDS, LATE_SECONDS, POLL_SECONDS
    from cli.targets.emr_serverless.runs import get_job_run

    clients, sent, job_run = find(run_id)
    stream = "stderr" if stderr else "stdout"
    place = driver.Place.of(job_run)
    log, shown, over_at = driver.DriverLog(place, stream), 0, 0.0
    again = f"run `fruitsctl logs {sent.run_id}`: the run does not wait for it"

    def complete() -> bool:
        """Print what is new, and return whether that was the end of it."""
        nonlocal shown, over_at, job_run
        lines = retry_transient(clients, lambda: log.new(clients), say, POLL_SECONDS, then=again)
        for line in lines:
            _print(line, stream, as_json)
        shown += len(lines)
        if not follow or (over_at and (lines == [] or time.monotonic() > over_at + LATE_SECONDS)):
            return True
        job_run = retry_transient(
            clients, lambda: get_job_run(clients, sent.application_id, str(sent.job_run_id)), say, POLL_SECONDS, then=again
        )
        over_at = over_at or (time.monotonic() if state_of(job_run).ended else 0.0)
        return False

    try:
        wait_until(complete, bool, POLL_SECONDS, FOLLOW_SECONDS, lambda _: f"the log of run `{sent.run_id}` has not ended", again)
    except KeyboardInterrupt:
        say(f"Detached, the run continues. Follow it with fruitsctl logs -f {sent.run_id}; cancel it with fruitsctl cancel {sent.run_id}")
        return
    if not shown:
        archive = [driver.Line(0, text) for text in driver.archived(clients, place, stream)]
        for line in archive:
            _print(line, stream, as_json)
        if not archive:
            say("There is no log yet." if not state_of(job_run).ended else "There is no log yet, or it was deleted.")


def cancel(run_id: RunId = None, as_json: AsJson = False) -> None:
    """End a run on EMR Serverless; waits until its workers are gone."""
    from cli.aws.clients import retry_throttled
    from cli.aws.emr_serverless import state_of
    from cli.targets.emr_serverless import submit
    from cli.targets.emr_serverless.follow import wait_until_over

    clients, sent, job_run = find(run_id)
    if not state_of(job_run).ended:
        if job_run["state"] != "CANCELLING":
            retry_throttled(clients, lambda: submit.cancel(clients, sent), say)
        say(f"Run {sent.run_id}: waiting until its workers have stopped")
        try:
            job_run = wait_until_over(clients, sent, say)
        except KeyboardInterrupt:
            detached(sent, as_json)
            return
    emit(
        {"run_id": sent.run_id, "job_run_id": sent.job_run_id, "state": job_run["state"]},
        f"Run {sent.run_id}: {job_run['state'].lower()}",
        as_json,
    )


def ui(run_id: RunId = None, as_json: AsJson = False) -> None:
    """Print a link to the Spark UI of a run on EMR Serverless.

    It opens without a login for an hour: do not share it.
    """
    from cli.aws.clients import retry_throttled
    from cli.targets.emr_serverless.runs import dashboard

    clients, sent, _ = find(run_id)
    url = retry_throttled(clients, lambda: dashboard(clients, sent), say)
    emit({"run_id": sent.run_id, "url": url}, url, as_json)


def find(run_id: str | None) -> tuple[Clients, Sent, dict[str, Any]]:
    """
    The run, clients of its Region, and GetJobRun's answer.

    Raises:
        UsageError: nobody knows such a run.
        FruitsError: no credentials, or AWS refuses.
    """
    from cli.aws.clients import Clients, retry_throttled
    from cli.targets.emr_serverless.runs import get_job_run, locate, recall

    config = settings()
    known = recall(config.state, run_id)
    clients = connect(config)
    if known:
        clients = Clients(clients.session, known.region)

    def ask() -> tuple[Clients, Sent, dict[str, Any]]:
        sent = locate(clients, config.state, run_id, None if known else _application_id(clients, config))
        return clients, sent, get_job_run(clients, sent.application_id, str(sent.job_run_id))

    return retry_throttled(clients, ask, say)


def _application_id(clients: Clients, config: Settings) -> str:
    from cli.infra import deploy

    deployed = deploy.deployed(clients.session, clients.region, config.project)
    if deployed.application_id is None:
        raise UsageError("there is no application, so there are no runs", "start a run with `fruitsctl run … --serverless`")
    return deployed.application_id


def _latest(clients: Clients, job_run: dict[str, Any]) -> Progress | None:
    """What the job said last. Who may not read the log can still see the state."""
    from cli.targets.emr_serverless.logs import DriverLog, Place

    try:
        records = [from_line(line.text) for line in DriverLog(Place.of(job_run), "stdout").new(clients)]
    except FruitsError as error:
        say(f"note: progress is not available: {error}")
        return None
    return next((record for record in reversed(records) if isinstance(record, Progress)), None)


def _print(line: Line, stream: str, as_json: bool) -> None:
    from cli.aws.redact import redact

    text = redact(line.text)
    emit({"at_ms": line.at_ms or None, "stream": stream, "line": text}, _readable(text), as_json)


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
