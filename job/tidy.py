"""
Delta tables that many small commits have left with many small files: merged, and what nobody reads any more deleted. Rows stay as they are.

When and why: docs/decisions/0017-optimize.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import SparkSession

from job.lease import Lease

FILES_TO_MERGE = 64  # `--conf spark.fruits.filesToMerge=N` sets another number
SMALL_BYTES = 32 << 20  # a table of larger files, on average, has as many as it needs
RUNS_PER_VACUUM = 50

SETTINGS = {
    "spark.databricks.delta.optimize.minFileSize": str(128 << 20),  # files from here on are never rewritten
    "spark.databricks.delta.optimize.maxFileSize": str(256 << 20),
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",  # tasks of VACUUM, else 10,000: delta-io/delta issue 220
    "spark.databricks.delta.vacuum.parallelDelete.enabled": "true",  # on S3 one after the other takes minutes
    "spark.databricks.delta.vacuum.logging.enabled": "false",  # would be commits without the lease's generation
}


def tidy(spark: SparkSession, tables: Mapping[str, bool], lease: Lease) -> None:
    """
    OPTIMIZE what has become many small files, and VACUUM what no snapshot of the last seven days needs: at once where files were merged,
    else every RUNS_PER_VACUUM runs. `tables`: name in SQL -> whether this run has written to it.

    Raises:
        LeaseError: another run has taken over meanwhile.
    """
    most = int(spark.conf.get("spark.fruits.filesToMerge", None) or FILES_TO_MERGE)
    vacuum = lease.generation % RUNS_PER_VACUUM == 0
    for table, written in tables.items():
        merge = written and has_small_files(spark, table, most)
        with settings(spark, SETTINGS):
            for statement in ["OPTIMIZE"] * merge + ["VACUUM"] * (merge or vacuum):
                lease.check()
                spark.sql(f"{statement} {table}").collect()


def has_small_files(spark: SparkSession, table: str, most: int) -> bool:
    """More than `most` files, and more than one for each SMALL_BYTES."""
    detail = spark.sql(f"DESCRIBE DETAIL {table}").select("numFiles", "sizeInBytes").collect()[0]
    return bool(detail["numFiles"] > max(most, detail["sizeInBytes"] // SMALL_BYTES))


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Spark's settings while inside."""
    for key, value in values.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in values:
            spark.conf.unset(key)
