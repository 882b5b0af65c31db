"""
`python -m benchmarks.steps`: where the difference between the bare loop and the embed stage goes, and what was tried against it.

The same photos, one process per core, each step with one thing more than the one above it: bare loop (read, decode, network); the job's own
fetching, decoding and record batches, without Spark; Parquet files of them, as a task writes them; Spark's tasks; the commit to Delta. Ways
that are not the job's are in between. All of them in turn, repeat by repeat; a share is that of the bare loop of the same repeat. Starting
processes, Spark and the network is counted nowhere.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Any

import pyarrow as pa

from benchmarks import limit
from benchmarks.datasets import copy_images
from benchmarks.machine import describe_machine
from benchmarks.runs import Bench, BenchmarkError, prepare, say
from benchmarks.targets import markdown
from job.imaging.decode import decode_image
from job.imaging.networks import LiteRtNetwork, Model, litert_flatbuffer
from job.inputs.fetch import ListedImage, stat_etag
from job.inputs.rows import ArrowRows
from job.spark.session import start_session
from job.stages.embed import IMAGES_PER_TASK, embed_batches, embed_images, tasks_for
from job.stages.tables.store import FeatureStore
from job.storage import data_files
from job.storage.delta_log import DataFile
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, LISTED
from job.storage.tombstones import NOTHING_ERASED

WARM_UP_IMAGES = 20
DECODED_AHEAD = 8
NAME = "steps"  # of the model and of the run, in the table

Way = Callable[[Sequence[ListedImage], LiteRtNetwork], None]


def batches_of_the_job(keys: Sequence[ListedImage], network: LiteRtNetwork) -> None:
    for _ in embed_batches(iter(keys), network, refuse):
        pass


def files_of_the_job(keys: Sequence[ListedImage], network: LiteRtNetwork) -> None:
    """One file for as many photos as a task of the job has."""
    values = {"model": NAME, "run_id": NAME, "embedded_at": datetime.now(UTC)}
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(keys), IMAGES_PER_TASK):
            batches = embed_batches(keys[first : first + IMAGES_PER_TASK], network, refuse)
            data_files.write(f"file://{folder}", batches, FEATURES, **values)


def read_without_threads(keys: Sequence[ListedImage], network: LiteRtNetwork) -> None:
    for key in keys:
        network(decode_image(Path(key.uri.removeprefix("file://")).read_bytes(), network.size_px).pixels)


def decode_in_a_second_thread(keys: Sequence[ListedImage], network: LiteRtNetwork) -> None:
    """Pillow and LiteRT both let go of the interpreter's lock while they work."""

    def decoded(key: ListedImage) -> Any:
        return decode_image(Path(key.uri.removeprefix("file://")).read_bytes(), network.size_px).pixels

    waiting: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as thread:
        for key in keys:
            waiting.append(thread.submit(decoded, key))
            if len(waiting) == DECODED_AHEAD:
                network(waiting.pop(0).result())
        for last in waiting:
            network(last.result())


WAYS: dict[str, Way] = {
    "bare loop": read_without_threads,
    "decoding in a second thread": decode_in_a_second_thread,
    "fetching, decoding and record batches of the job": batches_of_the_job,
    "Parquet files of the job": files_of_the_job,
}


def refuse(reject: object) -> None:
    raise BenchmarkError(f"a photo was rejected: {reject}")


def keys_of(images: Path) -> list[ListedImage]:
    paths = sorted(images.rglob("*.jpg"))
    return [ListedImage(f"file://{path}", stat_etag(path.stat()), path.stat().st_size, path.parent.name) for path in paths]


def work(way: str, flatbuffer: bytes, keys: Sequence[ListedImage], barrier: Barrier, ended: Any) -> None:
    """One process: warm up, wait for the others, do all, tell when it was done."""
    network = LiteRtNetwork(flatbuffer)
    WAYS[way](keys[:WARM_UP_IMAGES], network)
    barrier.wait(limit.START_SECONDS)
    WAYS[way](keys, network)
    ended.put(None)


def without_spark(way: str, keys: Sequence[ListedImage], flatbuffer: bytes, cores: int) -> float:
    """Seconds."""
    return limit.at_once(work, [(way, flatbuffer, keys[first::cores]) for first in range(cores)])


class InSpark:
    """A session like the job's, its workers warm, the photos' keys on the driver, and the tables of an OUTPUT under `lease`."""

    def __init__(self, keys: Sequence[ListedImage], flatbuffer: bytes, output: Folder, lease: Lease) -> None:
        self._spark = start_session(NAME, uses_s3=False)
        self._model = self._spark.sparkContext.broadcast(Model("mobilenet_v2", "litert", NAME, flatbuffer))
        self._store = FeatureStore(self._spark, output, NAME, NAME, lease)
        self._store.open()
        self.embed(keys[:WARM_UP_IMAGES])

    def embed(self, keys: Sequence[ListedImage], tasks: int | None = None) -> list[DataFile]:
        """
        Return the files that Spark's tasks write, uncommitted.

        Raises:
            BenchmarkError: a photo was rejected.
        """
        rows = ArrowRows(pa.Table.from_pylist([key._asdict() for key in keys], LISTED))
        tasks = tasks or tasks_for(len(keys), self._spark.sparkContext.defaultParallelism)
        files, rejects = embed_images(self._spark, rows, tasks, self._model, NOTHING_ERASED, self._store.target())
        for reject in rejects:
            refuse(reject)
        return files

    def embed_and_commit(self, keys: Sequence[ListedImage]) -> None:
        """Embed `keys` as one chunk of the job. Raises BenchmarkError if a photo was rejected."""
        self._store.append(self.embed(keys))

    def stop(self) -> None:
        self._spark.stop()


def timed(step: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def measure(bench: Bench, keys: Sequence[ListedImage], flatbuffer: bytes) -> Iterator[tuple[str, float]]:
    """Each step with its seconds, once."""
    for way in WAYS:
        yield way, without_spark(way, keys, flatbuffer, bench.cores)
    output = open_folder(f"file://{tempfile.mkdtemp(dir=bench.work)}")
    with Lease.acquire(output, NAME) as lease:
        spark = InSpark(keys, flatbuffer, output, lease)
        yield "Spark's tasks", timed(lambda: spark.embed(keys))
        yield f"Spark's tasks, one for each core ({bench.cores})", timed(lambda: spark.embed(keys, bench.cores))
        yield "Spark's tasks and commit to Delta: the embed stage", timed(lambda: spark.embed_and_commit(keys))
        spark.stop()


def table(steps: dict[str, list[float]], images: int) -> str:
    """Rates, and the median of the shares of the bare loop of the same repeat."""
    bare = steps["bare loop"]
    rows = [
        (step, f"{images / median(seconds):.1f}", f"{median(loop / took for loop, took in zip(bare, seconds, strict=False)):.3f}")
        for step, seconds in steps.items()
    ]
    return markdown(("step", f"photos/s, {images:,} photos", "of the bare loop"), rows)


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.steps", description="from the bare loop to the embed stage, step by step")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--work", type=Path, help="folder for a temporary one with photos and outputs, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it the log; default: benchmarks/results/DATE-steps.json")
    parser.add_argument("--copies", type=int, default=4, help="of the sample's 3,930 photos")
    parser.add_argument("--per-folder", type=int, help="photos of each folder; default: all")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    out = args.out or Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}-steps.json"
    steps: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work_folder:
        try:
            bench = prepare(args.assets, work_folder, args.cores, out)
            os.environ.update({"JAVA_HOME": str(bench.java_home), "FRUITS_MASTER": f"local[{bench.cores}]"})
            os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
            images = copy_images(bench.assets / "fruits-360-sample", bench.work / "photos", args.copies, args.per_folder)
            keys, flatbuffer = keys_of(bench.work / "photos"), litert_flatbuffer(bench.weights, bench.work / "cache")
            for number in range(1, args.repeats + 1):
                for step, seconds in measure(bench, keys, flatbuffer):
                    steps.setdefault(step, []).append(seconds)
                    say(f"repeat {number}: {step}: {seconds:.1f} s, {images / seconds:.1f} photos/s")
                out.write_text(json.dumps({"machine": describe_machine(), "images": images, "seconds": steps}, indent=2) + "\n")
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    print(table(steps, images))
    return 0


if __name__ == "__main__":
    sys.exit(main())
