"""Find, stop and delete applications of EMR Serverless, and cancel their runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cli.aws.errors import translate_aws_errors
from cli.aws.run_state import RunState
from cli.errors import RefusedError
from cli.settings.waiting import skip_repeats, wait_until
from job.contract.records import counted, plural_noun

STATES = {  # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-states.html
    "SUBMITTED": RunState.PENDING,
    "QUEUED": RunState.PENDING,
    "PENDING": RunState.PENDING,
    "SCHEDULED": RunState.PENDING,
    "RUNNING": RunState.RUNNING,
    "CANCELLING": RunState.RUNNING,  # not ended: it still holds workers
    "SUCCESS": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}

TAG = "fruitsctl"  # on everything, with the project's name
ACTIVE = [state for state, meaning in STATES.items() if not meaning.ended]  # CANCELLING too: it still holds workers
STOPPED_STATES = {"CREATED", "STOPPED", "TERMINATED"}  # in which it can be changed and deleted
POLL_SECONDS = 5.0
PATIENCE_SECONDS = 1800.0


def find(emr: Any, project: str) -> list[str]:
    """Return the ids of all applications of the project, also of one whose stack was deleted by hand."""
    with translate_aws_errors("emr-serverless:ListApplications"):
        pages = emr.get_paginator("list_applications").paginate()
        named = [item for page in pages for item in page["applications"] if item.get("name") == project and item["state"] != "TERMINATED"]
    with translate_aws_errors("emr-serverless:GetApplication"):
        details = [emr.get_application(applicationId=item["id"])["application"] for item in named]
    return [item["applicationId"] for item in details if item.get("tags", {}).get(TAG) == project]


def active_runs(emr: Any, application_id: str) -> list[dict[str, Any]]:
    """Return ListJobRuns' entry of each run that has not ended."""
    with translate_aws_errors("emr-serverless:ListJobRuns"):
        pages = emr.get_paginator("list_job_runs").paginate(applicationId=application_id, states=ACTIVE)
        return [run for page in pages for run in page["jobRuns"]]


def state(emr: Any, application_id: str) -> str:
    """Return the state of the application; TERMINATED also if it no longer exists."""
    return str(_get(emr, application_id).get("state", "TERMINATED"))


def image(emr: Any, application_id: str) -> str | None:
    """Return the image as `<repository>@sha256:…`; None if there is none, or no such application."""
    uri: str | None = _get(emr, application_id).get("imageConfiguration", {}).get("imageUri")
    return uri


def _get(emr: Any, application_id: str) -> dict[str, Any]:
    """Return GetApplication's answer; {} if there is no such application."""
    with translate_aws_errors("emr-serverless:GetApplication"):
        try:
            return dict(emr.get_application(applicationId=application_id)["application"])
        except emr.exceptions.ResourceNotFoundException:
            return {}


def stop_application(emr: Any, application_id: str, cancel: bool, tell: Callable[[str], None]) -> None:
    """
    Stop the application and wait until it is stopped. Cancel active runs first if `cancel`.

    Raises:
        RefusedError: there are active runs, and `cancel` is False.
        FruitsError: AWS refuses, or the application does not stop within PATIENCE_SECONDS.
    """
    tell_new = skip_repeats(tell)

    def look() -> str:
        if (now := state(emr, application_id)) in STOPPED_STATES:
            return now
        runs = {run["id"]: run["state"] for run in active_runs(emr, application_id)}
        if runs and not cancel:
            raise RefusedError(
                f"`{len(runs)}` active {plural_noun(len(runs), 'runs')} on application `{application_id}`: {', '.join(runs)}",
                "wait until they have finished, or cancel them with `fruitsctl cancel`",
            )
        if runs:
            _cancel(emr, application_id, runs)
        elif now == "STARTED":
            _stop(emr, application_id)
        tell_new(f"{application_id}: waiting for {counted(len(runs), 'cancelled runs')}" if runs else f"{application_id}: stopping")
        return now

    hint = "run the same command again; if it does not help, stop the application in the console of EMR Serverless"
    wait_until(
        look,
        STOPPED_STATES.__contains__,
        POLL_SECONDS,
        PATIENCE_SECONDS,
        lambda now: f"application `{application_id}` is still `{now}`",
        hint,
    )


def delete(emr: Any, application_id: str) -> None:
    """Delete a stopped application whose stack is gone."""
    with translate_aws_errors("emr-serverless:DeleteApplication"):
        try:
            emr.delete_application(applicationId=application_id)
        except emr.exceptions.ResourceNotFoundException:
            return


def _cancel(emr: Any, application_id: str, runs: dict[str, str]) -> None:
    with translate_aws_errors("emr-serverless:CancelJobRun"):
        for run, was in runs.items():
            if was == "CANCELLING":
                continue
            try:
                emr.cancel_job_run(applicationId=application_id, jobRunId=run)
            except (emr.exceptions.ResourceNotFoundException, emr.exceptions.ValidationException):
                continue  # it has ended meanwhile; the next poll shows it


def _stop(emr: Any, application_id: str) -> None:
    with translate_aws_errors("emr-serverless:StopApplication"):
        try:
            emr.stop_application(applicationId=application_id)
        except emr.exceptions.ValidationException:
            return  # a run started meanwhile; the next poll finds it


def state_of(job_run: Mapping[str, Any]) -> RunState:
    """Return the state of a job run. A state that this version does not know counts as running: the command waits."""
    return STATES.get(job_run["state"], RunState.RUNNING)
