"""S3 on a bad day, in the middle of a run: errors, delays, broken answers, credentials that expire, a listing that is no longer true."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from job.contract.params import Params
from tests.faults.conftest import SHORT
from tests.faults.damage import damage, half_visible, table_of
from tests.faults.trouble import Rule, Trouble

OBJECTS = "/[^/]+/photos/.*"
KINDS = {
    "500": [Rule("500", 0.1)],
    "503": [Rule("503", 0.1)],
    "slow": [Rule("slow", 0.1, seconds=2.0)],
    "reset": [Rule("reset", 0.05)],
    "short reads": [Rule("short", 0.2, "GET")],
}
ALL = {
    "500, 503, slow, reset and short reads": [
        Rule("500", 0.03),
        Rule("503", 0.03),
        Rule("slow", 0.03),
        Rule("reset", 0.02),
        Rule("short", 0.1, "GET"),
    ]
}


@pytest.fixture
def proxy(bucket: str, s3_server) -> Iterator[Trouble]:
    with Trouble(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def uploaded(bucket: str, s3_server, photos) -> dict[str, bytes]:
    """The photos in the bucket: URI to content."""
    contents = {f"photos/{uri.rsplit('/', 2)[1]}/{uri.rsplit('/', 1)[1]}": content for uri, content in photos.items()}
    client = s3_server.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=contents[key]), contents))
    return {f"s3://{bucket}/{key}": content for key, content in contents.items()}


@pytest.fixture
def on_s3(bucket: str, jobs, proxy: Trouble):
    """Starts a run through the proxy. The environment of `bucket` leads straight to the server."""

    def start(run_id: str, **more):
        values = {"model": "mean_colour", "components": 2, "chunk_images": 20} | more
        params = Params(input=f"s3://{bucket}/photos", output=f"s3://{bucket}/out", run_id=run_id, **values)
        straight = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        return jobs.start(params, **{**straight, "AWS_ENDPOINT_URL_S3": proxy.url})

    return start


@pytest.fixture
def mirror(bucket: str, s3_server, tmp_path: Path):
    """OUTPUT as it is now, on disk; each time in another folder."""
    client, numbers = s3_server.client(), iter(range(100))

    def copy() -> Path:
        root = tmp_path / f"mirror-{next(numbers)}"
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="out/"):
            for found in page.get("Contents", []):
                path = root / found["Key"].removeprefix("out/")
                if not found["Key"].endswith("/"):  # S3A's markers of folders
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
        return root

    return copy


@pytest.mark.parametrize("kind", ALL if SHORT else KINDS)
def test_requests_that_fail_now_and_then_cost_time_alone(faults, on_s3, proxy, uploaded, mirror, kind):
    proxy.rules = tuple((ALL | KINDS)[kind])

    ended = on_s3("1").end()

    assert ended.code == 0, ended.log[-3000:]
    injected = proxy.done.total() - proxy.done["passed"]
    assert injected >= 10
    output = mirror()
    assert table_of(output, "rejects") == []
    faults(f"S3: {kind}, on a share of the requests", injected, damage(output, "1", uploaded), half_visible(output), ended.code)


@pytest.mark.full
def test_credentials_that_expire_in_mid_run_end_it_with_a_word(faults, on_s3, proxy, uploaded, mirror, bucket, s3_server):
    client = s3_server.client()
    running = on_s3("1", chunk_images=6, lease_seconds=10.0)
    running.wait_for(lambda: commits_in(client, bucket) >= 1)
    proxy.rules = (Rule("403"),)
    ended = running.end()
    proxy.rules = ()
    output = mirror()
    seen, before = half_visible(output), len(table_of(output, "features"))

    assert ended.code in (2, 3), ended.log[-3000:]  # from the first that asks: Spark, or the lease
    assert not (output / "latest.json").exists()
    assert 6 <= before < 60
    after = on_s3("1", lease_seconds=10.0).end()  # the same run again: no lease stops it
    assert after.code == 0, after.log[-3000:]
    output = mirror()
    counts = json.loads((output / "runs" / "1" / "manifest.json").read_text())["counts"]
    assert counts["embedded"] == 60 - before
    seen += half_visible(output)
    injected = proxy.done["403"]
    faults("S3: 403 ExpiredToken from the middle of a run on", injected, damage(output, "1", uploaded), seen, ended.code, after.seconds)


def commits_in(client, bucket: str) -> int:
    """Of features/, after the one that made the table."""
    found = client.list_objects_v2(Bucket=bucket, Prefix="out/features/_delta_log/").get("Contents", [])
    return sum(item["Key"].endswith(".json") for item in found) - 1


@pytest.mark.full
def test_a_listing_that_is_no_longer_true_costs_rejects_until_the_next_run(faults, on_s3, proxy, uploaded, mirror, bucket, s3_server):
    """Three photos deleted, three replaced and three added between the listing and the first read."""
    hold = Rule("held", 1.0, "GET", OBJECTS)
    proxy.rules = (hold,)
    running = on_s3("1", max_reject_ratio=0.2)
    running.wait_for(lambda: proxy.done["held"] > 0)
    client, uris = s3_server.client(), sorted(uploaded)
    gone, replaced, added = uris[:3], uris[3:6], [f"s3://{bucket}/photos/New/{number}.jpg" for number in range(3)]
    for uri in gone:
        client.delete_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))
    for uri in (*replaced, *added):
        client.put_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"), Body=uploaded[uris[-1]])
    hold.released.set()
    ended = running.end()

    assert ended.code == 0, ended.log[-3000:]
    output = mirror()
    rejects = {row["uri"]: row["reason"] for row in table_of(output, "rejects")}
    assert rejects == dict.fromkeys(gone, "no such file or directory") | dict.fromkeys(replaced, "changed since it was listed")
    seen = half_visible(output)
    now = {uri: uploaded[uris[-1]] if uri in (*replaced, *added) else uploaded[uri] for uri in {*uris, *added} - {*gone}}
    after = on_s3("2").end()
    assert after.code == 0, after.log[-3000:]
    output = mirror()
    seen += half_visible(output)
    faults("S3: stale listing (nine photos)", 1, damage(output, "2", now), seen, ended.code, after.seconds)
