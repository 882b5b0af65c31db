"""
Fetch, decode and network as one Spark stage: keys in, files of features out. Pixels and features never cross into the JVM.

Each task writes one file into the table features/ and returns its name, with what could not be embedded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.broadcast import Broadcast
from pyspark.sql import SparkSession

from job.contract.errors import DecodeError, FetchError
from job.imaging.bounded_decode import decode_apart, decode_bounded
from job.imaging.decode import Decoded
from job.imaging.networks import Model, Network, worker_network
from job.inputs.fetch import Key, fetch
from job.inputs.rows import Rows
from job.storage import data_files
from job.storage.delta_log import DataFile
from job.storage.schema import FEATURES, WRITTEN
from job.storage.tombstones import NOTHING_ERASED, REFUSED, Tombstones

IMAGES_PER_TASK = 512  # about six seconds of one core: what the loss of a task costs
ROWS_PER_BATCH = 64


class Reject(NamedTuple):
    """One image that gave no features. `stage` is list, fetch or decode."""

    uri: str
    etag: str
    label: str | None
    stage: str
    reason: str


class Target(NamedTuple):
    """Where a chunk's features go."""

    uri: str  # of the table features/
    values: dict[str, Any]  # columns that are the same in every row: model, run_id, embedded_at


def embed_images(
    spark: SparkSession, keys: Rows, tasks: int, model: Broadcast[Model], erased: Tombstones, target: Target
) -> tuple[list[DataFile], set[Reject]]:
    """
    Embed `keys` (LISTED), spread evenly over `tasks`: each writes one file into `target`, to be committed by the caller.

    Return the files, and what could not be read or was erased for good. A task that is run twice leaves a file that no log names, which
    `DeltaLog.vacuum` deletes.
    """

    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        network = worker_network(model.value)
        rows = (Key(**row) for batch in batches for row in batch.to_pylist())
        task = TaskContext.get()
        # What ended an earlier attempt may have been one of these images.
        decode = decode_apart if task and task.attemptNumber() else decode_bounded
        rejects: list[Reject] = []
        file = data_files.write(target.uri, embed_keys(rows, network, rejects.append, erased, decode), FEATURES, **target.values)
        written = [{"name": file.name, "rows": file.rows, "size": file.size}] if file else []
        yield pa.RecordBatch.from_pylist([*written, *(reject._asdict() for reject in rejects)], WRITTEN)

    done = keys.select(*Key._fields).mapped(spark, tasks, embed, WRITTEN).arrow().to_pylist()
    files = [DataFile(row["name"], row["rows"], row["size"], target.values, target.values) for row in done if row["name"]]
    return files, {Reject(*(row[name] for name in Reject._fields)) for row in done if not row["name"]}


def tasks_for(images: int, cores: int) -> int:
    """As many tasks as keep each near IMAGES_PER_TASK, in whole waves over the cores, so that no core waits for the last one."""
    wanted = max(1, -(-images // IMAGES_PER_TASK))
    return min(images, -(-wanted // cores) * cores)


def embed_keys(
    keys: Iterable[Key],
    network: Network,
    reject: Callable[[Reject], None],
    erased: Tombstones = NOTHING_ERASED,
    decode: Callable[[bytes, int], Decoded] = decode_bounded,
) -> Iterator[pa.RecordBatch]:
    """Record batches of EMBEDDED, at most ROWS_PER_BATCH rows each, in the order of `keys`. Without Spark: Arrow and arrays only."""
    rows: list[tuple[Key, int, int, Any]] = []
    for key, content in fetch(keys):
        try:
            if isinstance(content, FetchError):
                raise content
            if erased.hold(content):
                raise DecodeError(REFUSED)
            pixels, width, height = decode(content, network.size_px)
        except (FetchError, DecodeError) as error:
            reject(Reject(key.uri, key.etag, key.label, error.stage, str(error)))
            continue
        rows.append((key, width, height, network(pixels)))
        if len(rows) == ROWS_PER_BATCH:
            yield _batch(rows, network.dim)
            rows = []
    if rows:
        yield _batch(rows, network.dim)


def _batch(rows: list[tuple[Key, int, int, Any]], dim: int) -> pa.RecordBatch:
    keys, widths, heights, embeddings = zip(*rows, strict=True)
    values = pa.array(np.concatenate(embeddings, dtype=np.float32))
    offsets = pa.array(np.arange(0, (len(rows) + 1) * dim, dim, dtype=np.int32))
    return pa.RecordBatch.from_arrays(
        [
            pa.array([key.uri for key in keys], pa.string()),
            pa.array([key.etag for key in keys], pa.string()),
            pa.array([key.label for key in keys], pa.string()),
            pa.array(widths, pa.int32()),
            pa.array(heights, pa.int32()),
            pa.ListArray.from_arrays(offsets, values),
        ],
        names=["uri", "etag", "label", "width", "height", "embedding"],
    )
