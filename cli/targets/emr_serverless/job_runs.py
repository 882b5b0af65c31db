"""Start job runs of EMR Serverless once, however often that is retried; find them in the service's list, describe and cancel them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.aws.clients import Clients, retry_transient, start_once
from cli.aws.emr_serverless import STATES
from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError, UsageError
from cli.settings.waiting import wait_until
from cli.targets.base import SubmittedRun
from cli.targets.emr.job_runs import newest_id, submitted
from cli.targets.runs.saved import save
from job.contract.params import of_schedule

PAUSE_SECONDS = 2.0
IMAGE_POLLS = 5  # the digest is known as soon as the service has resolved it


def send(clients: Clients, state: Path, run: SubmittedRun, tell: Callable[[str], None]) -> SubmittedRun:
    """
    Send a run and return it with the service's id. It is saved first, so that a run without a response is found again.

    Raises:
        FruitsError: AWS refuses, or gives no response.
    """
    save(state, run)
    hint = f"check with `fruitsctl status {run.run_id}` whether it was accepted"
    job_run_id = start_once(clients, lambda: _start(clients, run), tell, PAUSE_SECONDS, run.run_id, hint)
    known = replace(run, job_run_id=job_run_id)
    save(state, known)
    return known


def verify_image(clients: Clients, run: SubmittedRun, digest: str, tell: Callable[[str], None]) -> None:
    """Cancel the run and raise FruitsError if the service used another image than `digest`."""
    identifier = str(run.job_run_id)
    look = f"run `fruitsctl status {run.run_id}`: the run continues"

    def resolved() -> str | None:
        job_run = retry_transient(
            clients, lambda: get_job_run(clients, run.where["application_id"], identifier), tell, PAUSE_SECONDS, then=look
        )
        digest: str | None = job_run.get("imageConfiguration", {}).get("resolvedImageDigest")
        return digest

    real = wait_until(resolved, bool, PAUSE_SECONDS, IMAGE_POLLS * PAUSE_SECONDS)
    if not real:
        tell("note: EMR has not reported the image of the run; the image of the application was checked before")
    elif real != digest:
        retry_transient(clients, lambda: cancel(clients, run), tell, PAUSE_SECONDS, then=f"run `fruitsctl cancel {run.run_id}`")
        raise FruitsError(
            f"EMR used image `{real}` instead of {digest}; the run is cancelled", "run the command again: it restarts the application"
        )


def cancel(clients: Clients, run: SubmittedRun) -> None:
    """Ask for it; until the run is CANCELLED it holds its workers."""
    client = clients("emr-serverless")
    with translate_aws_errors("emr-serverless:CancelJobRun"):
        try:
            client.cancel_job_run(applicationId=run.where["application_id"], jobRunId=str(run.job_run_id))
        except client.exceptions.ValidationException:
            return  # it has ended meanwhile; the next look tells


def resolved(clients: Clients, state: Path, run: SubmittedRun) -> SubmittedRun:
    """
    Return `run` with the service's id, which it lacks if the service's answer was lost; then it is saved.

    Raises:
        UsageError: the service does not have it.
        FruitsError: no credentials, or AWS refuses.
    """
    if run.job_run_id:
        return run
    found = find(clients, run.where["application_id"], run.run_id)
    if found is None:
        raise UsageError(f"no run `{run.run_id}` on EMR Serverless", "start a run with `fruitsctl run … --serverless`")
    known = replace(run, job_run_id=found.job_run_id)
    save(state, known)
    return known


def find(clients: Clients, application_id: str, run_id: str | None) -> SubmittedRun | None:
    """Return the run by its name, which is the run_id, or by the service's id; without an id the newest."""
    client = clients("emr-serverless")
    with translate_aws_errors("emr-serverless:ListJobRuns"):
        found = newest_id(client.get_paginator("list_job_runs").paginate(applicationId=application_id), run_id)
    if found is None:
        return None
    where = {"application_id": application_id, "region": clients.region}
    return submitted(get_job_run(clients, application_id, found), found, "sparkSubmit", "serverless", where)


def ended_of_schedules(clients: Clients, application_id: str, known: Collection[str]) -> Iterator[SubmittedRun]:
    """Yield the runs of a schedule that have ended, without the run ids in `known`: no machine has saved them."""
    over = [state for state, meaning in STATES.items() if meaning.ended]
    with translate_aws_errors("emr-serverless:ListJobRuns"):
        pages = clients("emr-serverless").get_paginator("list_job_runs").paginate(applicationId=application_id, states=over)
        names = dict.fromkeys(run.get("name", "") for page in pages for run in page["jobRuns"])
    for name in names:
        if of_schedule(name) not in (name, *known) and (found := find(clients, application_id, name)):
            yield found


def get_job_run(clients: Clients, application_id: str, job_run_id: str) -> dict[str, Any]:
    with translate_aws_errors("emr-serverless:GetJobRun"):
        found: dict[str, Any] = clients("emr-serverless").get_job_run(applicationId=application_id, jobRunId=job_run_id)["jobRun"]
    return found


def dashboard(clients: Clients, run: SubmittedRun) -> str:
    """Return the URL of the Spark UI. It contains a token and is valid for an hour, so it is shown but never stored."""
    with translate_aws_errors("emr-serverless:GetDashboardForJobRun"):
        answer = clients("emr-serverless").get_dashboard_for_job_run(
            applicationId=run.where["application_id"], jobRunId=str(run.job_run_id)
        )
    return str(answer["url"])


def _start(clients: Clients, run: SubmittedRun) -> str:
    with translate_aws_errors("emr-serverless:StartJobRun"):
        return str(clients("emr-serverless").start_job_run(**run.request)["jobRunId"])
