"""EMR Serverless's operations: parameters in, results out. A method for each, named as boto3 names it."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.standin.applications import Application, Applications
from tests.aws.standin.images import ImageFacts, resolve
from tests.aws.standin.job_run import summary, view
from tests.aws.standin.knobs import Durations
from tests.aws.standin.runner import Runner
from tests.aws.standin.runs import JobRuns
from tests.aws.standin.wire import ServiceError


@dataclass(frozen=True)
class Caller:
    arn: str
    account: str
    region: str  # the one it asks


class EmrServerless:
    """`quota_vcpu`, `image_facts` and `digests` may be set at any time."""

    def __init__(self, runner: Runner, durations: Durations, client: Callable[[str, str], Any]) -> None:
        self.quota_vcpu: float = math.inf
        self.image_facts: Callable[[str], ImageFacts] = lambda uri: ImageFacts()
        self.digests: Callable[[str, str], str | None] = lambda repository, reference: None
        self.applications = Applications(durations, lambda application: self._digest(client, application))
        self.job_runs = JobRuns(self.applications, runner, client, lambda: self.quota_vcpu)

    def close(self) -> None:
        self.applications.closed.set()
        self.job_runs.close()

    def _digest(self, client: Callable[[str, str], Any], application: Application) -> str:
        return resolve(client, application.view(), lambda uri: self.image_facts(uri), lambda *image: self.digests(*image))

    def create_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        made = self.applications.create(params, caller.region, caller.account)
        return {"applicationId": made.id, "arn": made.arn} | ({"name": params["name"]} if "name" in params else {})

    def get_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"application": self.applications.get(params["applicationId"]).view()}

    def list_applications(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = [application.summary() for application in self.applications.listed(params.get("states"))]
        return page("applications", found, params)

    def update_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"application": self.applications.update(params, caller.region).view()}

    def start_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self.applications.start(params["applicationId"])
        return {}

    def stop_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self.applications.stop(params["applicationId"])
        return {}

    def delete_application(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self.applications.delete(params["applicationId"])
        return {}

    def start_job_run(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        policy = params.get("executionIamPolicy", {}).get("policy")
        try:
            json.loads(policy or "{}")
        except ValueError as error:
            raise ServiceError("ValidationException", f"The execution policy is no JSON: {error}") from error
        run = self.job_runs.start(params, caller.region, caller.arn)
        return {"applicationId": run.application.id, "jobRunId": run.id, "arn": run.arn}

    def get_job_run(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"jobRun": view(self.job_runs.get(params["applicationId"], params["jobRunId"]), params.get("attempt"))}

    def list_job_runs(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = [summary(run) for run in self.job_runs.of(self.applications.get(params["applicationId"]).id)]
        after, before = params.get("createdAtAfter"), params.get("createdAtBefore")
        found = [
            run
            for run in found
            if (not params.get("states") or run["state"] in params["states"])
            and (after is None or run["createdAt"] >= after)
            and (before is None or run["createdAt"] <= before)
            and params.get("mode", run["mode"]) == run["mode"]
        ]
        return page("jobRuns", found, params)

    def list_job_run_attempts(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        run = self.job_runs.get(params["applicationId"], params["jobRunId"])
        return page("jobRunAttempts", [summary(run, attempt) for attempt in reversed(run.attempts)], params)

    def cancel_job_run(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        run = self.job_runs.get(params["applicationId"], params["jobRunId"])
        self.job_runs.cancel(run, params.get("shutdownGracePeriodInSeconds", 0))
        return {"applicationId": run.application.id, "jobRunId": run.id}

    def get_dashboard_for_job_run(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """An address that holds a secret and is good for an hour, as the service's is. Nothing is there."""
        run = self.job_runs.get(params["applicationId"], params["jobRunId"])
        until = datetime.now(UTC) + timedelta(hours=1)
        host = f"j-{run.id}.{run.application.id}.emrappui-prod.{caller.region}.amazonaws.com"
        return {"url": f"https://{host}/shs/history/?expires={until:%Y%m%dT%H%M%SZ}&authToken={secrets.token_urlsafe(24)}"}

    def tag_resource(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self._tags(params["resourceArn"]).update(params["tags"])
        return {}

    def untag_resource(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        tags = self._tags(params["resourceArn"])
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"tags": dict(self._tags(params["resourceArn"]))}

    def _tags(self, arn: str) -> dict[str, str]:
        _, _, path = arn.partition(":/applications/")
        application_id, _, job_run_id = path.partition("/jobruns/")
        settings = self.job_runs.get(application_id, job_run_id).request if job_run_id else self.applications.get(application_id).settings
        tags: dict[str, str] = settings.setdefault("tags", {})
        return tags


def page(name: str, found: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    """`nextToken` is where the next page begins."""
    begin, size = int(params.get("nextToken", 0)), params.get("maxResults", 50)
    more = {"nextToken": str(begin + size)} if begin + size < len(found) else {}
    return {name: found[begin : begin + size], **more}
