"""
Fetch, decode and network as one Spark stage: keys in, features out. Pixels never cross into the JVM.

What cannot be embedded leaves through an accumulator, not through the table: rejects are few, and so features are
written in the same pass that makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import AccumulatorParam, SparkContext
from pyspark.accumulators import Accumulator
from pyspark.broadcast import Broadcast
from pyspark.sql import DataFrame

from job.decode import decode_image
from job.errors import DecodeError, FetchError
from job.fetch import Key, fetch
from job.models import Model, Network, worker_network
from job.schema import EMBEDDED
from job.tombstones import NOTHING_ERASED, Tombstones

IMAGES_PER_TASK = 512  # about six seconds of one core: what the loss of a task costs
ROWS_PER_BATCH = 64


class Reject(NamedTuple):
    """One image that gave no features. `stage` is list, fetch or decode."""

    uri: str
    etag: str
    label: str | None
    stage: str
    reason: str


class _Union(AccumulatorParam[set[Reject]]):
    """A set, because a task that is run twice reports twice."""

    def zero(self, value: set[Reject]) -> set[Reject]:  # noqa: ARG002 - Spark's signature
        return set()

    def addInPlace(self, value1: set[Reject], value2: set[Reject]) -> set[Reject]:  # noqa: N802 - Spark's name
        value1 |= value2
        return value1


def collect_rejects(context: SparkContext) -> Accumulator[set[Reject]]:
    return context.accumulator(set(), _Union())


def embed_images(keys: DataFrame, tasks: int, model: Broadcast[Model], rejects: Accumulator[set[Reject]], erased: Tombstones) -> DataFrame:
    """
    `keys` (uri, etag, size, label) as EMBEDDED rows, spread evenly over `tasks`; what cannot be read, or was erased for good, is added
    to `rejects`.
    """

    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        network = worker_network(model.value)
        rows = (Key(**row) for batch in batches for row in batch.to_pylist())
        yield from embed_keys(rows, network, lambda reject: rejects.add({reject}), erased)

    return keys.select(*Key._fields).repartition(tasks).mapInArrow(embed, schema=EMBEDDED)


def tasks_for(images: int, cores: int) -> int:
    """As many tasks as keep each near IMAGES_PER_TASK, in whole waves over the cores, so that no core waits for the last one."""
    wanted = max(1, -(-images // IMAGES_PER_TASK))
    return min(images, -(-wanted // cores) * cores)


def embed_keys(
    keys: Iterable[Key], network: Network, reject: Callable[[Reject], None], erased: Tombstones = NOTHING_ERASED
) -> Iterator[pa.RecordBatch]:
    """Record batches of EMBEDDED, at most ROWS_PER_BATCH rows each, in the order of `keys`. Without Spark: Arrow and arrays only."""
    rows: list[tuple[Key, int, int, Any]] = []
    for key, content in fetch(keys):
        try:
            if isinstance(content, FetchError):
                raise content
            if erased.hold(content):
                raise DecodeError("erased on request")
            pixels, width, height = decode_image(content, network.size_px)
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
