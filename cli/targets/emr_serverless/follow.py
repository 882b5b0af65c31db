"""A run of the service to its end: states and the job's own progress while it lasts, an Outcome when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.aws.clients import Clients, retry_transient
from cli.aws.emr_serverless import state_of
from cli.errors import FruitsError
from cli.settings.waiting import wait_until
from cli.targets.base import SubmittedRun
from cli.targets.emr import waits
from cli.targets.emr.driver_log import DriverLog, LogLocation, archived
from cli.targets.emr.job_runs import until_over
from cli.targets.emr.run_files import read_outcome
from cli.targets.emr_serverless.job_runs import get_job_run
from cli.targets.emr_serverless.outcome import resolve_outcome
from job.contract.records import Outcome, Progress, from_line

T = TypeVar("T")

BILLED_SECONDS = 90.0  # after the end, until AWS has settled what it bills
BILLED = "billedResourceUtilization"  # in GetJobRun's answer


@dataclass(frozen=True)
class RunEnd:
    job_run: dict[str, Any]  # GetJobRun's
    outcome: Outcome


def follow(clients: Clients, run: SubmittedRun, tell: Callable[[str], None], on_progress: Callable[[Progress], None]) -> RunEnd:
    """
    Follow the run to its end. Throttling, a lost network and expired credentials delay it, up to an hour at a time.

    Raises:
        FruitsError: AWS refuses, or is unreachable: the run continues.
        KeyboardInterrupt: the run continues.
    """
    state, since = "", time.monotonic()
    stdout: DriverLog | None = None
    readable = True

    def look() -> dict[str, Any]:
        nonlocal state, since, stdout, readable
        job_run = _retry(clients, run, lambda: _get(clients, run), tell)
        if job_run["state"] != state:
            before = f"; was {state.lower()} for {time.monotonic() - since:,.0f} s" if state else ""
            state, since = job_run["state"], time.monotonic()
            tell(f"Run {run.run_id}: {state.lower()}{before}")
        stdout = stdout or DriverLog(LogLocation.of(job_run), "stdout")
        if readable:
            readable = _forward_log(clients, run, stdout, tell, on_progress)
        return job_run

    job_run = _until_over(run, look, waits.FOLLOW_SECONDS)
    return RunEnd(job_run, outcome_of(clients, run, job_run, tell))


def outcome_of(clients: Clients, run: SubmittedRun, job_run: dict[str, Any], tell: Callable[[str], None]) -> Outcome:
    """Return how a run ended. Its log is read only if it left no outcome in OUTPUT."""
    outcome = _retry(clients, run, lambda: read_outcome(clients, run.output, run.run_id), tell)
    stderr: list[str] = []
    if job_run["state"] == "FAILED":
        stderr = _retry(clients, run, lambda: driver_stderr(clients, LogLocation.of(job_run), 0.0 if outcome else waits.LATE_SECONDS), tell)
    return resolve_outcome(job_run, run.run_id, outcome, stderr)


def wait_until_over(clients: Clients, run: SubmittedRun, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Return GetJobRun's answer once the run is over; CANCELLING is not.

    Raises:
        FruitsError: it is not within CANCEL_SECONDS, or AWS refuses or cannot be reached.
    """
    return _until_over(run, lambda: _retry(clients, run, lambda: _get(clients, run), tell), waits.CANCEL_SECONDS)


def driver_stderr(clients: Clients, place: LogLocation, patience_seconds: float) -> list[str]:
    """Return the driver's stderr: from CloudWatch as soon as it has some, else from the bucket."""
    log = DriverLog(place, "stderr")

    def look() -> list[str]:
        return [line.text for line in log.new(clients)] or archived(clients, place, "stderr")

    return wait_until(look, bool, min(waits.POLL_SECONDS, patience_seconds), patience_seconds)


def wait_until_billed(clients: Clients, run: SubmittedRun, job_run: dict[str, Any]) -> dict[str, Any]:
    """Return GetJobRun's answer with the billed resources; without them if AWS takes too long."""
    if BILLED in job_run:
        return job_run
    return wait_until(lambda: _get(clients, run), lambda job_run: BILLED in job_run, waits.POLL_SECONDS, BILLED_SECONDS)


def _until_over(run: SubmittedRun, look: Callable[[], dict[str, Any]], most_seconds: float) -> dict[str, Any]:
    return until_over(look, state_of, f"run `{run.run_id}`", waits.POLL_SECONDS, most_seconds, _look_later(run))


def _look_later(run: SubmittedRun) -> str:
    return f"run `fruitsctl status {run.run_id}`: the run does not wait for it"


def _get(clients: Clients, run: SubmittedRun) -> dict[str, Any]:
    assert run.job_run_id is not None
    return get_job_run(clients, run.where["application_id"], run.job_run_id)


def _retry(clients: Clients, run: SubmittedRun, call: Callable[[], T], tell: Callable[[str], None]) -> T:
    return retry_transient(clients, call, tell, waits.POLL_SECONDS, then=_look_later(run))


def _forward_log(
    clients: Clients, run: SubmittedRun, stdout: DriverLog, tell: Callable[[str], None], on_progress: Callable[[Progress], None]
) -> bool:
    """Forward new lines of the log; return False if this user may not read it. The run's state is visible without it."""
    try:
        lines = _retry(clients, run, lambda: stdout.new(clients), tell)
    except FruitsError as error:
        tell(f"note: progress is not available: {error}")
        return False
    for line in lines:
        record = from_line(line.text)
        if isinstance(record, Progress):
            on_progress(record)
    return True
