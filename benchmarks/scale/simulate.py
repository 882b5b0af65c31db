"""
The real pipeline on photos that do not exist: a synthetic listing and synthetic features of the real width; everything else is the job.

    python -m benchmarks.scale.simulate --images 100000 --work FOLDER --json

Generated: the rows of the listing (addresses and etags of real length, 131 labels) and, in the place of fetch, decode and network, 1,280
float32 per photo. Run for real, by `job.pipeline.run` itself: keeping and counting the listing, the anti-join, the tasks that write files
of features, the commits to Delta, moments, eigh, projection, Parquet and CSV, model, report, manifest. Then a second run that finds 1,000
more photos. As in the job, rows are on the driver up to FRUITS_DRIVER_ROWS (default: 100,000), else in Spark.
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
from itertools import islice
from pathlib import Path
from unittest.mock import patch
from zlib import crc32

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from benchmarks.memory import Sampler, peaks
from benchmarks.pca import FEATURES, synthetic_rows
from benchmarks.scale.files import Written, written
from job import pipeline
from job.contract.params import Params
from job.inputs.fetch import ListedImage
from job.inputs.rows import ArrowRows, SparkRows, driver_rows
from job.spark.progress import ProgressReport, RunningStage
from job.stages import embed, moments
from job.stages.embed import ROWS_PER_BATCH
from job.stages.listing import BATCH_ROWS
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import EMBEDDED, FOUND

LABELS = 131
PHOTO_BYTES = 4_640  # as those of Fruits-360
ROWS_PER_LISTING_TASK = 250_000
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


class Watched(ProgressReport):
    """Also how much of the JVM's heap is alive after each stage; collecting the garbage is no part of a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.live_mb: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Iterator[RunningStage]:
        with super().stage(name, total, unit) as running:
            yield running
        runtime = SparkSession.getActiveSession().sparkContext._jvm.java.lang.Runtime.getRuntime()  # type: ignore[union-attr]
        runtime.gc()
        self.live_mb[name] = (runtime.totalMemory() - runtime.freeMemory()) / 1e6


def listing_rows(input_uri: str, numbers: Iterable[int]) -> pa.RecordBatch:
    """FOUND: photos by their number, with addresses as long as those of Fruits-360."""
    uris = [f"{input_uri}/Training/Fruit variety {number % LABELS:03}/r{number:08}_100.jpg" for number in numbers]
    rows = len(uris)
    columns = {
        "uri": uris,
        "etag": [hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() for uri in uris],
        "size": [PHOTO_BYTES] * rows,
        "label": [uri.rsplit("/", 2)[1] for uri in uris],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns.get(field.name, [None] * rows), field.type) for field in FOUND], schema=FOUND)


def list_here(input_uri: str, images: int) -> ArrowRows | None:
    """`images` photos in the place of `job.stages.listing.list_on_driver`."""
    return ArrowRows(pa.Table.from_batches([listing_rows(input_uri, range(images))], FOUND)) if images <= driver_rows() else None


def list_by_tasks(spark: SparkSession, input_uri: str, work: str, images: int) -> SparkRows:
    """`images` photos in the place of `job.stages.listing.list_in_tasks`."""

    def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            numbers = batch.column(0).to_pylist()
            for first in range(0, len(numbers), BATCH_ROWS):
                yield listing_rows(input_uri, numbers[first : first + BATCH_ROWS])

    tasks = max(spark.sparkContext.defaultParallelism, -(-images // ROWS_PER_LISTING_TASK))
    return SparkRows(spark.range(0, images, 1, tasks).mapInArrow(rows, from_arrow_schema(FOUND)), FOUND).materialize(work)


def embed_synthetic(keys: Iterable[ListedImage], *_: object) -> Iterator[pa.RecordBatch]:
    """Yield record batches of EMBEDDED in the place of `embed_batches`, of as many rows: 1,280 float32 each."""
    keys = iter(keys)
    while block := list(islice(keys, ROWS_PER_BATCH)):
        rows = len(block)
        values = synthetic_rows(rows, crc32(block[0].uri.encode())).ravel()
        embedding = pa.ListArray.from_arrays(np.arange(0, values.size + 1, FEATURES, dtype=np.int32), pa.array(values))
        uris, etags, _sizes, labels = zip(*block, strict=True)
        columns = {"uri": uris, "etag": etags, "label": labels, "width": [100] * rows, "height": [100] * rows, "embedding": embedding}
        yield pa.RecordBatch.from_pydict(columns, EMBEDDED)


def run(params: Params, images: int) -> Pass:
    report, folder = Watched(), open_folder(params.output)

    here = patch.object(pipeline, "list_on_driver", lambda input_uri, _: list_here(input_uri, images))
    by_tasks = patch.object(pipeline, "list_in_tasks", lambda spark, input_uri, work, _: list_by_tasks(spark, input_uri, work, images))
    # The tasks of `embed_images` take its module's `embed_batches` along, as it is when they are sent.
    features = patch.object(embed, "embed_batches", embed_synthetic)
    with here, by_tasks, features, redirect_stdout(sys.stderr), Lease.acquire(folder, params.run_id) as lease:
        manifest = pipeline.run(params, folder, lease, report)
    stages = {name: stage.seconds for name, stage in report.stages.items()}
    return Pass(stages, report.live_mb, manifest.counts, written(Path(params.output.removeprefix("file://"))))


def seconds_of_a_chunk(output: str) -> tuple[int, float]:
    """How many files of moments are kept, and the seconds to read one."""
    folder = open_folder(output)
    names = [
        f"moments/{model}/{name}"
        for model in folder.names("moments")
        for name in folder.names(f"moments/{model}")
        if name != moments.GROUPS
    ]
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
