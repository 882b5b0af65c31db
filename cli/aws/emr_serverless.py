"""The application of EMR Serverless, brought to rest: its id in; no run active, nothing started, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cli.aws import errors as aws
from cli.aws.errors import asking
from cli.aws.run_state import RunState
from cli.errors import RefusedError
from cli.settings.waiting import news, until
from job.contract.records import counted, noun

STATES = {  # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-states.html
    "SUBMITTED": RunState.PENDING,
    "QUEUED": RunState.PENDING,
    "PENDING": RunState.PENDING,
    "SCHEDULED": RunState.PENDING,
    "RUNNING": RunState.RUNNING,
    "CANCELLING": RunState.RUNNING,  # not over: it still holds workers
    "SUCCESS": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}

TAG = "fruitsctl"  # on everything, with the project's name
ACTIVE = [state for state, meaning in STATES.items() if not meaning.ended]  # CANCELLING too: it still holds workers
RESTING = {"CREATED", "STOPPED", "TERMINATED"}  # in which it can be changed and deleted
POLL_SECONDS = 5.0
PATIENCE_SECONDS = 1800.0


def client(session: Any, region: str) -> Any:
    return aws.client(session, "emr-serverless", region)


def find(emr: Any, project: str) -> list[str]:
    """Ids of all applications of the project, also of one whose stack was deleted by hand."""
    with asking("emr-serverless:ListApplications"):
        pages = emr.get_paginator("list_applications").paginate()
        named = [item for page in pages for item in page["applications"] if item.get("name") == project and item["state"] != "TERMINATED"]
    with asking("emr-serverless:GetApplication"):
        details = [emr.get_application(applicationId=item["id"])["application"] for item in named]
    return [item["applicationId"] for item in details if item.get("tags", {}).get(TAG) == project]


def active_runs(emr: Any, application_id: str) -> list[dict[str, Any]]:
    """Return ListJobRuns' entry of each run that has not ended."""
    with asking("emr-serverless:ListJobRuns"):
        pages = emr.get_paginator("list_job_runs").paginate(applicationId=application_id, states=ACTIVE)
        return [run for page in pages for run in page["jobRuns"]]


def state(emr: Any, application_id: str) -> str:
    """TERMINATED also if it is not known any more."""
    return str(_get(emr, application_id).get("state", "TERMINATED"))


def image(emr: Any, application_id: str) -> str | None:
    """`<repository>@sha256:…` as it is now; None if there is none, or no such application."""
    uri: str | None = _get(emr, application_id).get("imageConfiguration", {}).get("imageUri")
    return uri


def _get(emr: Any, application_id: str) -> dict[str, Any]:
    """Return GetApplication's answer; {} if there is no such application."""
    with asking("emr-serverless:GetApplication"):
        try:
            return dict(emr.get_application(applicationId=application_id)["application"])
        except emr.exceptions.ResourceNotFoundException:
            return {}


def rest(emr: Any, application_id: str, cancel: bool, tell: Callable[[str], None]) -> None:
    """
    Stop it and wait until it is stopped. Active runs are cancelled first if `cancel`.

    Raises:
        RefusedError: there are active runs, and `cancel` is False.
        FruitsError: AWS refuses, or it does not come to rest within PATIENCE_SECONDS.
    """
    tell_new = news(tell)

    def look() -> str:
        if (now := state(emr, application_id)) in RESTING:
            return now
        runs = {run["id"]: run["state"] for run in active_runs(emr, application_id)}
        if runs and not cancel:
            raise RefusedError(
                f"`{len(runs)}` active {noun(len(runs), 'runs')} on application `{application_id}`: {', '.join(runs)}",
                "wait until they have finished, or cancel them with `fruitsctl cancel`",
            )
        if runs:
            _cancel(emr, application_id, runs)
        elif now == "STARTED":
            _stop(emr, application_id)
        tell_new(f"{application_id}: waiting for {counted(len(runs), 'cancelled runs')}" if runs else f"{application_id}: stopping")
        return now

    hint = "run the same command again; if it does not help, stop the application in the console of EMR Serverless"
    until(look, RESTING.__contains__, POLL_SECONDS, PATIENCE_SECONDS, lambda now: f"application `{application_id}` is still `{now}`", hint)


def delete(emr: Any, application_id: str) -> None:
    """One at rest, whose stack is gone."""
    with asking("emr-serverless:DeleteApplication"):
        try:
            emr.delete_application(applicationId=application_id)
        except emr.exceptions.ResourceNotFoundException:
            return


def _cancel(emr: Any, application_id: str, runs: dict[str, str]) -> None:
    with asking("emr-serverless:CancelJobRun"):
        for run, was in runs.items():
            if was == "CANCELLING":
                continue
            try:
                emr.cancel_job_run(applicationId=application_id, jobRunId=run)
            except (emr.exceptions.ResourceNotFoundException, emr.exceptions.ValidationException):
                continue  # it has ended meanwhile; the next look tells


def _stop(emr: Any, application_id: str) -> None:
    with asking("emr-serverless:StopApplication"):
        try:
            emr.stop_application(applicationId=application_id)
        except emr.exceptions.ValidationException:
            return  # a run came in between; the next look finds it


def state_of(job_run: Mapping[str, Any]) -> RunState:
    """A state that is new to this version is not over: the user sees its name, and we wait."""
    return STATES.get(job_run["state"], RunState.RUNNING)
