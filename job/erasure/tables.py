"""The Delta tables of OUTPUT in, the same without some images out: rows deleted, old files gone, the log without a trace. Spark."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from job.erasure.targets import frame_of
from job.lease import Lease
from job.objects import Folder
from job.store import fenced, transaction
from job.uris import join

TABLES = ("features", "rejects")


def erase(spark: SparkSession, folder: Folder, uris: set[str], lease: Lease) -> dict[str, int]:
    """
    Delete every row of `uris`, whatever its model, and then every file that no longer belongs to the table; rows by table.

    VACUUM without retention is safe under the lease: nobody else writes, and who reads an older version is asked to begin anew.
    https://docs.delta.io/latest/delta-utility.html#remove-files-no-longer-referenced-by-a-delta-table

    Raises:
        LeaseError: another run took over.
    """
    present = [name for name in TABLES if folder.names(f"{name}/_delta_log")]
    rows = {}
    for number, name in enumerate(present, start=1):
        path = join(folder.uri, name)
        meant: DataFrame = frame_of(spark, uris)
        rows[name] = spark.read.format("delta").load(path).join(meant, "uri", "left_semi").count()
        lease.check()
        if rows[name]:
            meant.createOrReplaceTempView("erased")
            with fenced(spark, transaction(lease, number)):
                _sql(spark, f"MERGE INTO {_quoted(path)} AS t USING erased AS e ON t.uri = e.uri WHEN MATCHED THEN DELETE")
        lease.check()
        _vacuum(spark, path)
    return rows


def forget_history(spark: SparkSession, folder: Folder, name: str, lease: Lease) -> None:
    """
    Begin the log of a table anew with a checkpoint of what it is: commits before that, which may say anything, are removed.

    Time travel to before ends with it; after VACUUM there is nothing left to travel to.
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#metadata-cleanup
    """
    path = join(folder.uri, name)
    lease.check()
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path).checkpoint()  # type: ignore[union-attr]
    files = folder.names(f"{name}/_delta_log")
    newest = max(file for file in files if file.endswith(".json"))[:20]
    for file in files:
        if file[:20].isdigit() and file[:20] < newest:
            folder.delete(f"{name}/_delta_log/{file}")
            folder.delete(f"{name}/_delta_log/.{file}.crc")


def _vacuum(spark: SparkSession, path: str) -> None:
    settings = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        # Delta lists the folder in so many tasks, 10,000 unless told otherwise: minutes for a folder that lists in one request.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    }
    for setting, value in settings.items():
        spark.conf.set(setting, value)
    try:
        _sql(spark, f"VACUUM {_quoted(path)} RETAIN 0 HOURS")
    finally:
        for setting in settings:
            spark.conf.unset(setting)


def _quoted(path: str) -> str:
    escaped = path.replace("`", "``")
    return f"delta.`{escaped}`"


def _sql(spark: SparkSession, statement: str) -> None:
    spark.sql(statement).collect()
