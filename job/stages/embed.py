"""
Compute features in one Spark stage: fetch, decode, network. Pixels and features never cross into the JVM.

Each task writes one file into the table features/ and returns its name, with what could not be embedded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.broadcast import Broadcast
from pyspark.sql import SparkSession

from job.contract.errors import DecodeError, FetchError
from job.imaging.bounded_decode import decode_bounded, decode_in_subprocess
from job.imaging.decode import Decoded
from job.imaging.networks import Model, Network, worker_network
from job.inputs.fetch import ListedImage, fetch
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


class FeaturesTarget(NamedTuple):
    """Where the features of a chunk are written."""

    uri: str  # of the table features/
    values: dict[str, Any]  # columns that are the same in every row: model, run_id, embedded_at


def embed_images(
    spark: SparkSession, keys: Rows, tasks: int, model: Broadcast[Model], erased: Tombstones, target: FeaturesTarget
) -> tuple[list[DataFile], set[Reject]]:
    """
    Embed `keys` (LISTED), spread evenly over `tasks`: each writes one file into `target`. The caller commits the files.

    Return the files and the rejects. A task that is run twice leaves an uncommitted file, which `DeltaLog.vacuum` deletes.
    """

    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        network = worker_network(model.value)
        rows = (ListedImage(**row) for batch in batches for row in batch.to_pylist())
        task = TaskContext.get()
        # One of these images may have killed an earlier attempt.
        bounded = decode_in_subprocess if task and task.attemptNumber() else decode_bounded
        decode = partial(bounded, full=model.value.full_decode)
        rejects: list[Reject] = []
        file = data_files.write(target.uri, embed_batches(rows, network, rejects.append, erased, decode), FEATURES, **target.values)
        written = [{"name": file.name, "rows": file.rows, "size": file.size}] if file else []
        yield pa.RecordBatch.from_pylist([*written, *(reject._asdict() for reject in rejects)], WRITTEN)

    done = keys.select(*ListedImage._fields).map_in_arrow(spark, tasks, embed, WRITTEN).to_arrow().to_pylist()
    files = [DataFile(row["name"], row["rows"], row["size"], target.values, target.values) for row in done if row["name"]]
    return files, {Reject(*(row[name] for name in Reject._fields)) for row in done if not row["name"]}


def tasks_for(images: int, cores: int) -> int:
    """Return the number of tasks near IMAGES_PER_TASK each, in whole waves over the cores, so that no core waits at the end."""
    wanted = max(1, -(-images // IMAGES_PER_TASK))
    return min(images, -(-wanted // cores) * cores)


def embed_batches(
    keys: Iterable[ListedImage],
    network: Network,
    reject: Callable[[Reject], None],
    erased: Tombstones = NOTHING_ERASED,
    decode: Callable[[bytes, int], Decoded] = decode_bounded,
) -> Iterator[pa.RecordBatch]:
    """Record batches of EMBEDDED, at most ROWS_PER_BATCH rows each, in the order of `keys`. Without Spark: Arrow and arrays only."""
    rows: list[tuple[ListedImage, int, int, Any]] = []
    for key, content in fetch(keys):
        try:
            if isinstance(content, FetchError):
                raise content
            if erased.contains(content):
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


def _batch(rows: list[tuple[ListedImage, int, int, Any]], dim: int) -> pa.RecordBatch:
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
