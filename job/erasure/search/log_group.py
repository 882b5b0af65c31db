"""Check that a CloudWatch log group can be read, and search its events for traces of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from job.contract.aws_session import make_client
from job.contract.errors import RegionError, SetupError
from job.contract.regions import outside_eu
from job.storage.s3_client import S3_ERRORS, error_code, session

if TYPE_CHECKING:
    from job.erasure.search.proof import Proof, SearchTerms


class LogGroup:
    """
    A log group of CloudWatch.

    Raises:
        SetupError: from both methods: there is no such group, it cannot be read, or no response from CloudWatch.
        RegionError: from both methods: the Region is outside the European Union.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self) -> None:
        """Raise an error if the log group cannot be read. Called before anything is removed: without a search nothing is proven."""
        try:
            self._client().filter_log_events(logGroupName=self.name, limit=1)
        except S3_ERRORS as error:
            raise self._explained(error) from error

    def search(self, terms: SearchTerms, proof: Proof) -> None:
        """Search all events and add each match to `proof.found` by its stream."""
        try:
            for page in self._client().get_paginator("filter_log_events").paginate(logGroupName=self.name):
                proof.log_events += len(page["events"])
                if not terms.in_bytes("\n".join(event["message"] for event in page["events"]).encode()):
                    continue  # mostly: one search for thousands of events
                for event in page["events"]:
                    if what := terms.in_bytes(event["message"].encode()):
                        proof.found.append(f"{self.name} {event['logStreamName']}: {what}")
        except S3_ERRORS as error:
            raise self._explained(error) from error

    def _client(self) -> Any:
        own = session()
        if problem := outside_eu(own.region_name):
            raise RegionError(*problem)
        # FilterLogEvents: five requests a second, https://repost.aws/knowledge-center/cloudwatch-logs-throttling
        return make_client(own, "logs", read_seconds=60)

    def _explained(self, error: Exception) -> SetupError:
        code = error_code(error)
        if code == "ResourceNotFoundException":
            return SetupError(
                f"there is no log group `{self.name}`",
                f"check --log-group and AWS_REGION with `aws logs describe-log-groups --region {session().region_name}`",
            )
        if code == "AccessDeniedException":
            return SetupError(f"access denied to log group `{self.name}`", "add logs:FilterLogEvents on it to your IAM policy")
        return SetupError(f"cannot read log group `{self.name}`: {error}", "check the credentials, AWS_REGION and the network")
