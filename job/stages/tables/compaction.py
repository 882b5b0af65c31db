"""
Delta tables that many small commits have left with many small files: merged, and what is no longer read deleted. Rows stay as they are.

When and why: docs/decisions/0017-optimize.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import SparkSession

from job.stages.tables import rewriting
from job.storage.delta_log import RETENTION_HOURS, DataFile, DeltaLog
from job.storage.lease import Lease

FILES_TO_MERGE = 64  # `--conf spark.fruits.filesToMerge=N` sets another number
SMALL_BYTES = 32 << 20  # a table of larger files, on average, has as many as it needs
FINAL_BYTES = 128 << 20  # files from here on are never rewritten
MERGED_BYTES = 256 << 20  # of one merged file, at most
RUNS_PER_VACUUM = 50


def tidy(spark: SparkSession, log: DeltaLog, schema: pa.Schema, written: bool, lease: Lease) -> None:
    """
    Merge what has become many small files, and delete what has belonged to no version for seven days: at once where files were merged,
    else every RUNS_PER_VACUUM runs. `written`: whether this run has written to the table.

    Raises:
        LeaseError: another run has taken over meanwhile.
        OutputError, CredentialsError: OUTPUT cannot be read or written.
    """
    most = int(spark.sparkContext.getConf().get("spark.fruits.filesToMerge") or FILES_TO_MERGE)  # `spark.conf` starts Spark SQL
    files = log.files() if written else []
    small = has_small_files(files, most)
    if small:
        groups = [group for group in in_groups(files) if len(group) > 1]
        merged = rewriting.merge(spark, log.uri, groups, schema)
        log.commit(merged, [file for group in groups for file in group], moved=True)
    if small or lease.generation % RUNS_PER_VACUUM == 0:
        log.vacuum()
        log.forget_history(RETENTION_HOURS)


def has_small_files(files: Sequence[DataFile], most: int) -> bool:
    """Return whether there are more than `most` files, and more than one for each SMALL_BYTES."""
    return len(files) > max(most, sum(file.size for file in files) // SMALL_BYTES)


def in_groups(files: Sequence[DataFile]) -> list[list[DataFile]]:
    """Return the files smaller than FINAL_BYTES in groups of at most MERGED_BYTES, in the order in which they were written."""
    groups: list[list[DataFile]] = []
    size = 0
    for file in sorted(
        (file for file in files if file.size < FINAL_BYTES), key=lambda file: (str(file.least.get("embedded_at")), file.name)
    ):
        if not groups or size + file.size > MERGED_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return groups
