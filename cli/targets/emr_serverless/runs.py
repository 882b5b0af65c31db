"""
What was sent: runs/<run_id>.json in the state folder, written before the request is; and found again without it, by the service's own list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.aws.clients import Clients
from cli.aws.errors import translate_aws_errors
from cli.errors import UsageError
from cli.settings.private import write_private


@dataclass(frozen=True)
class Sent:
    run_id: str
    application_id: str
    region: str
    output: str  # s3:// URI
    request: dict[str, Any]  # StartJobRun's; sent again as it is, it is the same run
    sent_at: str  # ISO 8601, UTC
    job_run_id: str | None = None  # the service's own; None: it has not answered yet
    again: str = "--serverless"  # the target's options, for the same command again


def remember(state: Path, sent: Sent) -> None:
    """
    Raises:
        UsageError: the folder cannot be written.
    """
    folder = state / "runs"
    try:
        write_private(folder / f"{sent.run_id}.json", json.dumps(asdict(sent), indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write `{folder}`: {error.strerror}", "set FRUITS_STATE to a writable folder") from error


def recall(state: Path, run_id: str | None) -> Sent | None:
    """The run of that name, ours or the service's; without a name the last one sent from here."""
    return next((sent for sent in remembered(state) if run_id in (None, sent.run_id, sent.job_run_id)), None)


def remembered(state: Path) -> list[Sent]:
    """All that was sent from here, newest first."""
    return sorted(_all(state), key=lambda sent: sent.sent_at, reverse=True)


def locate(clients: Clients, state: Path, run_id: str | None, application_id: str | None) -> Sent:
    """
    A run that the service has: from what is remembered here, else from the service's list, also when it was sent from another machine.

    Raises:
        UsageError: neither knows it.
        FruitsError: no credentials, or AWS refuses.
    """
    known = recall(state, run_id)
    if known and known.job_run_id:
        return known
    application = known.application_id if known else application_id
    if application is None:
        raise UsageError(f"unknown run `{run_id}`" if run_id else "no run was started from this machine", "give a run id, or start a run")
    found = find(clients, application, known.run_id if known else run_id)
    if found is None:
        raise UsageError(
            f"no run `{run_id or (known and known.run_id) or ''}` on EMR Serverless", "start a run with `fruitsctl run … --serverless`"
        )
    if known:
        remember(state, found)
    return found


def find(clients: Clients, application_id: str, run_id: str | None) -> Sent | None:
    """By its name, which is our run id, or by the service's own id; without one the newest."""
    client = clients("emr-serverless")
    with translate_aws_errors("emr-serverless:ListJobRuns"):
        pages = client.get_paginator("list_job_runs").paginate(applicationId=application_id)
        listed = [run for page in pages for run in page["jobRuns"] if run_id in (None, run.get("name"), run["id"])]
    if not listed:
        return None
    newest = max(listed, key=lambda run: run["createdAt"])
    return from_job_run(get_job_run(clients, application_id, newest["id"]), clients.region)


def get_job_run(clients: Clients, application_id: str, job_run_id: str) -> dict[str, Any]:
    with translate_aws_errors("emr-serverless:GetJobRun"):
        found: dict[str, Any] = clients("emr-serverless").get_job_run(applicationId=application_id, jobRunId=job_run_id)["jobRun"]
    return found


def dashboard(clients: Clients, sent: Sent) -> str:
    """The Spark UI's address. It holds a token and is good for an hour: it is shown, and kept nowhere."""
    with translate_aws_errors("emr-serverless:GetDashboardForJobRun"):
        answer = clients("emr-serverless").get_dashboard_for_job_run(applicationId=sent.application_id, jobRunId=str(sent.job_run_id))
    return str(answer["url"])


def from_job_run(job_run: dict[str, Any], region: str) -> Sent:
    """GetJobRun tells all that is remembered, but for the request."""
    words = job_run["jobDriver"]["sparkSubmit"].get("entryPointArguments", [])
    arguments = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
    return Sent(
        run_id=arguments.get("run-id", job_run.get("name", job_run["jobRunId"])),
        application_id=job_run["applicationId"],
        region=region,
        output=arguments.get("output", ""),
        request={},
        sent_at=job_run["createdAt"].isoformat(),
        job_run_id=job_run["jobRunId"],
    )


def _all(state: Path) -> Iterator[Sent]:
    for file in (state / "runs").glob("*.json"):
        try:
            yield Sent(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # a damaged file is worth no more than none: the service's list has the run
