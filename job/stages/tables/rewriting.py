"""Rewrite files of a Delta table by Spark's tasks: without some rows, or merged. Commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.inputs.rows import ArrowRows, join_columns
from job.storage import data_files
from job.storage.delta_log import DataFile
from job.storage.schema import only

FILES_PER_CORE = 4
REPLACED = pa.schema([("old", pa.string()), ("new", pa.string()), ("rows", pa.int64()), ("size", pa.int64()), ("dropped", pa.int64())])


class Replaced(NamedTuple):
    """A file whose rows were dropped: all of them where there is no new one."""

    old: DataFile
    new: DataFile | None
    dropped: int  # rows


def drop_rows(spark: SparkSession, uri: str, files: Sequence[DataFile], schema: pa.Schema, gone: pa.Table) -> list[Replaced]:
    """
    Rewrite each file that has rows of `gone`, without them. Files without such rows are not in the result.

    `gone`: columns of `schema`, texts and times, which together name the rows.
    """
    names = gone.schema.names
    known = join_columns(gone.cast(only(schema, names)))

    def replace(name: str) -> Iterator[pa.RecordBatch]:
        stays = pc.invert(pc.is_in(join_columns(data_files.read(uri, name, only(schema, names))), value_set=known))
        left = pc.sum(stays, min_count=0).as_py()
        if left < len(stays):
            rest = data_files.read(uri, name, schema).filter(stays) if left else None
            new = data_files.write(uri, rest.to_batches(), schema) if rest else None
            row = [name, new.name if new else None, left, new.size if new else 0, len(stays) - left]
            yield pa.RecordBatch.from_pylist([dict(zip(REPLACED.names, row, strict=True))], REPLACED)

    by_name = {file.name: file for file in files}
    found = []
    for row in _by_tasks(spark, list(by_name), replace):
        old = by_name[row["old"]]
        new = DataFile(row["new"], row["rows"], row["size"], old.least, old.most) if row["new"] else None
        found.append(Replaced(old, new, row["dropped"]))
    return found


def merge(spark: SparkSession, uri: str, groups: Sequence[Sequence[DataFile]], schema: pa.Schema) -> list[DataFile]:
    """Write the rows of each group of files into one file; the new files in the order of `groups`."""

    def merged(group: str) -> Iterator[pa.RecordBatch]:
        rows = (batch for file in groups[int(group)] for batch in data_files.read(uri, file.name, schema).to_batches())
        new = data_files.write(uri, rows, schema)
        if new:
            yield pa.RecordBatch.from_pylist([{"old": group, "new": new.name, "rows": new.rows, "size": new.size, "dropped": 0}], REPLACED)

    found = _by_tasks(spark, [str(number) for number in range(len(groups))], merged)
    return [DataFile(row["new"], row["rows"], row["size"], *_range(groups[int(row["old"])])) for row in found]


def _by_tasks(spark: SparkSession, names: list[str], function: Callable[[str], Iterator[pa.RecordBatch]]) -> list[dict[str, Any]]:
    """Return the REPLACED rows of `function(name)` for each of `names`, with every n-th name in one task."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                yield from function(name)

    tasks = FILES_PER_CORE * spark.sparkContext.defaultParallelism
    rows = ArrowRows(pa.table({"name": pa.array(names, pa.string())})).map_in_arrow(spark, tasks, run, REPLACED).to_arrow().to_pylist()
    return list(rows)


def _range(files: Sequence[DataFile]) -> tuple[dict[str, object], dict[str, object]]:
    """Return the smallest and largest values of the columns that the log has for every file."""
    names = set.intersection(*({name for name, value in file.least.items() if value is not None} for file in files))
    least = {name: min(file.least[name] for file in files) for name in names}
    most = {name: max(file.most[name] for file in files) for name in names}
    return least, most
