"""
`python -m benchmarks.gets`: CPU time of a GET with boto3 and with obstore, from a real S3 server, the same photos in turn.

What the process itself spends counts, not what it waits: a core that reads does not infer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.runs import say
from benchmarks.s3 import BUCKET, copy_photos
from benchmarks.targets import AT_LEAST, Measure, markdown, ratios, table
from job.inputs import fetch
from job.storage.s3_client import client
from tests.s3.server import versitygw


def milliseconds(read: Callable[[fetch.ListedImage], bytes], keys: list[fetch.ListedImage]) -> float:
    """CPU time of this process per key."""
    began = time.process_time()
    for key in keys:
        read(key)
    return 1000 * (time.process_time() - began) / len(keys)


def measure(sample: Path, work: Path, photos: int, repeats: int) -> list[Measure]:
    (work / "s3").mkdir()
    with versitygw(work / "s3") as server:
        os.environ.update(server.environment())
        copy_photos(sample, work / "photos", server, photos)
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [
            fetch.ListedImage(f"s3://{BUCKET}/{item['Key']}", item["ETag"].strip('"'), item["Size"], None)
            for page in pages
            for item in page["Contents"]
        ]

        def with_boto3(key: fetch.ListedImage) -> bytes:
            content: bytes = client().get_object(Bucket=BUCKET, Key=key.uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
            return content

        ways = {"boto3": with_boto3, "obstore": fetch.read_s3}
        for read in ways.values():
            milliseconds(read, keys[:20])  # connections, imports
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(1, repeats + 1):
            for name, read in ways.items():
                found[name].append(milliseconds(read, keys))
            say(f"repeat {number}: " + ", ".join(f"{name} {times[-1]:.2f} ms" for name, times in found.items()))
    return [
        Measure(f"CPU time of a GET with boto3 against obstore, {photos} photos", ratios(found["boto3"], found["obstore"]), AT_LEAST, 2),
    ]


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.gets", description="boto3 and obstore, CPU time of a GET")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.assets is None:
        parser.error("give --assets, or set FRUITS_ASSETS")
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        measures = measure(Path(args.assets).resolve() / "fruits-360-sample", Path(work), args.photos, args.repeats)
    print(table(measures) + "\n\n" + markdown(("machine", ""), list(describe_machine().items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
