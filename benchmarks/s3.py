"""
`python -m benchmarks.s3`: what a slow S3 costs, and a large one. A real S3 server behind a proxy that adds 60 ms to every GET.

Ours from local disk, ours from S3, our reading alone and the notebook from S3 alternate on the same photos, repeat by repeat. Server and
proxy run on the same cores as what is measured, and cost all of them time. Tables on stdout, JSON in `--out`, progress on stderr.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.runs import Bench, BenchmarkError, Run, prepare, say
from benchmarks.targets import AT_LEAST, AT_MOST, Measure, markdown, ratios, table
from tests.s3.proxy import Faults, Proxy
from tests.s3.server import REGION, Server, versitygw

DELAY_SECONDS = 0.060
BUCKET = "fruits"
PREFIXES = 131  # labels of the published dataset


@dataclass(frozen=True)
class Repeat:
    """Runs on the same photos that followed each other."""

    disk: Run  # ours from local disk
    slow: Run  # ours from the slow S3 to the slow S3
    reading: dict[str, Any]  # benchmarks.reading.Reading on the slow S3
    notebook: Run  # B1 from the slow S3 to the slow S3


@dataclass(frozen=True)
class Results:
    machine: dict[str, str]
    photos: int
    keys: int
    listing: dict[str, Any]  # benchmarks.reading.Reading of the many keys, without the delay
    repeats: list[Repeat] = field(default_factory=list)


def choose(sample: Path, count: int) -> Iterator[Path]:
    """`count` photos, evenly of all folders."""
    photos = sorted(sample.rglob("*.jpg"))
    return (photos[number * len(photos) // count] for number in range(count))


def copy_photos(sample: Path, target: Path, server: Server, count: int) -> None:
    """The same photos on disk and in the bucket, under photos/."""
    client = server.client()
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def copy(path: Path) -> None:
        copied = target / path.relative_to(sample)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        client.upload_file(str(path), BUCKET, f"photos/{path.relative_to(sample)}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(copy, choose(sample, count)))


def make_keys(server: Server, keys: int) -> None:
    """Small objects under many/, put where the server keeps its own: a file each, its ETag beside it as the server writes it."""
    content = b"fruit"
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest().encode()
    for prefix in range(PREFIXES):
        folder = server.folder / BUCKET / "many" / f"label {prefix:03}"
        folder.mkdir(parents=True)
        for number in range(prefix, keys, PREFIXES):
            path = folder / f"{number:06}.jpg"
            path.write_bytes(content)
            os.setxattr(path, "user.etag", etag)


def measure(bench: Bench, server: Server, photos: int, keys: int, repeats: int, out: Path) -> Results:
    """
    Everything; what there is so far is in `out` after each part.

    Raises:
        BenchmarkError: one of the runs failed.
    """

    def keep(results: Results) -> Results:
        out.write_text(json.dumps({"targets": [measure.to_json() for measure in judge(results)], **asdict(results)}, indent=2) + "\n")
        out.with_suffix(".md").write_text(to_markdown(results) + "\n")
        return results

    machine, local = describe_machine(), bench.work / "photos"
    say(f"{photos:,} photos and {keys:,} keys onto the S3 server")
    copy_photos(bench.assets / "fruits-360-sample", local, server, photos)
    make_keys(server, keys)
    source, direct = f"s3://{BUCKET}/photos", replace(bench, environment=server.environment())
    say("listing the keys")
    results = keep(Results(machine, photos, keys, direct.reading(f"s3://{BUCKET}/many", fetch=False)))
    direct.limit(local)  # converts the network, fills the page cache
    with Proxy(server.endpoint, Faults(delay_seconds=DELAY_SECONDS)) as proxy:
        slow = replace(bench, environment=server.environment() | {"AWS_ENDPOINT_URL_S3": proxy.url})
        for number in range(1, repeats + 1):
            say(f"repeat {number}: ours, local disk")
            disk = bench.ours(local, bench.work / f"out-{number}")
            say(f"repeat {number}: ours, slow S3")
            ours = slow.ours(source, f"s3://{BUCKET}/out-{number}")
            say(f"repeat {number}: our reading, slow S3")
            reading = slow.reading(source, fetch=True)
            say(f"repeat {number}: notebook B1, slow S3")
            notebook = slow.notebook(source, "B1", f"s3://{BUCKET}/notebook-{number}")
            results = keep(replace(results, repeats=[*results.repeats, Repeat(disk, ours, reading, notebook)]))
    return results


def judge(results: Results) -> list[Measure]:
    """One row per target, of what has been measured so far."""
    listing = [
        Measure(f"listing {results.keys:,} keys in {PREFIXES} prefixes", [results.listing["list_seconds"]], AT_MOST, 30, "s", 1),
        Measure("driver memory for this listing", [results.listing["driver_mb"]], AT_MOST, 500, "MB", 0),
    ]
    if not results.repeats:
        return listing
    delay = f"{1000 * DELAY_SECONDS:.0f} ms added to every GET"
    repeats = results.repeats
    disk, slow = ([getattr(repeat, run).stages["embed"].images_per_second for repeat in repeats] for run in ("disk", "slow"))
    ours = [repeat.reading["list_seconds"] + repeat.reading["fetch_seconds"] for repeat in repeats]
    read = [repeat.notebook.stages["read"].seconds for repeat in repeats]
    whole = ratios([repeat.notebook.seconds for repeat in repeats], [repeat.slow.seconds for repeat in repeats])
    return [
        Measure(f"embed stage from S3 with {delay}, {results.photos:,} photos, against local disk", ratios(slow, disk), AT_LEAST, 0.90),
        Measure("list and fetch from that S3, against the notebook's `binaryFile` read", ratios(read, ours), AT_LEAST, 15, digits=1),
        Measure("whole job from that S3, against the notebook's", whole, AT_LEAST, 7, digits=1),
        *listing,
    ]


def to_markdown(results: Results) -> str:
    machine = markdown(("machine", ""), list(results.machine.items()))
    return "\n\n".join([table(judge(results)), machine, stage_table(results)])


def stage_table(results: Results) -> str:
    """Every stage of the first repeat; nothing before there is one."""
    if not results.repeats:
        return ""
    first = results.repeats[0]
    runs = {"ours, local disk": first.disk, "ours, slow S3": first.slow, "notebook B1, slow S3": first.notebook}
    rows = [(name, stage, f"{figures.seconds:.1f}") for name, run in runs.items() for stage, figures in run.stages.items()]
    rows += [(name, "whole process", f"{run.seconds:.1f}") for name, run in runs.items()]
    rows += [("our reading, slow S3", part, f"{first.reading[f'{part}_seconds']:.1f}") for part in ("list", "fetch")]
    return markdown(("first repeat", "stage", "seconds"), rows)


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.s3", description="ours and the notebook on a slow S3")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--work", type=Path, help="folder for a temporary one with photos and outputs, 2 GB, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it the tables and the log; default: benchmarks/results/DATE-s3.json")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    out = args.out or Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}-s3.json"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work:
        try:
            bench = prepare(args.assets, work, None, out)
            (bench.work / "s3").mkdir()
            with versitygw(bench.work / "s3") as server:
                results = measure(bench, server, args.photos, args.keys, args.repeats, out)
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    say(f"done in {(time.monotonic() - began) / 60:.0f} minutes, figures in {out}")
    print(to_markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
