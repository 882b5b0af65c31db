"""
For the local stack: BUCKET, made if it is not there, and below its `photos/` the photos of FOLDER; the published sample if there are none.

Usage: fill_bucket.py BUCKET FOLDER MARK. What is there with the same size is not sent again, so a second start embeds nothing. MARK is a
file made when all is there; then it idles, because `up --exit-code-from job` ends when any container ends.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.assets import SAMPLE_CLASSES, SAMPLE_IMAGES, sample
from job.s3 import client

PREFIX = "photos/"
CONNECTIONS = 16


def fill(bucket: str, folder: Path) -> None:
    s3 = client()
    if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    there = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    with tempfile.TemporaryDirectory() as downloads:
        if not any(path.is_file() for path in folder.rglob("*")) and not there:
            folder = Path(downloads)
            sample(folder, SAMPLE_IMAGES, SAMPLE_CLASSES, None, lambda *_: None)
        files = {PREFIX + path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        new = [key for key, path in files.items() if there.get(key) != path.stat().st_size]
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            list(threads.map(lambda key: s3.upload_file(str(files[key]), bucket, key), new))
    print(f"s3://{bucket}/{PREFIX}: {len(there.keys() | files.keys()):,} photos, {len(new):,} of them new", flush=True)


if __name__ == "__main__":
    fill(sys.argv[1], Path(sys.argv[2]))
    Path(sys.argv[3]).touch()
    signal.pause()
