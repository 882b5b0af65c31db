"""The proxy makes the trouble it says, always the same, and otherwise passes everything on."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from job.storage.s3_client import S3_ERRORS, error_code
from tests.s3.proxy import Faults, Proxy

ONE_TRY = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes


@pytest.fixture
def proxy(bucket: str, s3_server) -> Iterator[Proxy]:
    with Proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy):
    """Through the proxy, without a second try."""
    return boto3.client("s3", region_name="eu-west-3", endpoint_url=proxy.url, config=ONE_TRY)


def get(client, bucket: str, key: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A signed GET with nothing between the socket and the caller."""
    url = urlsplit(client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}))
    connection = http.client.HTTPConnection(url.netloc)
    connection.request("GET", f"{url.path}?{url.query}")
    return connection, connection.getresponse()


@pytest.mark.parametrize("key", ["a.jpg", "é 🍎/a b%20#+=&?.jpg", "a/b/c/d/e/f.jpg"])
def test_without_faults_all_requests_go_through_with_valid_signatures(bucket: str, proxy: Proxy, client, key: str):
    client.put_object(Bucket=bucket, Key=key, Body=CONTENT)

    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == CONTENT
    assert client.get_object(Bucket=bucket, Key=key, Range="bytes=10-19")["Body"].read() == CONTENT[10:20]
    assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == 1_024_000
    assert [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    client.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    assert proxy.done == {"passed": 7}


def test_an_error_of_the_server_comes_through_as_it_is(bucket: str, client):
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket=bucket, Key="absent")
    client.put_object(Bucket=bucket, Key="a", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"first"


def test_slow_down_is_an_error_that_boto3_knows(bucket: str, proxy: Proxy, client):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=CONTENT)
    proxy.faults = Faults(slow_down=1.0)

    with pytest.raises(ClientError) as refused:
        client.get_object(Bucket=bucket, Key="a.jpg")

    assert refused.value.response["Error"]["Code"] == "SlowDown"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert proxy.done == {"passed": 1, "slow_down": 1}


def test_a_reset_connection_gives_no_answer(bucket: str, proxy: Proxy, client):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=CONTENT)
    proxy.faults = Faults(reset=1.0)

    with pytest.raises(ConnectionResetError):
        get(client, bucket, "a.jpg")

    assert proxy.done == {"passed": 1, "reset": 1}


def test_a_truncated_body_says_its_whole_length_and_ends_at_half(bucket: str, proxy: Proxy, client):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=CONTENT)
    proxy.faults = Faults(truncate=1.0)

    connection, response = get(client, bucket, "a.jpg")
    with pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    connection.close()

    assert (response.status, response.headers["Content-Length"]) == (200, "1024000")
    assert cut.value.partial == CONTENT[:512_000]
    assert proxy.done == {"passed": 1, "truncate": 1}


def test_only_gets_of_objects_below_the_prefix_meet_trouble_and_only_the_first_of_each(bucket: str, proxy: Proxy, client):
    proxy.faults = Faults(slow_down=1.0, prefix="photos/", first=1)
    for key in ("photos/a.jpg", "out/a.jpg"):
        client.put_object(Bucket=bucket, Key=key, Body=b"fruit")
        client.head_object(Bucket=bucket, Key=key)
    client.list_objects_v2(Bucket=bucket, Prefix="photos/")
    client.get_object(Bucket=bucket, Key="out/a.jpg")
    assert proxy.done == {"passed": 6}

    with pytest.raises(ClientError, match="SlowDown"):
        client.get_object(Bucket=bucket, Key="photos/a.jpg")
    client.get_object(Bucket=bucket, Key="photos/a.jpg")
    assert proxy.done == {"passed": 7, "slow_down": 1}


def test_the_same_seed_gives_the_same_keys_the_same_trouble_in_whatever_order(bucket: str, s3_server):
    keys = [f"{n}.jpg" for n in range(200)]
    direct = s3_server.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: direct.put_object(Bucket=bucket, Key=key, Body=b"fruit"), keys))

    def troubled(seed: int, order: list[str]) -> set[str]:
        with Proxy(s3_server.endpoint, Faults(slow_down=0.05, reset=0.05, truncate=0.05, seed=seed)) as proxy:
            client = boto3.client("s3", region_name="eu-west-3", endpoint_url=proxy.url, config=ONE_TRY)

            def fails(key: str) -> bool:
                try:
                    return client.get_object(Bucket=bucket, Key=key)["Body"].read() != b"fruit"
                except S3_ERRORS as error:
                    if error_code(error) not in ("", "SlowDown"):  # what the proxy does, and nothing else
                        raise
                    return True

            with ThreadPoolExecutor(16) as pool:
                return {key for key, failed in zip(order, pool.map(fails, order), strict=True) if failed}

    first = troubled(1, keys)
    assert troubled(1, keys[::-1]) == first
    assert troubled(2, keys) != first
    assert 15 <= len(first) <= 45  # 30 expected


def test_other_requests_than_gets_are_not_delayed(bucket: str, proxy: Proxy, client):
    proxy.faults = Faults(delay_seconds=3600)

    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"fruit")
    assert client.head_object(Bucket=bucket, Key="a.jpg")["ContentLength"] == 5
    client.delete_object(Bucket=bucket, Key="a.jpg")


def test_each_get_takes_the_delay_and_many_take_it_at_the_same_time(bucket: str, proxy: Proxy, client):
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"fruit")
    proxy.faults = Faults(delay_seconds=1.0)

    began = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: client.get_object(Bucket=bucket, Key="a.jpg")["Body"].read(), range(30)))
    seconds = time.monotonic() - began

    assert answers == [b"fruit"] * 30
    assert 1.0 <= seconds < 30.0  # what 30 delays in a row would take
