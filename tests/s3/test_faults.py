"""S3 on a bad day: GETs of photos are refused, reset and truncated, and the photos come whole. Whole runs are in tests/faults."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from job import s3
from job.errors import FetchError
from job.fetch import Key, fetch
from job.objects import open_folder
from tests.s3.proxy import Faults, Proxy

NO_BREAK_SPACE = "photos/a\u00a0b.jpg"  # a key that obstore cannot name: it is read with boto3


@pytest.fixture
def proxy(bucket: str, s3_server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between S3 and everything that the environment leads there."""
    with Proxy(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        s3.client.cache_clear()
        yield proxy


def put(client, bucket: str, contents: dict[str, bytes]) -> list[Key]:
    def put_one(key: str) -> Key:
        etag = client.put_object(Bucket=bucket, Key=key, Body=contents[key])["ETag"].strip('"')
        return Key(f"s3://{bucket}/{key}", etag, len(contents[key]), None)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(put_one, contents))


@pytest.mark.parametrize("kind", ["slow_down", "reset", "truncate"])
def test_a_photo_whose_first_get_goes_wrong_comes_whole(bucket: str, s3_server, proxy: Proxy, sample: Path, kind: str):
    photos = [path.read_bytes() for path in sorted(sample.glob("Test/Apricot/*.jpg"))]
    contents = {f"photos/{n}.jpg": photo for n, photo in enumerate(photos)} | {NO_BREAK_SPACE: photos[0]}
    keys = put(s3_server.client(), bucket, contents)
    proxy.faults = Faults(prefix="photos/", first=1, **{kind: 1.0})

    assert [content for _, content in fetch(keys)] == list(contents.values())
    assert proxy.done[kind] == 11


@pytest.mark.parametrize("key", ["photos/a.jpg", NO_BREAK_SPACE])
def test_a_body_that_ends_early_every_time_is_no_photo(bucket: str, s3_server, proxy: Proxy, sample: Path, key: str):
    photo = next(sample.glob("Test/Apricot/*.jpg")).read_bytes()
    keys = put(s3_server.client(), bucket, {key: photo})
    proxy.faults = Faults(truncate=1.0)

    ((_, content),) = fetch(keys)

    assert isinstance(content, FetchError)
    assert str(content) == "S3 did not answer"


def test_a_small_file_whose_first_answers_break_off_comes_whole(bucket: str, s3_server, proxy: Proxy):
    s3_server.client().put_object(Bucket=bucket, Key="out/latest.json", Body=b'{"run_id": "1"}')
    proxy.faults = Faults(truncate=1.0, first=3)

    stored = open_folder(f"s3://{bucket}/out").read("latest.json")

    assert stored is not None
    assert stored.content == b'{"run_id": "1"}'
    assert proxy.done["truncate"] == 3
