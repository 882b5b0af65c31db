"""
Access the features of one model: rows of KEYS say which exist; Spark's tasks read the numbers where they need them.

A row's location, `file` and `row` in it, is how a task finds its numbers, so these never pass through Spark itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from job.inputs.rows import ArrowRows, Rows, SparkRows, driver_rows
from job.storage import data_files
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.schema import FEATURES, only

STORED = ["uri", "etag", "label", "run_id"]
# `micros` is embedded_at in microseconds since 1970.
KEYS = pa.schema([*only(FEATURES, STORED), ("micros", pa.int64()), ("file", pa.string()), ("row", pa.int64())])
ROWS_PER_TASK = 4096
TASKS_PER_CORE = 4


class CommittedChunk(NamedTuple):
    """The rows of one commit."""

    run_id: str
    micros: int


@dataclass(frozen=True)
class Features:
    """Rows of the table features/ at `uri`."""

    spark: SparkSession
    uri: str
    model: str
    keys: Rows  # KEYS

    @classmethod
    def load(cls, spark: SparkSession, log: DeltaLog, model: str) -> Features:
        """
        Return all features of `model` in the newest version of the table.

        Raises:
            OutputError, CredentialsError: OUTPUT cannot be read.
        """
        files = [file for file in log.files() if file.may_hold(model=model)]
        rows = sum(file.rows for file in files)
        return cls(spark, log.uri, model, (_on_driver if rows <= driver_rows() else _in_spark)(spark, log.uri, files, model))

    def restrict(self, keys: Rows) -> Features:
        """Return only the features of `keys`, a subset of these."""
        return replace(self, keys=keys)

    def map_in_arrow(
        self, columns: list[str], tasks: int, function: Callable[[Iterator[pa.Table]], Iterator[pa.RecordBatch]], schema: pa.Schema
    ) -> Rows:
        """Call `function` in each of `tasks` with its share of the rows as tables of `columns`, and return what it yields."""
        uri, wanted = self.uri, only(FEATURES, columns)

        def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return function(_tables(uri, batches, wanted))

        return self.keys.select("file", "row").map_in_arrow(self.spark, tasks, read, schema, by="file")

    def tasks(self) -> int:
        """Return a number of tasks with about ROWS_PER_TASK rows each, limited to TASKS_PER_CORE per core."""
        cores = self.spark.sparkContext.defaultParallelism
        return max(1, min(-(-self.keys.count() // ROWS_PER_TASK), TASKS_PER_CORE * cores))


def _tables(uri: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    places = pa.Table.from_batches(batches, only(KEYS, ["file", "row"]))
    for name in pc.unique(places["file"]).to_pylist():
        rows = places.filter(pc.equal(places["file"], name))["row"].to_numpy()
        yield from data_files.read_rows(uri, name, schema, np.sort(rows))


def _keys_of(uri: str, name: str, model: str) -> pa.Table:
    rows = data_files.read(uri, name, only(FEATURES, [*STORED, "model", "embedded_at"]))
    places = {"micros": rows["embedded_at"].cast(pa.int64()), "file": pa.array([name] * len(rows)), "row": pa.array(np.arange(len(rows)))}
    for column, values in places.items():
        rows = rows.append_column(column, values)
    return rows.filter(pc.equal(rows["model"], model)).select(KEYS.names)


def _on_driver(spark: SparkSession, uri: str, files: list[DataFile], model: str) -> Rows:
    with ThreadPoolExecutor(data_files.READS_IN_FLIGHT) as pool:
        return ArrowRows(pa.concat_tables([KEYS.empty_table(), *pool.map(lambda file: _keys_of(uri, file.name, model), files)]))


def _in_spark(spark: SparkSession, uri: str, files: list[DataFile], model: str) -> Rows:
    """Return lazy rows: Spark's tasks read the files again at each use."""
    names = [file.name for file in files]
    tasks = max(1, min(len(names), TASKS_PER_CORE * spark.sparkContext.defaultParallelism))

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                for name in names[task::tasks]:
                    yield from _keys_of(uri, name, model).to_batches()

    return SparkRows(spark.range(0, tasks, 1, tasks).mapInArrow(read, from_arrow_schema(KEYS)), KEYS)
