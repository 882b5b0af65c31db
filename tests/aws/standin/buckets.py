"""Buckets that a stack makes or removes in moto, made or removed on the real S3 server too, where everybody looks for them."""

from __future__ import annotations

import threading
from typing import Any


class Mirror:
    """Of names alone: objects are only on the real server, settings of buckets only in moto."""

    def __init__(self, moto: Any, real: Any, region: str) -> None:
        """Two boto3 clients of S3."""
        self._moto, self._real, self._region = moto, real, region
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def update(self) -> None:
        """What one has and the other lacks: new in moto, it is made; gone from the real server, it goes from moto too."""
        with self._lock:
            made, real = _names(self._moto), _names(self._real)
            for name in made - real - self._known:
                self._real.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self._region})
            for name in (self._known & made) - real:
                self._moto.delete_bucket(Bucket=name)
            self._known = _names(self._moto)


def _names(s3: Any) -> set[str]:
    return {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
