"""Keys that S3 holds and no file system can, on moto's server: listed as they are, fetched as they were put."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.server import ThreadedMotoServer

from job.contract.filenames import ListingRow
from job.inputs.fetch import ListedImage, fetch
from job.stages.listing import check_input, folders_to_list, list_folders
from job.storage import s3_client

LONG = "ü" * 150  # 300 bytes
LABELS = {
    "photos/a//b.jpg": None,  # below a folder without a name
    "photos//b.jpg": None,
    "photos///b.jpg": None,
    "photos/a.jpg": None,
    "photos/a.jpg/b.jpg": "a.jpg",
    f"photos/{LONG}/{LONG}.jpg": LONG,
    "photos/./b.jpg": ".",
    "photos/../b.jpg": "..",
    "photos/a/../../b.jpg": "..",
    "photos/Pear/./b.jpg": ".",
    "photos/Pear/tab\t and delete\x7f.jpg": "Pear",
    'photos/Pear/back\\slash*?[a]{b}|<>:".jpg': "Pear",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of an empty bucket, which the environment leads to."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"ACCESS_KEY_ID": "anybody", "SECRET_ACCESS_KEY": "anything", "ENDPOINT_URL_S3": endpoint, "REGION": "eu-west-3"}
    settings |= {"CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull, "EC2_METADATA_DISABLED": "true"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3_client.client.cache_clear()
    name = f"fruits-{uuid.uuid4().hex[:12]}"
    s3_client.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    yield name
    s3_client.client.cache_clear()


def put(bucket: str, contents: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3_client.client().put_object(Bucket=bucket, Key=key, Body=contents[key]), contents))


def listed(uri: str, at_least: int) -> list[ListingRow]:
    check_input(uri)
    return list(list_folders(uri, folders_to_list(uri, at_least)))


@pytest.mark.parametrize("at_least", [1, 1000])
def test_every_key_is_listed_once_with_its_label_however_finely_the_prefix_is_cut(bucket: str, at_least: int):
    put(bucket, dict.fromkeys(LABELS, b"fruit"))

    found = listed(f"s3://{bucket}/photos", at_least)

    assert len(found) == 12
    assert {str(row.uri).removeprefix(f"s3://{bucket}/"): row.label for row in found} == LABELS


def test_every_key_is_fetched_with_the_content_it_was_put_with(bucket: str):
    contents = {key: f"content of {n}".encode() for n, key in enumerate(LABELS)}
    put(bucket, contents | {"b.jpg": b"not asked for", "photos/b.jpg": b"not asked for", "photos/Pear/b.jpg": b"not asked for"})

    keys = [ListedImage(str(row.uri), str(row.etag), row.size or 0, row.label) for row in listed(f"s3://{bucket}/photos", 8)]
    found = {key.uri.removeprefix(f"s3://{bucket}/"): content for key, content in fetch(keys)}

    assert {key: found[key] for key in contents} == contents


def test_pages_continue_below_many_levels(bucket: str):
    deep = {f"photos/1/2/3/4/5/6/7/8/{n}.jpg": b"" for n in range(1100)}
    put(bucket, deep)

    assert sorted(str(row.uri) for row in listed(f"s3://{bucket}/photos", 1000)) == sorted(f"s3://{bucket}/{key}" for key in deep)
