"""A run's lines in, put where the service puts them: CloudWatch Logs while it runs, S3 when it has ended."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

GROUP = "/aws/emr-serverless"
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/logging.html
DEFAULT_TYPES = {"SPARK_DRIVER": ["STDOUT", "STDERR"]}


class DriverLog:
    """Of one attempt. A log group that is not there is not made: the runtime role may not; the lines are only in S3 then."""

    def __init__(self, client: Callable[[str, str], Any], region: str, monitoring: dict[str, Any], place: str, delay: float) -> None:
        """`place` is `applications/<id>/jobs/<id>[/attempts/<n>]/SPARK_DRIVER`; `delay` in seconds until a line is in CloudWatch."""
        self._client, self._region, self._place, self._delay = client, region, place, delay
        self._lines: dict[str, list[tuple[int, str]]] = {"stdout": [], "stderr": []}
        self._sent = dict.fromkeys(self._lines, 0)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._s3 = monitoring.get("s3MonitoringConfiguration", {}).get("logUri")
        watch = monitoring.get("cloudWatchLoggingConfiguration", {})
        self._group = watch.get("logGroupName", GROUP) if watch.get("enabled") else None
        prefix = watch.get("logStreamNamePrefix")
        self._stream = f"{prefix}/{place}" if prefix else place
        self._types = {kind.lower() for kind in watch.get("logTypes", DEFAULT_TYPES).get("SPARK_DRIVER", [])}
        self._thread = threading.Thread(target=self._send_all, name=f"log of {place}", daemon=True)
        self._thread.start()

    def write(self, stream: str, line: str) -> None:
        with self._lock:
            self._lines[stream].append((int(time.time() * 1000), line))

    def close(self) -> None:
        """All lines are where they belong when it returns."""
        self._over.set()
        self._thread.join()
        if self._s3:
            bucket, prefix = urlsplit(self._s3).netloc, urlsplit(self._s3).path.strip("/")
            for stream, lines in self._lines.items():
                body = gzip.compress("".join(f"{line}\n" for _, line in lines).encode())
                key = f"{prefix}/{self._place}/{stream}.gz".lstrip("/")
                self._client("s3", self._region).put_object(Bucket=bucket, Key=key, Body=body)

    def _send_all(self) -> None:
        if self._group is None:
            self._over.wait()
            return
        logs = self._client("logs", self._region)
        try:
            for stream in self._types & self._lines.keys():
                logs.create_log_stream(logGroupName=self._group, logStreamName=f"{self._stream}/{stream}")
        except logs.exceptions.ResourceNotFoundException:
            return
        while not self._over.wait(self._delay):
            self._send(logs)
        self._send(logs)

    def _send(self, logs: Any) -> None:
        for stream in self._types & self._lines.keys():
            with self._lock:
                lines = self._lines[stream][self._sent[stream] :][:1000]
            # CloudWatch takes no empty message: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_InputLogEvent.html
            events = [{"timestamp": at, "message": line or " "} for at, line in lines]
            if events:
                logs.put_log_events(logGroupName=self._group, logStreamName=f"{self._stream}/{stream}", logEvents=events)
            self._sent[stream] += len(lines)
