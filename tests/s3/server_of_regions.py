"""A server of S3 under AWS's own names, with buckets in several Regions."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from job.storage import s3_client
from job.storage.s3_client import bucket_store
from tests.s3.amazon import Amazon, amazon
from tests.unit.job.product.galleries import picture

BUCKETS = {"fruits-paris": "eu-west-3", "fruits.with.dots": "eu-west-3", "fruits-frankfurt": "eu-central-1", "fruits-virginia": "us-east-1"}


@pytest.fixture(scope="module", name="moto")
def a_moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


class Silent(BaseHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def served(handler: type[Silent]) -> Iterator[str]:
    """The address of a server that answers by `handler`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module", name="buckets")
def four_buckets(moto: str) -> Any:
    """A client of moto, and in each bucket two photos of two labels."""
    client = boto3.client("s3", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    for name, region in BUCKETS.items():
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=name, **place)
        for key, colour in (("Lime/a.png", (50, 160, 40)), ("Plum/b.png", (60, 30, 120)), ("Plum/c.png", (70, 40, 110))):
            client.put_object(Bucket=name, Key=f"photos/{key}", Body=picture(colour))
    return client


@pytest.fixture(name="aws")
def reached_as_aws(moto: str, buckets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """This process and its children meet moto where they expect AWS."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    with amazon(moto, tmp_path) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        s3_client.client.cache_clear()
        bucket_store.cache_clear()
        yield running
    s3_client.client.cache_clear()
    bucket_store.cache_clear()
