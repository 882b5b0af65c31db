"""
The Delta tables features/ and rejects/: what is new, append a chunk, what is current, what is superseded; kept tidy.

Append only until the end of a run: what is current is a join on (uri, etag, model). Every commit carries the lease's
generation as its Delta transaction version, so a run that lost the lease cannot commit, even when it wakes up in the
middle of one: https://docs.delta.io/latest/delta-batch.html#idempotent-table-writes-in-foreachbatch
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from job import tidy
from job.embed import Reject
from job.lease import Lease
from job.schema import FEATURES, MISSING, REJECTS
from job.uris import join

TRANSACTIONS = "fruitsctl"  # Delta's txnAppId
COMMITS_PER_GENERATION = 1 << 20
SAME_IMAGE = ["uri", "etag"]

PROPERTIES = {
    "delta.enableDeletionVectors": "false",  # erasure rewrites files, and readers without Spark need nothing new
    "delta.logRetentionDuration": "interval 7 days",  # as long as VACUUM keeps data files; Delta's own 30 days only add to the log
}
# Columns that tell Delta which files a query may skip. Of uri, etag and label they would keep values in the log, where erasure must be
# provable; embedded_at finds the files of one commit. A table made before it was among them is read more, not wrongly.
STATISTICS = {"features": "model,run_id,embedded_at", "rejects": "model,run_id"}


@dataclass(frozen=True)
class Missing:
    """Images to embed, as a frame of MISSING whose ids number them, so that a chunk is a range."""

    frame: DataFrame
    images: int
    parts: tuple[tuple[int, int], ...]  # (first id, number of rows), ids within a part follow each other

    def rows(self, first: int, count: int) -> DataFrame:
        """The rows number `first` to `first + count - 1`."""
        wanted, position = [], 0
        for start, size in self.parts:
            low, high = max(first - position, 0), min(first + count - position, size)
            if low < high:
                wanted.append(F.col("id").between(start + low, start + high - 1))
            position += size
        condition = wanted[0]
        for part in wanted[1:]:
            condition = condition | part
        return self.frame.where(condition)


@dataclass(frozen=True)
class Current:
    """What of `features` a listing stands for."""

    features: DataFrame  # FEATURES, one row per listed image that could be embedded
    superseded: DataFrame  # uri, etag: the image has another etag by now
    superseded_count: int
    removed: int  # images of INPUT that are in `features` but vanished from the listing


class FeatureStore:
    """The tables of one OUTPUT, as one run and one model see them."""

    def __init__(self, spark: SparkSession, output: str, model: str, run_id: str, lease: Lease) -> None:
        self._spark, self._model, self._run_id, self._lease = spark, model, run_id, lease
        self._paths = {"features": join(output, "features"), "rejects": join(output, "rejects")}
        self._commits = 0
        self._written: set[str] = set()  # tables that this run has changed
        self._any_rejects = False  # most tables have none: three Spark jobs less
        self.rejected_here = 0  # images that this run could not embed

    def open(self) -> None:
        """Make the tables where they are missing; shut out a previous owner of the lease that may still be writing."""
        for name, columns in (("features", FEATURES), ("rejects", REJECTS)):
            wanted = PROPERTIES | {"delta.dataSkippingStatsColumns": STATISTICS[name]}
            properties = ", ".join(f"'{key}' = '{value}'" for key, value in wanted.items())
            self._sql(f"CREATE TABLE IF NOT EXISTS {self._table(name)} ({columns}) USING DELTA TBLPROPERTIES ({properties})")
            if self._lease.taken_over:  # an empty commit that its open transactions conflict with
                self._commit(self._spark.createDataFrame([], columns), name)
        # The first scan and join of Delta tables load seconds' worth of classes: here, beside the other things that start.
        rejects = self._of_model("rejects")
        self._any_rejects = rejects.join(rejects.select(*SAME_IMAGE), SAME_IMAGE, "left_semi").count() > 0

    def features(self) -> DataFrame:
        """FEATURES of this model, whatever the listing says."""
        return self._of_model("features")

    def missing_from(self, listing: DataFrame, uri: str, retry_rejects: bool) -> Missing:
        """The listed images that are neither in `features` nor known not to decode; kept under `uri`, so later commits do not change it."""
        known = self._of_model("features").select(*SAME_IMAGE)
        if not retry_rejects:
            known = known.unionByName(self._of_model("rejects").where("stage = 'decode'").select(*SAME_IMAGE))
        missing = listing.join(known, SAME_IMAGE, "left_anti")
        missing.select("uri", "etag", "size", "label", F.monotonically_increasing_id().alias("id")).write.mode("overwrite").parquet(uri)
        frame = self._spark.read.schema(MISSING).parquet(uri)
        # The id is the part's number shifted by 33 bits plus the row's number in it.
        parts = frame.groupBy(F.shiftright("id", 33)).agg(F.min("id").alias("first"), F.count("*").alias("rows")).collect()
        numbered = sorted((row["first"], row["rows"]) for row in parts)
        return Missing(frame, sum(rows for _, rows in numbered), tuple(numbered))

    def append(self, embedded: DataFrame) -> None:
        """Embed and commit one chunk: all of it or nothing."""
        now = datetime.now(UTC)
        self._commit(
            embedded.withColumns({"model": F.lit(self._model), "run_id": F.lit(self._run_id), "embedded_at": F.lit(now)}), "features"
        )

    def append_rejects(self, rejects: set[Reject]) -> None:
        """After the chunk they belong to: a run killed in between tries those images again."""
        if not rejects:
            return
        self._any_rejects = True
        self.rejected_here += sum(reject.stage != "list" for reject in rejects)
        now = datetime.now(UTC)
        rows = [(r.uri, r.etag, r.label, self._model, r.stage, r.reason, self._run_id, now) for r in sorted(rejects, key=lambda r: r.uri)]
        self._commit(self._spark.createDataFrame(rows, REJECTS), "rejects")

    def current(self, listing: DataFrame, input_uri: str, taken: DataFrame | None = None) -> Current:
        """
        What of `features` the listing stands for, and what it does not any more.

        `taken` are the images of `listing` that the run uses, if not all: the rest is neither removed nor superseded.
        """
        features = self._of_model("features")
        keys = features.select(*SAME_IMAGE, "run_id", "embedded_at")
        listed = listing.select("uri", F.col("etag").alias("listed_etag"))
        joined = keys.join(listed, "uri", "left")
        stale = joined.where("listed_etag IS NULL OR listed_etag <> etag")
        counts = stale.agg(
            F.count("*").alias("stale"),
            F.count("listed_etag").alias("superseded"),
            F.count_if(F.col("listed_etag").isNull() & F.startswith("uri", F.lit(input_uri + "/"))).alias("removed"),
        ).collect()[0]
        if counts["stale"]:  # else no join at all: embeddings are never shuffled for nothing
            features = features.join(stale.select(*SAME_IMAGE), SAME_IMAGE, "left_anti")
        superseded = stale.where("listed_etag IS NOT NULL").select(*SAME_IMAGE)
        if taken is None:
            return Current(features, superseded, counts["superseded"], counts["removed"])
        # The old row of a changed photo that was not taken has no new one yet.
        superseded = superseded.join(taken.select("uri"), "uri", "left_semi")
        features = features.join(taken.select(*SAME_IMAGE), SAME_IMAGE, "left_semi")
        return Current(features, superseded, superseded.count() if counts["superseded"] else 0, counts["removed"])

    def reject_reasons(self, listing: DataFrame) -> Counter[str]:
        """Reason to images, of the listed images without features: the newest reject of each."""
        if not self._any_rejects:
            return Counter()
        newest = F.max_by("reason", "rejected_at").alias("reason")
        rejects = self._of_model("rejects").groupBy(*SAME_IMAGE).agg(newest)
        here = rejects.join(listing.select(*SAME_IMAGE), SAME_IMAGE, "left_semi")
        lost = here.join(self._of_model("features").select(*SAME_IMAGE), SAME_IMAGE, "left_anti")
        return Counter({row["reason"]: row["count"] for row in lost.groupBy("reason").count().collect()})

    def delete_superseded(self, current: Current) -> None:
        """Rows whose image has another etag by now, and rejects that were followed by features or by a newer reject."""
        if current.superseded_count:
            self._delete("features", current.superseded, SAME_IMAGE)
        if not self._any_rejects:
            return
        rejects = self._of_model("rejects")
        newest = rejects.groupBy("uri").agg(F.max("rejected_at").alias("newest"))
        embedded = self._of_model("features").select(*SAME_IMAGE).withColumn("embedded", F.lit(True))
        followed = rejects.join(newest, "uri").join(embedded, SAME_IMAGE, "left").where("embedded OR rejected_at < newest")
        keys = [*SAME_IMAGE, "rejected_at"]
        followed = followed.select(*keys)
        if not followed.isEmpty():
            self._delete("rejects", followed, keys)

    def tidy(self) -> None:
        """For the end of a run, when its results are visible: `tidy.tidy` on both tables. Raises LeaseError."""
        tidy.tidy(self._spark, {self._table(name): name in self._written for name in self._paths}, self._lease)

    def _delete(self, name: str, keys: DataFrame, columns: list[str]) -> None:
        """Raises LeaseError if another run has taken over meanwhile."""
        self._lease.check()
        keys.createOrReplaceTempView("superseded")
        same = " AND ".join(f"t.{column} = s.{column}" for column in columns)
        matched = f"{same} AND t.model = '{self._model}'"
        with fenced(self._spark, self._next_version()):
            self._sql(f"MERGE INTO {self._table(name)} AS t USING superseded AS s ON {matched} WHEN MATCHED THEN DELETE")
        self._written.add(name)

    def _of_model(self, name: str) -> DataFrame:
        return self._spark.read.format("delta").load(self._paths[name]).where(F.col("model") == self._model)

    def _commit(self, frame: DataFrame, name: str) -> None:
        self._lease.check()
        writer = frame.write.format("delta").mode("append")
        writer.option("txnAppId", TRANSACTIONS).option("txnVersion", self._next_version()).save(self._paths[name])
        self._written.add(name)
        self._lease.check()

    def _next_version(self) -> int:
        self._commits += 1
        return transaction(self._lease, self._commits)

    def _table(self, name: str) -> str:
        path = self._paths[name].replace("`", "``")
        return f"delta.`{path}`"

    def _sql(self, statement: str) -> None:
        self._spark.sql(statement).collect()


def transaction(lease: Lease, commit: int) -> int:
    """Delta's txnVersion of the commit number `commit` under `lease`: a later owner's are all higher."""
    return lease.generation * COMMITS_PER_GENERATION + commit


@contextmanager
def fenced(spark: SparkSession, version: int) -> Iterator[None]:
    """SQL that commits inside carries `version`, as `_commit` has it: who lost the lease cannot commit."""
    settings = {"txnAppId": TRANSACTIONS, "txnVersion": str(version)}
    for setting, value in settings.items():
        spark.conf.set(f"spark.databricks.delta.write.{setting}", value)
    try:
        yield
    finally:
        for setting in settings:
            spark.conf.unset(f"spark.databricks.delta.write.{setting}")
