"""
The Delta tables features/ and rejects/: what is new, append a chunk, what is current, what is superseded; kept tidy.

Append only until the end of a run: what is current is a join on (uri, etag, model). Embeddings stay in Python: Spark's joins see keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from job import tidy
from job.embed import Reject, Target
from job.lease import Lease
from job.objects import Folder
from job.schema import FEATURES, MISSING, REJECTS
from job.storage import data_files, rewriting
from job.storage.delta_log import DataFile, DeltaLog

SAME_IMAGE = ["uri", "etag"]
KEYS = ["uri", "etag", "label", "run_id", "embedded_at"]  # of FEATURES, all that is read of it besides embeddings


class Chunk(NamedTuple):
    """The rows of one commit."""

    run_id: str
    micros: int  # of embedded_at, since 1970

    @property
    def embedded_at(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.micros)


@dataclass(frozen=True)
class Features:
    """Rows of features/ of one model: those that `choose`, a join on KEYS, leaves, or all. Every use reads the files again."""

    spark: SparkSession
    uri: str
    files: tuple[DataFile, ...]
    model: str
    choose: Callable[[DataFrame], DataFrame] | None = None

    def keys(self) -> DataFrame:
        """Columns KEYS."""
        return self._frame(KEYS, self.files)

    def embeddings(self, chunk: Chunk | None = None) -> DataFrame:
        """Columns KEYS and `embedding`; of one chunk, read from its own files alone."""
        if chunk is None:
            return self._frame([*KEYS, "embedding"], self.files)
        files = [file for file in self.files if file.may_hold(run_id=chunk.run_id, embedded_at=chunk.embedded_at)]
        of_chunk = (F.col("run_id") == chunk.run_id) & (F.unix_micros("embedded_at") == chunk.micros)
        return self._frame([*KEYS, "embedding"], files).where(of_chunk)

    def _frame(self, columns: list[str], files: Sequence[DataFile]) -> DataFrame:
        frame = rewriting.frame_of(self.spark, self.uri, files, data_files.only(FEATURES, columns), self.model)
        return self.choose(frame) if self.choose else frame


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
    """What of features/ a listing stands for."""

    features: Features  # one row per listed image that could be embedded
    superseded: DataFrame  # uri, etag: the image has another etag by now
    superseded_count: int
    removed: int  # images of INPUT that are in features/ but vanished from the listing


class FeatureStore:
    """The tables of one OUTPUT, as one run and one model see them."""

    def __init__(self, spark: SparkSession, folder: Folder, model: str, run_id: str, lease: Lease) -> None:
        self._spark, self._model, self._run_id, self._lease = spark, model, run_id, lease
        self._features, self._rejects = DeltaLog(folder, "features", lease), DeltaLog(folder, "rejects", lease)
        self._written: set[DeltaLog] = set()  # tables that this run has changed
        self.rejected_here = 0  # images that this run could not embed

    def open(self) -> None:
        """Make the tables where they are missing; shut out a previous owner of the lease that may still be writing."""
        self._features.create(FEATURES)
        self._rejects.create(REJECTS)

    def features(self) -> Features:
        """All rows of this model, whatever the listing says."""
        return Features(self._spark, self._features.uri, tuple(self._features.files()), self._model)

    def missing_from(self, listing: DataFrame, uri: str, retry_rejects: bool) -> Missing:
        """The listed images that are neither in features/ nor known not to decode; kept under `uri`, so later commits do not change it."""
        missing = listing.join(self.features().keys(), SAME_IMAGE, "left_anti")
        undecoded = self._rejected().filter(pc.field("stage") == "decode").select(SAME_IMAGE)
        if undecoded.num_rows and not retry_rejects:
            missing = missing.join(self._frame_of(undecoded), SAME_IMAGE, "left_anti")
        missing.select("uri", "etag", "size", "label", F.monotonically_increasing_id().alias("id")).write.mode("overwrite").parquet(uri)
        frame = self._spark.read.schema(MISSING).parquet(uri)
        # The id is the part's number shifted by 33 bits plus the row's number in it.
        parts = frame.groupBy(F.shiftright("id", 33)).agg(F.min("id").alias("first"), F.count("*").alias("rows")).collect()
        numbered = sorted((row["first"], row["rows"]) for row in parts)
        return Missing(frame, sum(rows for _, rows in numbered), tuple(numbered))

    def target(self) -> Target:
        """Where the next chunk's features go."""
        return Target(self._features.uri, {"model": self._model, "run_id": self._run_id, "embedded_at": datetime.now(UTC)})

    def append(self, files: list[DataFile]) -> None:
        """Commit one chunk: all of it or nothing. Raises LeaseError if another run has taken over."""
        if files:
            self._commit(self._features, files)

    def append_rejects(self, rejects: set[Reject]) -> None:
        """After the chunk they belong to: a run killed in between tries those images again."""
        if not rejects:
            return
        self.rejected_here += sum(reject.stage != "list" for reject in rejects)
        rows = pa.RecordBatch.from_pylist([reject._asdict() for reject in sorted(rejects, key=lambda reject: reject.uri)], REJECTS)
        values = {"model": self._model, "run_id": self._run_id, "rejected_at": datetime.now(UTC)}
        file = data_files.write(self._rejects.uri, [rows], REJECTS, **values)
        self._commit(self._rejects, [file] if file else [])

    def current(self, listing: DataFrame, input_uri: str, taken: DataFrame | None = None) -> Current:
        """
        What of features/ the listing stands for, and what it does not any more.

        `taken` are the images of `listing` that the run uses, if not all: the rest is neither removed nor superseded.
        """
        features = self.features()
        listed = listing.select("uri", F.col("etag").alias("listed_etag"))
        joined = features.keys().join(listed, "uri", "left")
        stale = joined.where("listed_etag IS NULL OR listed_etag <> etag")
        counts = stale.agg(
            F.count("*").alias("stale"),
            F.count("listed_etag").alias("superseded"),
            F.count_if(F.col("listed_etag").isNull() & F.startswith("uri", F.lit(input_uri + "/"))).alias("removed"),
        ).collect()[0]
        superseded = stale.where("listed_etag IS NOT NULL").select(*SAME_IMAGE)
        if taken is not None:
            # The old row of a changed photo that was not taken has no new one yet.
            superseded = superseded.join(taken.select("uri"), "uri", "left_semi")
            chosen = replace(features, choose=lambda frame: frame.join(taken.select(*SAME_IMAGE), SAME_IMAGE, "left_semi"))
            return Current(chosen, superseded, superseded.count() if counts["superseded"] else 0, counts["removed"])
        if counts["stale"]:  # else no join at all
            gone = stale.select(*SAME_IMAGE)
            features = replace(features, choose=lambda frame: frame.join(gone, SAME_IMAGE, "left_anti"))
        return Current(features, superseded, counts["superseded"], counts["removed"])

    def reject_reasons(self, listing: DataFrame) -> Counter[str]:
        """Reason to images, of the listed images without features: the newest reject of each."""
        rejected = self._rejected()
        if not rejected.num_rows:
            return Counter()
        newest = F.max_by("reason", "rejected_at").alias("reason")
        rejects = self._frame_of(rejected).groupBy(*SAME_IMAGE).agg(newest)
        here = rejects.join(listing.select(*SAME_IMAGE), SAME_IMAGE, "left_semi")
        lost = here.join(self.features().keys(), SAME_IMAGE, "left_anti")
        return Counter({row["reason"]: row["count"] for row in lost.groupBy("reason").count().collect()})

    def delete_superseded(self, current: Current) -> None:
        """Delete rows whose image has another etag by now, and rejects that were followed by features or by a newer reject."""
        if current.superseded_count:
            gone = current.superseded.distinct().withColumn("model", F.lit(self._model)).toPandas()
            self._drop(self._features, FEATURES, pa.Table.from_pandas(gone, preserve_index=False))
        rejected = self._rejected()
        if not rejected.num_rows:
            return
        newest = rejected.group_by("uri").aggregate([("rejected_at", "max")]).rename_columns({"rejected_at_max": "newest"})
        rejects = self._frame_of(rejected.join(newest, "uri"))
        embedded = self.features().keys().select(*SAME_IMAGE).withColumn("embedded", F.lit(True))
        followed = rejects.join(embedded, SAME_IMAGE, "left").where("embedded OR rejected_at < newest")
        gone = followed.select(*SAME_IMAGE, "model", "rejected_at").toPandas()
        if len(gone):
            self._drop(self._rejects, REJECTS, pa.Table.from_pandas(gone, preserve_index=False))

    def tidy(self) -> None:
        """For the end of a run, when its results are visible: `tidy.tidy` on both tables. Raises LeaseError."""
        for log, schema in ((self._features, FEATURES), (self._rejects, REJECTS)):
            tidy.tidy(self._spark, log, schema, log in self._written, self._lease)

    def _rejected(self) -> pa.Table:
        """REJECTS of this model, on the driver: they are few."""
        files = [file for file in self._rejects.files() if file.may_hold(model=self._model)]
        tables = [data_files.read(self._rejects.uri, file.name, REJECTS) for file in files]
        return pa.concat_tables([REJECTS.empty_table(), *tables]).filter(pc.field("model") == self._model)

    def _frame_of(self, rows: pa.Table) -> DataFrame:
        return self._spark.createDataFrame(rows.to_pandas(), from_arrow_schema(rows.schema))

    def _drop(self, log: DeltaLog, schema: pa.Schema, gone: pa.Table) -> None:
        replaced = rewriting.drop_rows(self._spark, log.uri, log.files(), schema, gone)
        self._commit(log, [one.new for one in replaced if one.new], [one.old for one in replaced])

    def _commit(self, log: DeltaLog, added: list[DataFile], removed: Sequence[DataFile] = ()) -> None:
        log.commit(added, removed)
        self._written.add(log)
