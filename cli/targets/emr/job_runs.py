"""What job runs of EMR Serverless and EMR on EKS have in common: found in a list, made a SubmittedRun, waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cli.aws.run_state import RunState
from cli.settings.waiting import wait_until
from cli.targets.base import SubmittedRun
from job.contract.params import of_schedule

JobRun = dict[str, Any]  # as the service describes it


def newest_id(pages: Iterable[Mapping[str, Any]], run_id: str | None) -> str | None:
    """
    Return the service's id of the newest listed run of that name, which is the run id, or of that id; None if there is none.

    The name of a run that a schedule sent is its time.
    """
    wanted = run_id and of_schedule(run_id)
    listed = [run for page in pages for run in page["jobRuns"] if wanted in (None, of_schedule(run.get("name", "")), run["id"])]
    return str(max(listed, key=lambda run: run["createdAt"])["id"]) if listed else None


def submitted(job_run: JobRun, job_run_id: str, driver: str, target: str, where: Mapping[str, str]) -> SubmittedRun:
    """Make a SubmittedRun, without the request, of a job run whose arguments are in `jobDriver` below `driver`."""
    words = job_run["jobDriver"][driver].get("entryPointArguments", [])
    arguments = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
    return SubmittedRun(
        run_id=of_schedule(str(arguments.get("run-id") or job_run.get("name") or job_run_id)),
        target=target,
        output=arguments.get("output", ""),
        sent_at=job_run["createdAt"].isoformat(),
        where=where,
        job_run_id=job_run_id,
    )


def until_over(
    look: Callable[[], JobRun], state_of: Callable[[JobRun], RunState], name: str, every_seconds: float, most_seconds: float, then: str
) -> JobRun:
    """
    Return what `look` returns once the run is over.

    Raises:
        FruitsError: it is not within `most_seconds`; the hint is `then`.
    """
    return wait_until(
        look,
        lambda job_run: state_of(job_run).ended,
        every_seconds,
        most_seconds,
        lambda job_run: f"{name} is still `{job_run['state']}`",
        then,
    )
