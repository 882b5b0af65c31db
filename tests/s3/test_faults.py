"""S3 on a bad day: GETs of photos are refused, reset and truncated. Nothing is missing, nothing is rejected that is not broken."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from job.contract.errors import FetchError
from job.contract.uris import bucket_and_key
from job.imaging.decode import decode_image
from job.imaging.networks import MeanColour
from job.inputs.fetch import ListedImage, fetch
from job.storage.folders import open_folder
from tests.s3.proxy import Faults, Proxy

NO_BREAK_SPACE = "photos/a\u00a0b.jpg"  # a key that obstore cannot name: it is read with boto3


def put(client, bucket: str, contents: dict[str, bytes]) -> list[ListedImage]:
    def put_one(key: str) -> ListedImage:
        etag = client.put_object(Bucket=bucket, Key=key, Body=contents[key])["ETag"].strip('"')
        return ListedImage(f"s3://{bucket}/{key}", etag, len(contents[key]), None)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(put_one, contents))


@pytest.mark.parametrize("kind", ["slow_down", "reset", "truncate"])
def test_a_photo_whose_first_get_goes_wrong_comes_whole(bucket: str, s3_server, proxy: Proxy, sample: Path, kind: str):
    photos = [path.read_bytes() for path in sorted(sample.glob("Test/Peach/*.jpg"))]
    contents = {f"photos/{n}.jpg": photo for n, photo in enumerate(photos)} | {NO_BREAK_SPACE: photos[0]}
    keys = put(s3_server.client(), bucket, contents)
    proxy.faults = Faults(prefix="photos/", first=1, **{kind: 1.0})

    assert [content for _, content in fetch(keys)] == list(contents.values())
    assert proxy.done[kind] == 11


@pytest.mark.parametrize("key", ["photos/a.jpg", NO_BREAK_SPACE])
def test_a_body_that_ends_early_every_time_is_no_photo(bucket: str, s3_server, proxy: Proxy, sample: Path, key: str):
    photo = next(sample.glob("Test/Peach/*.jpg")).read_bytes()
    keys = put(s3_server.client(), bucket, {key: photo})
    proxy.faults = Faults(truncate=1.0)

    ((_, content),) = fetch(keys)

    assert isinstance(content, FetchError)
    assert str(content) == "no response from S3"


def rows(bucket: str, table: str, s3_server) -> list[dict]:
    """Of a Delta table, read without Spark and without the proxy."""
    options = {"aws_endpoint": s3_server.endpoint, "aws_allow_http": "true", "aws_region": "eu-west-3"}
    options |= {"aws_access_key_id": s3_server.access_key, "aws_secret_access_key": s3_server.secret_key}
    client, parts = s3_server.client(), []
    for uri in DeltaTable(f"s3://{bucket}/out/{table}", storage_options=options).file_uris():
        part_bucket, key = bucket_and_key(uri)
        parts.append(pq.read_table(io.BytesIO(client.get_object(Bucket=part_bucket, Key=key)["Body"].read())))
    return pa.concat_tables(parts).to_pylist() if parts else []


def test_a_run_with_faults_on_fifteen_percent_of_the_gets_rejects_only_what_is_broken(
    bucket: str, s3_server, proxy: Proxy, sample: Path, cache: Path, short_jvm: dict[str, str]
):
    contents = {f"photos/{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(sample.glob("Test/*/*.jpg"))}
    whole = next(iter(contents.values()))
    broken = {"photos/Broken/half.jpg": whole[: len(whole) // 2], "photos/Broken/text.jpg": b"not a photo"}
    put(s3_server.client(), bucket, contents | broken)
    proxy.faults = Faults(slow_down=0.05, reset=0.05, truncate=0.05, prefix="photos/")

    command = [sys.executable, "-m", "cli", "run", f"s3://{bucket}/photos", f"s3://{bucket}/out", "--local", "--json"]
    environment = {**os.environ, **short_jvm, "FRUITS_CACHE": str(cache)}
    done = subprocess.run([*command, "--model", "mean_colour"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads(done.stdout)
    assert (manifest["counts"]["listed"], manifest["counts"]["embedded"], manifest["counts"]["rows"]) == (252, 250, 250)
    assert min(proxy.done[kind] for kind in ("slow_down", "reset", "truncate")) >= 5
    rejected = {row["uri"]: row["stage"] for row in rows(bucket, "rejects", s3_server)}
    assert rejected == {f"s3://{bucket}/{key}": "decode" for key in broken}

    features = rows(bucket, "features", s3_server)
    network = MeanColour()
    expected = {f"s3://{bucket}/{key}": network(decode_image(content, 32).pixels) for key, content in contents.items()}
    assert sorted(row["uri"] for row in features) == sorted(expected)
    for row in features:
        np.testing.assert_array_equal(np.float32(row["embedding"]), expected[row["uri"]])


def test_a_small_file_whose_first_answers_break_off_comes_whole(bucket: str, s3_server, proxy: Proxy):
    s3_server.client().put_object(Bucket=bucket, Key="out/latest.json", Body=b'{"run_id": "1"}')
    proxy.faults = Faults(truncate=1.0, first=3)

    stored = open_folder(f"s3://{bucket}/out").read("latest.json")

    assert stored is not None
    assert stored.content == b'{"run_id": "1"}'
    assert proxy.done["truncate"] == 3


def test_a_file_that_is_missing_is_missing_when_the_first_refusals_break_off(bucket: str, proxy: Proxy):
    proxy.faults = Faults(truncate=1.0, first=3)

    assert open_folder(f"s3://{bucket}/out").read("latest.json") is None
    assert proxy.done["truncate"] == 3
