"""A run of the service to its end: states and the job's own progress while it lasts, an Outcome when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.aws.clients import Clients, retry_transient
from cli.aws.emr_serverless import state_of
from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError
from cli.settings.waiting import wait_until
from cli.targets.emr_serverless.ending import verdict
from cli.targets.emr_serverless.logs import DriverLog, Place, archived
from cli.targets.emr_serverless.plan import MOST_TIMEOUT_MINUTES
from cli.targets.emr_serverless.runs import Sent, get_job_run
from job.contract.records import Outcome, Progress, RecordError, from_line
from job.contract.uris import bucket_and_key, join

T = TypeVar("T")

POLL_SECONDS = 5.0  # GetJobRun takes 10 requests a second, of everybody in the account: docs of the service's quotas
LATE_SECONDS = 20.0  # after the end, for lines that are still on their way
BILLED_SECONDS = 90.0  # after the end, until AWS has settled what it bills
BILLED = "billedResourceUtilization"  # in GetJobRun's answer
FOLLOW_SECONDS = 60.0 * MOST_TIMEOUT_MINUTES + 24 * 3600.0  # a day more than the longest run
CANCEL_SECONDS = 1800.0  # until the workers of a cancelled run have stopped; it takes a minute or two


@dataclass(frozen=True)
class Ending:
    job_run: dict[str, Any]  # GetJobRun's
    outcome: Outcome


def follow(clients: Clients, sent: Sent, tell: Callable[[str], None], on_progress: Callable[[Progress], None]) -> Ending:
    """
    Until the run is over; throttling, a lost network and expired credentials only delay it, up to an hour at a time.

    Raises:
        FruitsError: AWS refuses to tell, or cannot be reached any more: the run continues without us.
        KeyboardInterrupt: likewise.
    """
    state, since = "", time.monotonic()
    stdout: DriverLog | None = None
    readable = True

    def look() -> dict[str, Any]:
        nonlocal state, since, stdout, readable
        job_run = _patiently(clients, sent, lambda: _get(clients, sent), tell)
        if job_run["state"] != state:
            before = f"; was {state.lower()} for {time.monotonic() - since:,.0f} s" if state else ""
            state, since = job_run["state"], time.monotonic()
            tell(f"Run {sent.run_id}: {state.lower()}{before}")
        stdout = stdout or DriverLog(Place.of(job_run), "stdout")
        if readable:
            readable = _pass_on(clients, sent, stdout, tell, on_progress)
        return job_run

    job_run = _until_over(sent, look, FOLLOW_SECONDS)
    return Ending(job_run, conclude(clients, sent, job_run, tell))


def conclude(clients: Clients, sent: Sent, job_run: dict[str, Any], tell: Callable[[str], None]) -> Outcome:
    """How a run that is over ended; its log is asked only if it left no word in OUTPUT."""
    outcome = _patiently(clients, sent, lambda: read_outcome(clients, sent.output, sent.run_id), tell)
    stderr: list[str] = []
    if job_run["state"] == "FAILED":
        stderr = _patiently(clients, sent, lambda: last_words(clients, Place.of(job_run), 0.0 if outcome else LATE_SECONDS), tell)
    return verdict(job_run, sent.run_id, outcome, stderr)


def wait_until_over(clients: Clients, sent: Sent, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Return GetJobRun's answer once the run is over; CANCELLING is not.

    Raises:
        FruitsError: it is not within CANCEL_SECONDS, or AWS refuses or cannot be reached.
    """
    return _until_over(sent, lambda: _patiently(clients, sent, lambda: _get(clients, sent), tell), CANCEL_SECONDS)


def read_outcome(clients: Clients, output: str, run_id: str) -> Outcome | None:
    """None: the job did not live long enough to write one."""
    content = read(clients, join(output, "runs", run_id, "outcome.json"))
    try:
        return Outcome.from_json(content) if content else None
    except RecordError:
        return None


def read(clients: Clients, uri: str) -> bytes | None:
    """An object, None if there is none."""
    bucket, key = bucket_and_key(uri)
    client = clients("s3")
    with translate_aws_errors("s3:GetObject"):
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
    return content


def last_words(clients: Clients, place: Place, patience_seconds: float) -> list[str]:
    """The driver's stderr: from CloudWatch, as soon as some of it is there, else from the bucket."""
    log = DriverLog(place, "stderr")

    def look() -> list[str]:
        return [line.text for line in log.new(clients)] or archived(clients, place, "stderr")

    return wait_until(look, bool, min(POLL_SECONDS, patience_seconds), patience_seconds)


def settled(clients: Clients, sent: Sent, job_run: dict[str, Any]) -> dict[str, Any]:
    """GetJobRun's answer with what is billed; without it if AWS takes too long."""
    if BILLED in job_run:
        return job_run
    return wait_until(lambda: _get(clients, sent), lambda job_run: BILLED in job_run, POLL_SECONDS, BILLED_SECONDS)


def _until_over(sent: Sent, look: Callable[[], dict[str, Any]], most_seconds: float) -> dict[str, Any]:
    return wait_until(
        look,
        lambda job_run: state_of(job_run).ended,
        POLL_SECONDS,
        most_seconds,
        lambda job_run: f"run `{sent.run_id}` is still `{job_run['state']}`",
        _look_later(sent),
    )


def _look_later(sent: Sent) -> str:
    return f"run `fruitsctl status {sent.run_id}`: the run does not wait for it"


def _get(clients: Clients, sent: Sent) -> dict[str, Any]:
    assert sent.job_run_id is not None
    return get_job_run(clients, sent.application_id, sent.job_run_id)


def _patiently(clients: Clients, sent: Sent, call: Callable[[], T], tell: Callable[[str], None]) -> T:
    return retry_transient(clients, call, tell, POLL_SECONDS, then=_look_later(sent))


def _pass_on(clients: Clients, sent: Sent, stdout: DriverLog, tell: Callable[[str], None], on_progress: Callable[[Progress], None]) -> bool:
    """False: we may not read the log. How the run ends can be seen without it."""
    try:
        lines = _patiently(clients, sent, lambda: stdout.new(clients), tell)
    except FruitsError as error:
        tell(f"note: progress is not available: {error}")
        return False
    for line in lines:
        record = from_line(line.text)
        if isinstance(record, Progress):
            on_progress(record)
    return True
