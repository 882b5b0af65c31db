"""
Read and change the Delta tables features/ and rejects/: find new images, append chunks, drop superseded rows, compact.

Append only until the end of a run: what is current is what the listing and features/ have in common, by (uri, etag, model).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.inputs.rows import ArrowRows, NumberedRows, Rows
from job.stages.embed import FeaturesTarget, Reject
from job.stages.tables import compaction, rewriting
from job.stages.tables.features import Features
from job.stages.versions import outdated_note, same_model
from job.storage import data_files
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, REJECTS

SAME_IMAGE = ("uri", "etag")


@dataclass(frozen=True)
class Current:
    """The features that belong to a listing, and those that no longer do."""

    features: Features  # one row per listed image that could be embedded
    superseded: Rows  # KEYS: the etag of the image has changed
    superseded_count: int
    removed: int  # images of INPUT that are in features/ but vanished from the listing


class FeatureStore:
    """The tables of one OUTPUT, for one run and one model."""

    def __init__(self, spark: SparkSession, folder: Folder, model: str, run_id: str, lease: Lease) -> None:
        self._spark, self._model, self._run_id, self._lease = spark, model, run_id, lease
        self._features, self._rejects = DeltaLog(folder, "features", lease), DeltaLog(folder, "rejects", lease)
        self._written: set[DeltaLog] = set()  # tables that this run has changed
        self.rejected_here = 0  # images that this run could not embed

    def open(self) -> None:
        """Create missing tables; shut out a previous owner of the lease that may still be writing."""
        self._features.create(FEATURES)
        self._rejects.create(REJECTS)

    def features(self) -> Features:
        """Return all rows of this model, whether listed or not."""
        return Features.load(self._spark, self._features, self._model)

    def missing_from(self, listing: Rows, uri: str, retry_rejects: bool) -> NumberedRows:
        """
        Return the listed images without features that are not known to be undecodable.

        They are stored under `uri`, so that later commits do not change them.
        """
        missing = listing.anti_join(self.features().keys, *SAME_IMAGE)
        undecoded = self._rejected().filter(pc.field("stage") == "decode")
        if undecoded.num_rows and not retry_rejects:
            missing = missing.anti_join(ArrowRows(undecoded), *SAME_IMAGE)
        return missing.materialize_numbered(uri)

    def outdated(self, missing: NumberedRows) -> int:
        """Count the images of `missing` whose features an earlier version of the model has computed, and say so in the run's log."""
        if not missing.count:
            return 0
        bounds = {str(bound.get("model")) for file in self._features.files() for bound in (file.least, file.most)}
        others = sorted(model for model in bounds - {self._model} if same_model(model, self._model))
        keys = [Features.load(self._spark, self._features, model).keys for model in others]
        count = max((missing.part(0, missing.count).semi_join(known, *SAME_IMAGE).count() for known in keys), default=0)
        if count:
            sys.stderr.write(f"{outdated_note(count)}\n")
        return count

    def target(self) -> FeaturesTarget:
        """Return where the next chunk's features go."""
        return FeaturesTarget(self._features.uri, {"model": self._model, "run_id": self._run_id, "embedded_at": datetime.now(UTC)})

    def append(self, files: Sequence[DataFile]) -> None:
        """Commit one chunk: all of it or nothing. Raises LeaseError if another run has taken over."""
        if files:
            self._commit(self._features, files)

    def append_rejects(self, rejects: set[Reject]) -> None:
        """Commit the rejects of a chunk after the chunk itself: a run killed in between tries those images again."""
        if not rejects:
            return
        self.rejected_here += sum(reject.stage != "list" for reject in rejects)
        rows = pa.RecordBatch.from_pylist([reject._asdict() for reject in sorted(rejects, key=lambda reject: reject.uri)], REJECTS)
        values = {"model": self._model, "run_id": self._run_id, "rejected_at": datetime.now(UTC)}
        file = data_files.write(self._rejects.uri, [rows], REJECTS, **values)
        self._commit(self._rejects, [file] if file else [])

    def current(self, listing: Rows, input_uri: str, uri: str, taken: Rows | None = None) -> Current:
        """
        Return the features that belong to the listing, stored under `uri`, and those that no longer do.

        `taken`: the images of `listing` that the run uses, if not all; the others are neither removed nor superseded.
        """
        features = self.features()
        stale = features.keys.anti_join(listing, *SAME_IMAGE).materialize(f"{uri}-stale")
        superseded = stale.semi_join(listing, "uri")
        removed = stale.anti_join(listing, "uri").below(input_uri).count()
        if taken is not None:
            # A changed photo that was not taken has no new row yet, so its old one stays.
            superseded = superseded.semi_join(taken, "uri")
        current = features.restrict(features.keys.semi_join(taken or listing, *SAME_IMAGE).materialize(uri))
        return Current(current, superseded, superseded.count(), removed)

    def reject_reasons(self, listing: Rows) -> Counter[str]:
        """Count the listed images without features by the reason of their newest reject."""
        rejected = self._rejected()
        if not rejected.num_rows:
            return Counter()
        lost = ArrowRows(rejected).semi_join(listing, *SAME_IMAGE).anti_join(self.features().keys, *SAME_IMAGE).to_arrow()
        newest = {(row["uri"], row["etag"]): row["reason"] for row in lost.sort_by("rejected_at").to_pylist()}
        return Counter(newest.values())

    def delete_superseded(self, current: Current) -> None:
        """Delete rows whose image has another etag by now, and rejects that were followed by features or by a newer reject."""
        if current.superseded_count:
            gone = current.superseded.select(*SAME_IMAGE).to_arrow()
            self._drop(self._features, FEATURES, gone.append_column("model", pa.array([self._model] * len(gone))))
        rejected = self._rejected()
        if not rejected.num_rows:
            return
        newest = dict(zip(*(rejected.sort_by("rejected_at")[name].to_pylist() for name in ("uri", "rejected_at")), strict=True))
        older = pa.array([row["rejected_at"] < newest[row["uri"]] for row in rejected.to_pylist()], pa.bool_())
        embedded = ArrowRows(rejected).semi_join(self.features().keys, *SAME_IMAGE).to_arrow()
        gone = pa.concat_tables([rejected.filter(older), embedded]).select([*SAME_IMAGE, "model", "rejected_at"])
        if gone.num_rows:
            self._drop(self._rejects, REJECTS, gone)

    def compact(self) -> None:
        """Compact both tables at the end of a run, when its results are visible. Raises LeaseError."""
        for log, schema in ((self._features, FEATURES), (self._rejects, REJECTS)):
            compaction.compact(self._spark, log, schema, log in self._written, self._lease)

    def _rejected(self) -> pa.Table:
        """Return the REJECTS of this model, on the driver: they are few."""
        files = [file for file in self._rejects.files() if file.may_hold(model=self._model)]
        tables = [data_files.read(self._rejects.uri, file.name, REJECTS) for file in files]
        return pa.concat_tables([REJECTS.empty_table(), *tables]).filter(pc.field("model") == self._model)

    def _drop(self, log: DeltaLog, schema: pa.Schema, gone: pa.Table) -> None:
        replaced = rewriting.drop_rows(self._spark, log.uri, log.files(), schema, gone)
        self._commit(log, [one.new for one in replaced if one.new], [one.old for one in replaced])

    def _commit(self, log: DeltaLog, added: Sequence[DataFile], removed: Sequence[DataFile] = ()) -> None:
        log.commit(added, removed)
        self._written.add(log)
