"""
Our way from INPUT to bytes, without the network: list as the job lists, then fetch as a task fetches. Out: seconds, and what the listing
costs the driver in memory. Starting Spark, its SQL and its Python workers is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.memory import MB, Sampler
from job.contract.errors import FetchError
from job.contract.uris import from_text, is_s3, join
from job.inputs.fetch import ListedImage, fetch
from job.inputs.rows import ArrowRows, Rows, SparkRows, to_spark
from job.spark.session import start_session
from job.stages.embed import tasks_for
from job.stages.listing import list_images

FETCHED = pa.schema([("images", pa.int64()), ("bytes", pa.int64())])


@dataclass(frozen=True)
class Reading:
    images: int
    list_seconds: float
    fetch_seconds: float
    bytes: int
    driver_mb: float  # how far the driver and its JVM grew while listing, RSS


def fetch_all(spark: SparkSession, keys: Rows, tasks: int) -> tuple[int, int]:
    """Return how many images and how many bytes came."""

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (ListedImage(**row) for batch in batches for row in batch.to_pylist())
        sizes = [len(content) for _, content in fetch(rows) if not isinstance(content, FetchError)]
        yield pa.RecordBatch.from_pydict({"images": [len(sizes)], "bytes": [sum(sizes)]}, FETCHED)

    parts = keys.select(*ListedImage._fields).map_in_arrow(spark, tasks, read, FETCHED).to_arrow()
    return sum(parts["images"].to_pylist()), sum(parts["bytes"].to_pylist())


def warm_up(spark: SparkSession) -> None:
    """Start the Python workers of both kinds of Rows, which are other processes, and Spark's way through Arrow."""
    cores = spark.sparkContext.defaultParallelism
    table = pa.table({"number": range(cores)}, pa.schema([("number", pa.int64())]))
    rows: tuple[Rows, ...] = ArrowRows(table), SparkRows(to_spark(spark, table), table.schema)
    for kind in rows:
        kind.map_in_arrow(spark, cores, lambda batches: iter(batches), table.schema).count()


def run(spark: SparkSession, images_uri: str, work_uri: str, wants_bytes: bool) -> Reading:
    """
    Raises:
        ValueError: not all that was listed could be fetched.
    """
    warm_up(spark)
    process = psutil.Process()
    before = driver_mb(process)
    with Sampler(process.pid) as sampler:
        began = time.perf_counter()
        listing = list_images(spark, images_uri, join(work_uri, "listing"))
        listed = time.perf_counter()
        after = driver_mb(process)  # on the driver a listing may be over before the first sample
    moments: dict[float, float] = {}
    for sample in sampler.samples:
        if sample.kind in ("driver", "jvm"):
            moments[sample.at] = moments.get(sample.at, 0.0) + sample.rss_mb
    tasks = tasks_for(listing.count, spark.sparkContext.defaultParallelism)
    images, size = fetch_all(spark, listing.images, tasks) if wants_bytes else (0, 0)
    fetched = time.perf_counter()
    if wants_bytes and images != listing.count:
        raise ValueError(f"{listing.count} images were listed, {images} could be fetched")
    return Reading(listing.count, listed - began, fetched - listed, size, max([after, *moments.values()]) - before)


def driver_mb(process: psutil.Process) -> float:
    """RSS of this process and of the JVM below it, in MB."""
    jvms = (child for child in process.children(recursive=True) if child.name() == "java")
    return float(sum(one.memory_info().rss for one in (process, *jvms))) / MB


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.reading", description="our listing and fetching, timed")
    parser.add_argument("--images", required=True, help="folder, or s3:// address")
    parser.add_argument("--work", type=Path, required=True, help="folder for the listing")
    parser.add_argument("--fetch", action="store_true", help="also fetch everything")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    args = parser.parse_args()
    images_uri = from_text(args.images)
    spark = start_session("reading", is_s3(images_uri))
    reading = run(spark, images_uri, from_text(str(args.work.resolve())), args.fetch)
    spark.stop()
    if args.json:
        print(json.dumps(asdict(reading)))
        return
    print(f"{reading.images:,} images listed in {reading.list_seconds:.1f} s, the driver grew by {reading.driver_mb:.0f} MB")
    if args.fetch:
        print(f"{reading.bytes / 1e6:,.0f} MB fetched in {reading.fetch_seconds:.1f} s on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
