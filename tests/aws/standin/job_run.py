"""A job run of EMR Serverless: its request and attempts in, what the API shows of it out. Nothing happens here."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin.applications import Application
from tests.aws.standin.wire import ServiceError
from tests.aws.standin.workers import Workers

OVER = ("SUCCESS", "FAILED", "CANCELLED")


@dataclass
class Attempt:
    number: int
    created_at: datetime
    updated_at: datetime
    state: str = "SUBMITTED"
    details: str = ""


@dataclass
class JobRun:
    id: str
    application: Application
    request: dict[str, Any]
    caller: str
    region: str
    workers: Workers
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    attempts: list[Attempt] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    reason: str = ""  # why it is to stop
    fails: bool = False  # stopping is the service's own, and ends as FAILED
    grace_seconds: float = 0.0
    digest: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0  # of all attempts, as the service counts them
    queued_seconds: float = 0.0

    @property
    def attempt(self) -> Attempt:
        return self.attempts[-1]

    @property
    def arn(self) -> str:
        return f"{self.application.arn}/jobruns/{self.id}"

    def stop(self, reason: str, fails: bool = False) -> None:
        self.reason, self.fails = reason[:256], fails
        self.stopping.set()


def check_request(request: dict[str, Any]) -> None:
    """
    Raises:
        ServiceError: what the model cannot say and the service refuses all the same.
    """
    if "sparkSubmit" not in request.get("jobDriver", {}):
        raise ServiceError("ValidationException", "Job driver must be sparkSubmit for an application of type Spark")
    minutes = request.get("executionTimeoutMinutes", 720)
    if request.get("mode", "BATCH") == "BATCH" and not 5 <= minutes <= 10080:
        raise ServiceError("ValidationException", f"RunTimeout must be between 5 minutes and 10080 minutes, is {minutes}")


def view(run: JobRun, number: int | None = None) -> dict[str, Any]:
    """The model's JobRun, of its newest or of another attempt."""
    if number is not None and number > len(run.attempts):
        raise ServiceError("ResourceNotFoundException", f"Job run {run.id} has no attempt {number}")
    attempt = run.attempts[(number or 0) - 1]
    names = ("name", "executionIamPolicy", "configurationOverrides", "jobDriver", "tags", "retryPolicy", "flexExecution")
    found = {name: run.request[name] for name in names if name in run.request}
    found |= {
        "applicationId": run.application.id,
        "jobRunId": run.id,
        "arn": run.arn,
        "createdBy": run.caller,
        "createdAt": run.created_at,
        "updatedAt": attempt.updated_at,
        "executionRole": run.request["executionRoleArn"],
        "state": attempt.state,
        "stateDetails": attempt.details,
        "releaseLabel": run.application.settings["releaseLabel"],
        "executionTimeoutMinutes": run.request.get("executionTimeoutMinutes", 720),
        "mode": run.request.get("mode", "BATCH"),
        "attempt": attempt.number,
        "attemptCreatedAt": attempt.created_at,
        "attemptUpdatedAt": attempt.updated_at,
        "queuedDurationMilliseconds": int(run.queued_seconds * 1000),
        "totalResourceUtilization": run.workers.utilization(run.seconds, billed=False),
    }
    if run.started_at:
        found["startedAt"] = run.started_at
    if run.digest and run.application.image:
        found["imageConfiguration"] = {
            "imageUri": run.application.image,
            "resolvedImageDigest": run.digest,
            "applicationLevelDigestResolution": run.application.fixes_digest,
        }
    if run.ended_at and attempt.state in OVER:
        found |= {"endedAt": run.ended_at, "totalExecutionDurationSeconds": round(run.seconds)}
        if run.started_at:
            found["billedResourceUtilization"] = run.workers.utilization(run.seconds, billed=True)
    return found


def summary(run: JobRun, attempt: Attempt | None = None) -> dict[str, Any]:
    """The model's JobRunSummary, or, with `attempt`, its JobRunAttemptSummary."""
    full = view(run, attempt.number if attempt else None)
    names = ["applicationId", "name", "mode", "arn", "createdBy", "executionRole", "state", "stateDetails", "releaseLabel", "attempt"]
    found = {name: full[name] for name in names if name in full} | {"id": run.id, "type": "Spark"}
    if attempt:
        return found | {"jobCreatedAt": run.created_at, "createdAt": attempt.created_at, "updatedAt": attempt.updated_at}
    times = ("createdAt", "updatedAt", "attemptCreatedAt", "attemptUpdatedAt")
    return found | {name: full[name] for name in times}
