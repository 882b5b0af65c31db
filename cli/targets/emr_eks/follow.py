"""A job run on EMR on EKS from its request to its end: sent once, followed by its states, cancelled and waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli.aws.clients import Clients, retry_throttled, retry_transient, start_once
from cli.aws.errors import translate_aws_errors
from cli.aws.redact import redact
from cli.aws.run_state import RunState
from cli.errors import FruitsError
from cli.settings.waiting import skip_repeats
from cli.targets.base import SubmittedRun
from cli.targets.emr import waits
from cli.targets.emr.job_runs import newest_id, submitted, until_over
from cli.targets.emr.run_files import read_outcome
from cli.targets.emr_eks.plan import STATES
from cli.ui.output import say

POLL_SECONDS = 10.0
SERVICE = "emr-containers"


def start(clients: Clients, request: dict[str, Any], tell: Callable[[str], None] = say) -> str:
    """
    Start a job run and return its id. A lost response is retried: the clientToken finds the same run.

    Raises:
        FruitsError: AWS refuses, or gives no response.
    """

    def send() -> str:
        with translate_aws_errors("emr-containers:StartJobRun"):
            return str(clients(SERVICE).start_job_run(**request)["id"])

    run_id = request["clientToken"]
    return start_once(clients, send, tell, POLL_SECONDS, run_id, f"run the same command with `--run-id {run_id}`: the run starts once")


def describe(clients: Clients, virtual_cluster_id: str, job_run_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Return the job run as the service describes it, for a command that was just typed.

    Raises:
        FruitsError: AWS refuses, or gives no response.
    """
    return retry_throttled(clients, lambda: _describe(clients, virtual_cluster_id, job_run_id), tell)


def find(clients: Clients, virtual_cluster_id: str, run_id: str | None) -> SubmittedRun | None:
    """Return a run of the cluster by its name, which is the run id, or by the service's own id; without one the newest."""
    with translate_aws_errors("emr-containers:ListJobRuns"):
        pages = clients(SERVICE).get_paginator("list_job_runs").paginate(virtualClusterId=virtual_cluster_id)
        found = newest_id(pages, run_id)
    if found is None:
        return None
    where = {"virtual_cluster_id": virtual_cluster_id, "region": clients.region}
    return submitted(_describe(clients, virtual_cluster_id, found), found, "sparkSubmitJobDriver", "eks", where)


def follow(
    clients: Clients, virtual_cluster_id: str, job_run_id: str, tell: Callable[[str], None], most_seconds: float = waits.FOLLOW_SECONDS
) -> dict[str, Any]:
    """
    Return the job run once it has ended, and tell each new state.

    Throttling, a lost network and expired credentials delay it, up to an hour.

    Raises:
        FruitsError: AWS refuses, or is unreachable: the run continues.
    """
    tell_new = skip_repeats(tell)
    then = f"run `fruitsctl status {job_run_id}`: the run does not wait for it"

    def look() -> dict[str, Any]:
        job_run = retry_transient(clients, lambda: _describe(clients, virtual_cluster_id, job_run_id), tell, POLL_SECONDS, then=then)
        tell_new(f"{job_run_id}: {job_run['state']}")
        return job_run

    return until_over(look, state, f"job run `{job_run_id}`", POLL_SECONDS, most_seconds, then)


def cancel(clients: Clients, virtual_cluster_id: str, job_run_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Cancel a job run and return it once it has ended; one that had ended before is returned as it is.

    Raises:
        FruitsError: AWS refuses.
    """
    job_run = describe(clients, virtual_cluster_id, job_run_id, tell)
    if not state(job_run).ended:
        retry_throttled(clients, lambda: _cancel(clients, virtual_cluster_id, job_run_id), tell)
    return follow(clients, virtual_cluster_id, job_run_id, tell, waits.CANCEL_SECONDS)


def state(job_run: dict[str, Any]) -> RunState:
    """Return the state of a job run. A state that this version does not know counts as running: the command waits."""
    return STATES.get(job_run["state"], RunState.RUNNING)


def raise_unless_done(clients: Clients, job_run: dict[str, Any], output: str, run_id: str, logs: str) -> None:
    """Raise FruitsError if the run did not succeed, with the job's message and exit code, else with the service's."""
    if state(job_run) is RunState.SUCCEEDED:
        return
    if state(job_run) is RunState.CANCELLED:
        raise FruitsError(f"run `{run_id}` was cancelled", "run the same command again: it resumes from the last commit")
    outcome = read_outcome(clients, output, run_id)
    if outcome is not None and outcome.code:
        raise FruitsError(outcome.message, outcome.hint or f"see the logs in {logs}", outcome.code)
    reason = ": ".join(str(job_run[key]) for key in ("failureReason", "stateDetails") if job_run.get(key))
    raise FruitsError(f"run `{run_id}` failed: {redact(reason) or 'no reason given by EMR'}", f"see the logs in {logs}")


def _describe(clients: Clients, virtual_cluster_id: str, job_run_id: str) -> dict[str, Any]:
    with translate_aws_errors("emr-containers:DescribeJobRun"):
        found: dict[str, Any] = clients(SERVICE).describe_job_run(virtualClusterId=virtual_cluster_id, id=job_run_id)["jobRun"]
    return found


def _cancel(clients: Clients, virtual_cluster_id: str, job_run_id: str) -> None:
    with translate_aws_errors("emr-containers:CancelJobRun"):
        clients(SERVICE).cancel_job_run(virtualClusterId=virtual_cluster_id, id=job_run_id)
