"""
For the local stack: BUCKET, made if it is not there, and below its `photos/` the photos of FOLDER; the published sample if FOLDER is
docker/sample.

Usage: fill_bucket.py BUCKET FOLDER MARK. What is there with the same size is not sent again, so a second start embeds nothing. MARK is a
file made when all is there, or when there are no photos to get: then the job says so. After that it idles, because
`up --exit-code-from job` ends when any container ends.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.errors import AssetError
from cli.photos.assets import SAMPLE_CLASSES, SAMPLE_IMAGES, sample
from cli.ui.boundary import explain
from cli.ui.output import say_error
from job.contract.errors import JobError
from job.storage.s3_client import S3_ERRORS, client
from job.storage.s3_client import translate_error as explain_s3

PREFIX = "photos/"
SAMPLE = ".sample"  # a file of docker/sample
HINT = "start the stack with a folder that has one sub-folder per label: PHOTOS=./photos docker compose up"
CONNECTIONS = 16


def fill(bucket: str, folder: Path) -> None:
    s3 = client()
    if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    there = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    with tempfile.TemporaryDirectory() as downloads:
        if (folder / SAMPLE).is_file():
            folder = Path(downloads)
            if not there:
                sample(folder, SAMPLE_IMAGES, SAMPLE_CLASSES, None, lambda *_: None)
        elif not any(path.is_file() for path in folder.rglob("*")):
            raise AssetError("there are no photos in the folder that PHOTOS names", HINT)
        files = {PREFIX + path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        new = [key for key, path in files.items() if there.get(key) != path.stat().st_size]

        def send(key: str) -> None:
            with files[key].open("rb") as photo:
                s3.put_object(Bucket=bucket, Key=key, Body=photo)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            list(threads.map(send, new))
    print(f"s3://{bucket}/{PREFIX}: {len(there.keys() | files.keys()):,} photos, {len(new):,} of them new", flush=True)


def main(bucket: str, folder: Path, mark: Path) -> None:
    try:
        fill(bucket, folder)
    except AssetError as error:
        say_error(str(error), HINT)
    except (JobError, *S3_ERRORS) as error:
        refused = error if isinstance(error, JobError) else explain_s3(error, f"s3://{bucket}/{PREFIX}")
        say_error(str(refused), refused.hint)
        sys.exit(refused.code)
    except Exception as error:  # noqa: BLE001 - the edge of the program: one line, not a traceback
        ended = explain(error)
        say_error(str(ended), ended.hint)
        sys.exit(ended.exit_code)
    mark.touch()
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
