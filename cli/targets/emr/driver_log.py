"""
The driver's log: GetJobRun's answer in, lines out; live from CloudWatch, later from the bucket. Lines come late and files rotate.

https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/logging.html
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.aws.clients import Clients, retry_transient
from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError
from cli.settings.waiting import every
from cli.targets.base import LogLine, SubmittedRun, Tell
from cli.targets.emr import waits
from cli.ui.output import say
from job.contract.records import Progress, from_line
from job.contract.uris import bucket_and_key

OVERLAP_MS = 60_000  # asked for again each time: a line may arrive after younger ones
GROUP = "/aws/emr-serverless"  # the service's own, where a run names none
STREAMS_AT_ONCE = 100  # that FilterLogEvents takes


@dataclass(frozen=True)
class LogLocation:
    """Where one job run's logs are."""

    group: str | None  # None: not in CloudWatch
    streams: str  # what the names of its streams begin with
    archive: str | None  # s3:// URI that its files begin with; None: not in a bucket
    driver: str = "/SPARK_DRIVER/"  # in the names of the driver's streams and files, before `stdout` or `stderr`

    @classmethod
    def of(cls, job_run: dict[str, Any]) -> LogLocation:
        """Return the location from the run's own request, so that it is found from any machine."""
        wanted = job_run.get("configurationOverrides", {}).get("monitoringConfiguration", {})
        watch, bucket = wanted.get("cloudWatchLoggingConfiguration", {}), wanted.get("s3MonitoringConfiguration", {})
        below = f"applications/{job_run['applicationId']}/jobs/{job_run['jobRunId']}/"
        prefix = watch.get("logStreamNamePrefix")
        return cls(
            group=watch.get("logGroupName", GROUP) if watch.get("enabled") else None,
            streams=f"{prefix}/{below}" if prefix else below,
            archive=f"{bucket['logUri'].rstrip('/')}/{below}" if bucket.get("logUri") else None,
        )


class DriverLog:
    """`stdout` or `stderr` of all attempts. `new` gives each line once, in order of time."""

    def __init__(self, place: LogLocation, stream: str) -> None:
        self._place, self._stream = place, stream
        self._since_ms = 0
        self._seen: dict[str, int] = {}  # event id -> time

    def new(self, clients: Clients) -> list[LogLine]:
        """
        Return the lines since the last call; nothing while there is no stream.

        Raises:
            FruitsError: AWS refuses or gives no response.
        """
        if self._place.group is None:
            return []
        names = self._names(clients)
        found = [
            event for start in range(0, len(names), STREAMS_AT_ONCE) for event in self._events(clients, names[start:][:STREAMS_AT_ONCE])
        ]
        fresh = sorted((event for event in found if event["eventId"] not in self._seen), key=lambda event: int(event["timestamp"]))
        self._seen |= {event["eventId"]: event["timestamp"] for event in fresh}
        if fresh:
            self._since_ms = max(self._since_ms, fresh[-1]["timestamp"] - OVERLAP_MS)
            self._seen = {event: at for event, at in self._seen.items() if at >= self._since_ms}
        return [LogLine(event["message"].rstrip("\n"), event["timestamp"]) for event in fresh]

    def _names(self, clients: Clients) -> list[str]:
        """Return the streams, with those of later attempts, `attempts/<n>/SPARK_DRIVER/…`, and rotated ones, `stdout_…`."""
        client = clients("logs")
        with translate_aws_errors("logs:DescribeLogStreams"):
            try:
                pages = client.get_paginator("describe_log_streams").paginate(
                    logGroupName=self._place.group, logStreamNamePrefix=self._place.streams
                )
                names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
            except client.exceptions.ResourceNotFoundException:
                return []
        return [name for name in names if f"{self._place.driver}{self._stream}" in name]

    def _events(self, clients: Clients, names: list[str]) -> list[dict[str, Any]]:
        client = clients("logs")
        with translate_aws_errors("logs:FilterLogEvents"):
            try:
                pages = client.get_paginator("filter_log_events").paginate(
                    logGroupName=self._place.group, logStreamNames=names, startTime=self._since_ms
                )
                return [event for page in pages for event in page["events"]]
            except client.exceptions.ResourceNotFoundException:
                return []  # rotated away between the two calls


def archived(clients: Clients, place: LogLocation, stream: str) -> list[str]:
    """
    Return the same lines from the bucket, where they are after the end only; nothing if there are none.

    Raises:
        FruitsError: AWS refuses or gives no response.
    """
    if place.archive is None:
        return []
    bucket, prefix = bucket_and_key(place.archive)
    client = clients("s3")
    with translate_aws_errors("s3:ListBucket"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        files = [file for page in pages for file in page.get("Contents", []) if f"{place.driver}{stream}" in file["Key"]]
    lines: list[str] = []
    for file in sorted(files, key=lambda file: (file["LastModified"], file["Key"])):
        with translate_aws_errors("s3:GetObject"):
            try:
                content: bytes = client.get_object(Bucket=bucket, Key=file["Key"])["Body"].read()
            except client.exceptions.NoSuchKey:
                continue  # rotated since it was listed
        lines += _unzipped(content).decode("utf-8", "replace").splitlines()
    return lines


def latest_progress(clients: Clients, place: LogLocation) -> Progress | None:
    """Return what the job said last. A user who may not read the log can still see the state."""
    try:
        records = [from_line(line.text) for line in DriverLog(place, "stdout").new(clients)]
    except FruitsError as error:
        say(f"note: progress is not available: {error}")
        return None
    return next((record for record in reversed(records) if isinstance(record, Progress)), None)


def driver_log(
    clients: Clients, place: LogLocation, run: SubmittedRun, follow: bool, stream: str, over: Callable[[], bool], tell: Tell
) -> Iterator[LogLine]:
    """
    Yield the driver's log: live from CloudWatch, else from the bucket, where it is only after the end.

    Args:
        clients: of the run's Region.
        place: of the log.
        run: whose it is.
        follow: until `over()` is true, and no line comes any more.
        stream: `stdout` or `stderr`.
        over: asks the service.
        tell: receives what delays it.
    """
    log, shown, over_at = DriverLog(place, stream), 0, 0.0
    again = f"run `fruitsctl logs {run.run_id}`: the run does not wait for it"
    for _ in every(waits.POLL_SECONDS, waits.FOLLOW_SECONDS, f"the log of run `{run.run_id}` has not ended", again):
        lines = retry_transient(clients, lambda: log.new(clients), tell, waits.POLL_SECONDS, then=again)
        yield from lines
        shown += len(lines)
        if not follow or (over_at and (lines == [] or time.monotonic() > over_at + waits.LATE_SECONDS)):
            break
        ended = retry_transient(clients, over, tell, waits.POLL_SECONDS, then=again)
        over_at = over_at or (time.monotonic() if ended else 0.0)
    if not shown:
        yield from map(LogLine, archived(clients, place, stream))


def _unzipped(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return content  # written by something else than the service
