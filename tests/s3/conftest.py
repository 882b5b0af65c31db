"""A real S3 server for the session; a fresh bucket for each test, which the environment leads to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from job.storage import s3_client
from tests.s3.proxy import Proxy
from tests.s3.server import REGION, Server, versitygw


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of an empty bucket; this process and its children reach it as the job does, by the environment alone."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    name = f"fruits-{uuid.uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3_client.client.cache_clear()
    yield name
    s3_client.client.cache_clear()


@pytest.fixture
def proxy(bucket: str, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between S3 and everything that the environment leads there."""
    with Proxy(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        s3_client.client.cache_clear()
        yield proxy
