"""
The real pipeline on photos that do not exist: a synthetic listing and synthetic features of the real width; everything else is the job.

    python -m benchmarks.scale.simulate --images 100000 --work FOLDER --json

Generated: the rows of the listing (addresses and etags of real length, 131 labels) and, in the place of fetch, decode and network, 1,280
float32 per photo. Run for real, by `job.pipeline.run` itself: writing and counting the listing, the anti-join, the commits to Delta,
moments, eigh, projection, Parquet and CSV, model, report, manifest. Then a second run that finds 1,000 more photos.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch
from zlib import crc32

import numpy as np
import pyarrow as pa
from pyspark.accumulators import Accumulator
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame, SparkSession

from benchmarks.memory import Sampler, peaks
from benchmarks.pca import FEATURES, synthetic_rows
from benchmarks.scale.files import Written, written
from job import moments, pipeline
from job.embed import Reject
from job.fetch import Key
from job.lease import Lease
from job.listing import FOUND, FOUND_ARROW
from job.models import Model
from job.objects import open_folder
from job.params import Params
from job.progress import Report, Running
from job.schema import EMBEDDED
from job.tombstones import Tombstones

LABELS = 131
ROWS_PER_LISTING_TASK = 250_000
ROWS_PER_BATCH = 4096
MORE = 1_000  # photos that the second run finds
LOADS = 10  # kept moments that are read again for the seconds of one


@dataclass(frozen=True)
class Pass:
    """One run."""

    stages: dict[str, float]  # seconds
    live_mb: dict[str, float]  # after each stage: the JVM's heap that is in use once garbage is collected
    counts: dict[str, int]
    files: dict[str, Written]  # of the whole OUTPUT after it


@dataclass(frozen=True)
class Simulated:
    images: int
    chunk_images: int
    first: Pass
    again: Pass  # MORE photos among `images` known ones
    driver_mb: float  # peak RSS of the Python driver over both
    jvm_mb: float  # peak RSS of the JVM, executors included
    chunks: int
    chunk_seconds: float  # to read the kept moments of one chunk

    @property
    def memory_mb(self) -> float:
        """What the driver needs: its Python at its peak and what is alive in its JVM."""
        return self.driver_mb + max(self.first.live_mb.values())


class Watched(Report):
    """Also how much of the JVM's heap is alive after each stage; collecting the garbage is no part of a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.live_mb: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Iterator[Running]:
        with super().stage(name, total, unit) as running:
            yield running
        runtime = SparkSession.getActiveSession().sparkContext._jvm.java.lang.Runtime.getRuntime()  # type: ignore[union-attr]
        runtime.gc()
        self.live_mb[name] = (runtime.totalMemory() - runtime.freeMemory()) / 1e6


def listing_rows(input_uri: str, numbers: Iterable[int]) -> pa.RecordBatch:
    """FOUND_ARROW: photos by their number, with addresses as long as those of Fruits-360."""
    uris = [f"{input_uri}/Training/Fruit variety {number % LABELS:03}/r{number:08}_100.jpg" for number in numbers]
    rows = len(uris)
    columns = {
        "uri": uris,
        "etag": [hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() for uri in uris],
        "size": [4_640] * rows,
        "label": [uri.rsplit("/", 2)[1] for uri in uris],
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(field.name, [None] * rows), field.type) for field in FOUND_ARROW], schema=FOUND_ARROW
    )


def list_synthetic(spark: SparkSession, input_uri: str, images: int) -> DataFrame:
    """In the place of `list_images`."""

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            numbers = batch.column(0).to_pylist()
            for first in range(0, len(numbers), ROWS_PER_BATCH):
                yield listing_rows(input_uri, numbers[first : first + ROWS_PER_BATCH])

    tasks = max(spark.sparkContext.defaultParallelism, -(-images // ROWS_PER_LISTING_TASK))
    return spark.range(0, images, 1, tasks).mapInArrow(rows, FOUND)


def embed_synthetic(
    keys: DataFrame, tasks: int, model: Broadcast[Model], rejects: Accumulator[set[Reject]], erased: Tombstones
) -> DataFrame:
    """In the place of `embed_images`, with the same shuffle before it."""

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            count = batch.num_rows
            values = synthetic_rows(count, crc32(batch.column("uri")[0].as_py().encode())).ravel()
            embedding = pa.ListArray.from_arrays(np.arange(0, values.size + 1, FEATURES, dtype=np.int32), pa.array(values))
            size = pa.array(np.full(count, 100, np.int32))
            columns = [batch.column("uri"), batch.column("etag"), batch.column("label"), size, size, embedding]
            yield pa.RecordBatch.from_arrays(columns, names=["uri", "etag", "label", "width", "height", "embedding"])

    return keys.select(*Key._fields).repartition(tasks).mapInArrow(rows, schema=EMBEDDED)


def run(params: Params, images: int) -> Pass:
    report, folder = Watched(), open_folder(params.output)

    def listed(spark: SparkSession, input_uri: str, content_hash: bool) -> DataFrame:
        return list_synthetic(spark, input_uri, images)

    synthetic = patch.multiple(pipeline, list_images=listed, embed_images=embed_synthetic)
    with synthetic, redirect_stdout(sys.stderr), Lease.acquire(folder, params.run_id) as lease:
        manifest = pipeline.run(params, folder, lease, report)
    stages = {name: stage.seconds for name, stage in report.stages.items()}
    return Pass(stages, report.live_mb, manifest.counts, written(Path(params.output.removeprefix("file://"))))


def seconds_of_a_chunk(output: str) -> tuple[int, float]:
    """How many chunks' moments are kept, and the seconds to read one."""
    folder = open_folder(output)
    names = [f"moments/{model}/{name}" for model in folder.names("moments") for name in folder.names(f"moments/{model}")]
    began = time.perf_counter()
    for name in names[:LOADS]:
        moments._load(folder, name)
    return len(names), (time.perf_counter() - began) / min(LOADS, len(names))


def simulate(images: int, chunk_images: int, work: Path, cache: str | None) -> Simulated:
    output = f"file://{work / 'out'}"
    wanted = Params(f"file://{work / 'photos'}", output, "20260101T000000Z-0001", "mean_colour", cache=cache, chunk_images=chunk_images)
    with Sampler(os.getpid(), every=1.0) as sampler:
        first = run(wanted, images)
        again = run(replace(wanted, run_id="20260102T000000Z-0002"), images + MORE)
    found = peaks(sampler.samples, 0, float("inf"))
    chunks, chunk_seconds = seconds_of_a_chunk(output)
    return Simulated(images, chunk_images, first, again, found["driver"].rss_mb, found["jvm"].rss_mb, chunks, chunk_seconds)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.scale.simulate", description="the pipeline on synthetic features")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--chunk", type=int, default=10_000, help="images of one commit")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder; 7 KB per image")
    parser.add_argument("--cache", help="folder that keeps what a report needs")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    args = parser.parse_args()
    found = simulate(args.images, args.chunk, args.work.resolve(), args.cache)
    if args.json:
        print(json.dumps(asdict(found)))
        return
    for name, seconds in found.first.stages.items():
        print(
            f"{name:8} {seconds:8.1f} s   {found.again.stages[name]:8.1f} s with {MORE:,} more   {found.first.live_mb[name]:6.0f} MB alive"
        )


if __name__ == "__main__":
    main()
