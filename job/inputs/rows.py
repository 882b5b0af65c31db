"""
Hold rows about photos, on the driver if they are few (`ArrowRows`), else in Spark (`SparkRows`).

Both give the same results. Spark SQL needs seconds before its first answer, Arrow milliseconds; Arrow needs the driver's memory.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from job.storage.schema import only

# The driver works on up to this many rows itself: 20 MB of addresses. FRUITS_DRIVER_ROWS overrides it; 0 leaves all to Spark.
DRIVER_ROWS = 100_000

Batches = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def driver_rows() -> int:
    """Return the most rows that the driver works on itself."""
    return int(os.environ.get("FRUITS_DRIVER_ROWS") or DRIVER_ROWS)


class Rows(ABC):
    """Rows with the columns of `schema`: listings, rejects, scores."""

    schema: pa.Schema

    @abstractmethod
    def count(self) -> int: ...

    @abstractmethod
    def select(self, *names: str) -> Rows: ...

    @abstractmethod
    def semi_join(self, others: Rows, *on: str) -> Rows:
        """Return the rows with a match in `others`: the same texts in the columns `on`."""

    @abstractmethod
    def anti_join(self, others: Rows, *on: str) -> Rows:
        """Return the rows without a match in `others`."""

    @abstractmethod
    def below(self, uri: str) -> Rows:
        """Return the rows whose `uri` is below the folder `uri`."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return all rows as a table on the driver."""

    @abstractmethod
    def materialize(self, uri: str) -> Rows:
        """Compute the rows once, in Spark as Parquet under `uri`, so that later uses read them."""

    @abstractmethod
    def materialize_numbered(self, uri: str) -> NumberedRows:
        """Materialize the rows in a fixed order, so that ranges of them can be taken."""

    @abstractmethod
    def count_distinct(self, name: str) -> int:
        """Return the number of different values in a column, without nulls."""

    @abstractmethod
    def map_in_arrow(self, spark: SparkSession, tasks: int, function: Batches, schema: pa.Schema, by: str | None = None) -> Rows:
        """
        Call `function` in `tasks` Spark tasks, each on its share of the rows, and return what it yields, in `schema`.

        Shares are equal; with `by`, rows with the same value of that column are mostly in one share.
        """


class NumberedRows(ABC):
    """Rows in a fixed order."""

    count: int

    @abstractmethod
    def part(self, first: int, count: int) -> Rows:
        """Return the rows number `first` to `first + count - 1`."""


@dataclass(frozen=True)
class ArrowRows(Rows):
    """Rows in an Arrow table on the driver."""

    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def count(self) -> int:
        return int(self.table.num_rows)

    def select(self, *names: str) -> ArrowRows:
        return ArrowRows(self.table.select(list(names)))

    def semi_join(self, others: Rows, *on: str) -> ArrowRows:
        return ArrowRows(self.table.filter(self._matched(others, on)))

    def anti_join(self, others: Rows, *on: str) -> ArrowRows:
        return ArrowRows(self.table.filter(pc.invert(self._matched(others, on))))

    def below(self, uri: str) -> ArrowRows:
        return ArrowRows(self.table.filter(pc.starts_with(self.table["uri"], uri + "/")))

    def to_arrow(self) -> pa.Table:
        return self.table

    def materialize(self, uri: str) -> ArrowRows:  # noqa: ARG002
        return self

    def materialize_numbered(self, uri: str) -> NumberedRows:  # noqa: ARG002
        return _NumberedArrow(self.table)

    def count_distinct(self, name: str) -> int:
        return int(pc.count_distinct(self.table[name], mode="only_valid").as_py())

    def map_in_arrow(self, spark: SparkSession, tasks: int, function: Batches, schema: pa.Schema, by: str | None = None) -> ArrowRows:
        if not len(self.table):
            return ArrowRows(schema.empty_table())
        if by is None:
            shares = [np.arange(task, len(self.table), tasks) for task in range(tasks)]
        else:
            shares = np.array_split(pc.sort_indices(self.table, [(by, "ascending")]).to_numpy(), tasks)

        def work(packed: Iterable[bytes]) -> Iterator[bytes]:
            yield _to_ipc(pa.Table.from_batches(function(batch for one in packed for batch in _from_ipc(one).to_batches()), schema))

        packed = [_to_ipc(self.table.take(share)) for share in shares if len(share)]
        done = spark.sparkContext.parallelize(packed, len(packed)).mapPartitions(work).collect()
        return ArrowRows(pa.concat_tables([schema.empty_table(), *map(_from_ipc, done)]))

    def _matched(self, others: Rows, on: Sequence[str]) -> pa.ChunkedArray:
        if isinstance(others, SparkRows):  # only the matching rows come to the driver
            others = others.select(*on).semi_join(self.select(*on), *on)
        return pc.is_in(join_columns(self.table.select(list(on))), value_set=join_columns(others.to_arrow().select(list(on))))


class _NumberedArrow(NumberedRows):
    def __init__(self, table: pa.Table) -> None:
        self._table, self.count = table, table.num_rows

    def part(self, first: int, count: int) -> Rows:
        return ArrowRows(self._table.slice(first, count))


@dataclass(frozen=True)
class SparkRows(Rows):
    """Rows in a Spark frame."""

    frame: DataFrame
    schema: pa.Schema

    def count(self) -> int:
        return self.frame.count()

    def select(self, *names: str) -> SparkRows:
        return SparkRows(self.frame.select(*names), only(self.schema, names))

    def semi_join(self, others: Rows, *on: str) -> SparkRows:
        return SparkRows(self.frame.join(self._partners(others, on), list(on), "left_semi").select(*self.schema.names), self.schema)

    def anti_join(self, others: Rows, *on: str) -> SparkRows:
        return SparkRows(self.frame.join(self._partners(others, on), list(on), "left_anti").select(*self.schema.names), self.schema)

    def below(self, uri: str) -> SparkRows:
        return SparkRows(self.frame.where(F.startswith("uri", F.lit(uri + "/"))), self.schema)

    def to_arrow(self) -> pa.Table:
        return pa.Table.from_pandas(self.frame.toPandas(), self.schema, preserve_index=False)

    def materialize(self, uri: str) -> SparkRows:
        self.frame.write.mode("overwrite").parquet(uri)
        return SparkRows(self.frame.sparkSession.read.schema(self.frame.schema).parquet(uri), self.schema)

    def materialize_numbered(self, uri: str) -> NumberedRows:
        numbered = self.frame.withColumn("id", F.monotonically_increasing_id())
        numbered.write.mode("overwrite").parquet(uri)
        frame = self.frame.sparkSession.read.schema(numbered.schema).parquet(uri)
        # The id is the part's number shifted by 33 bits plus the row's number in it.
        parts = frame.groupBy(F.shiftright("id", 33)).agg(F.min("id").alias("first"), F.count("*").alias("rows")).collect()
        return _NumberedSpark(frame, self.schema, sorted((row["first"], row["rows"]) for row in parts))

    def count_distinct(self, name: str) -> int:
        return int(self.frame.agg(F.count_distinct(name)).collect()[0][0])

    def map_in_arrow(self, _: SparkSession, tasks: int, function: Batches, schema: pa.Schema, by: str | None = None) -> SparkRows:
        shares = self.frame.repartition(tasks, by) if by else self.frame.repartition(tasks)
        return SparkRows(shares.mapInArrow(function, from_arrow_schema(schema)), schema)

    def _partners(self, others: Rows, on: Sequence[str]) -> DataFrame:
        if isinstance(others, SparkRows):
            return others.frame.select(*on)
        return to_spark(self.frame.sparkSession, others.to_arrow().select(list(on)))


class _NumberedSpark(NumberedRows):
    def __init__(self, frame: DataFrame, schema: pa.Schema, parts: Sequence[tuple[int, int]]) -> None:
        self._frame, self._schema, self._parts = frame, schema, parts  # (first id, number of rows), ids within a part follow each other
        self.count = sum(rows for _, rows in parts)

    def part(self, first: int, count: int) -> Rows:
        wanted, position = F.lit(False), 0
        for start, size in self._parts:
            low, high = max(first - position, 0), min(first + count - position, size)
            if low < high:
                wanted = wanted | F.col("id").between(start + low, start + high - 1)
            position += size
        return SparkRows(self._frame.where(wanted).drop("id"), self._schema)


def to_spark(spark: SparkSession, table: pa.Table) -> DataFrame:
    """Return `table` as a Spark frame, through Arrow: rows of Python would start Python workers at each use."""
    return spark.createDataFrame(table.to_pandas(), from_arrow_schema(table.schema))


def join_columns(rows: pa.Table) -> pa.ChunkedArray:
    """Join all columns of `rows` to one text as a key for joins. No address or etag has a null character."""
    texts = [column.cast(pa.int64()).cast(pa.string()) if pa.types.is_timestamp(column.type) else column for column in rows.columns]
    return pc.binary_join_element_wise(*texts, "\0")


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _from_ipc(packed: bytes) -> pa.Table:
    return pa.ipc.open_stream(packed).read_all()
