"""
What is meant: URIs, prefixes and an age in; all that is known of those images out, so that every trace of them can be found again.

Known is what `features`, `rejects`, published runs or INPUT have of an image. It is kept in OUTPUT before anything is removed:
an erasure that was interrupted goes on with it, whoever calls next.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.erasure.known import Known
from job.erasure.parquet import column_of
from job.erasure.tables import TABLES
from job.erasure.versions import Progress, content_of, in_parallel, unseen, versions_of
from job.errors import InputError
from job.fetch import is_stat_etag
from job.objects import Folder
from job.rows import ArrowRows
from job.schema import FEATURES, REJECTS, only
from job.storage.data_files import read as read_parquet
from job.storage.data_files import rows_of
from job.storage.delta_log import DeltaLog
from job.tombstones import FOLDER
from job.uris import printable, shown

TASKS_PER_CORE = 4
DESCRIBED = pa.schema([*((name, pa.string()) for name in ("uri", "etag", "model")), ("head", pa.binary()), ("digest", pa.binary())])
HEAD = 64  # numbers of an embedding that tell it from all others
OPTIONS = ("refit", "tombstone")  # of `Forget`: an erasure that is continued by another one does what either was asked to do


@dataclass
class Targets:
    """Images to erase, and how far that is: what an interrupted erasure knew and did is added."""

    uris: set[str] = field(default_factory=set)
    etags: set[str] = field(default_factory=set)
    photos: set[str] = field(default_factory=set)  # those of `uris` that were still there
    contents: set[str] = field(default_factory=set)  # SHA-256 of their bytes, of every version
    numbers: set[str] = field(default_factory=set)  # base64 of float32: the first HEAD numbers of each embedding
    copies: set[str] = field(default_factory=set)  # other URIs of the very same picture, which stay
    shared: set[str] = field(default_factory=set)  # `value uri`: etags and numbers that these copies have too
    runs: set[str] = field(default_factory=set)  # whose matrix had rows of them
    asked: set[str] = field(default_factory=set)  # of OPTIONS
    removed: Counter[str] = field(default_factory=Counter)  # so far; see Receipt.removed

    def add(self, other: Targets) -> None:
        for name, values in vars(other).items():
            getattr(self, name).update(values)  # counts add up
        self.copies -= self.uris

    @classmethod
    def from_json(cls, text: bytes) -> Targets:
        values = json.loads(text)
        removed = Counter(values.pop("removed", {}))
        known = {name: set(found) for name, found in values.items() if name in vars(cls())}  # another version may have kept more
        return cls(**known, removed=removed)

    def to_json(self) -> bytes:
        sets = {name: sorted(values) for name, values in vars(self).items() if name != "removed"}
        return json.dumps({**sets, "removed": self.removed}).encode()

    def heads(self) -> set[bytes]:
        return {base64.b64decode(numbers) for numbers in self.numbers}

    def staying(self) -> set[str]:
        """Etags and numbers that a copy has which stays: only its address tells it from what is erased."""
        return {value for value, _, uri in (one.partition(" ") for one in self.shared) if uri in self.copies}


def find(
    spark: SparkSession | None, folder: Folder, uris: list[str], prefixes: list[str], older_than: float | None, copies: bool
) -> Targets:
    """
    All that is meant, wherever a trace of it is: in the tables of every model, in runs, or in INPUT only; and what erasures that were begun
    and not ended mean, as it is now. Of `uris` that are not known nothing is in the result.

    `older_than`: seconds; what was taken in before that and has not been taken in again since. `copies`: other addresses of the very
    same picture are meant too. Without `spark` this process reads the features.

    Raises:
        InputError: something that is meant lies in OUTPUT.
    """
    known = Known(folder)
    for uri in [*uris, *prefixes]:
        if known.is_in_output(uri):
            raise InputError(
                f"`{printable(shown(uri))}` is part of OUTPUT, not a photo",
                "give the address of the photo as in column `uri` of the matrix",
            )
    aged = set[str]()
    if older_than is not None:
        aged = _older(folder, "features", older_than, "embedded_at") | _older(folder, "rejects", older_than, "rejected_at")
    found = Targets(uris=known.meant({*uris, *aged}, prefixes))
    if copies:
        found.uris |= _copies(spark, folder, found.uris)
    for _, before in kept(folder):
        found.add(before)
    found.copies |= _copies(spark, folder, found.uris)
    for row in _rows(spark, folder, found.copies) if found.copies else []:
        found.shared |= {f"{value} {row['uri']}" for value in (row["etag"], base64.b64encode(row["head"]).decode())}
    for row in _rows(spark, folder, found.uris):
        found.etags.add(row["etag"])
        found.numbers.add(base64.b64encode(row["head"]).decode())
    for rows in rows_of(folder, "rejects", only(REJECTS, ["uri", "etag"])):
        meant = rows.filter(pc.is_in(rows["uri"], value_set=column_of(found.uris)))
        found.etags |= {etag for etag in meant["etag"].to_pylist() if etag}
    found.etags = {etag for etag in found.etags if not is_stat_etag(etag)}  # other photos may have the same size and time
    return found


def read_photos(targets: Targets, progress: Progress = unseen) -> None:
    """
    Add which photos of `targets` are still there, and the hashes of what all their versions hold.

    Raises:
        OutputError, CredentialsError: one cannot be read.
    """

    def hashed(uri: str) -> list[str]:
        contents = (content_of(version) for version in versions_of(uri))
        return [hashlib.sha256(content).hexdigest() for content in contents if content is not None]

    uris = sorted(targets.uris)
    for done, (uri, contents) in enumerate(zip(uris, in_parallel(hashed, uris), strict=True), start=1):
        if contents:
            targets.photos.add(uri)
            targets.contents.update(contents)
        progress(done)


def keep(folder: Folder, run_id: str, targets: Targets) -> None:
    folder.write(f"{FOLDER}/{run_id}.pending", targets.to_json())


def kept(folder: Folder) -> Iterable[tuple[str, Targets]]:
    """Names and targets of erasures that were begun and not ended."""
    for name in folder.names(FOLDER):
        stored = folder.read(f"{FOLDER}/{name}") if name.endswith(".pending") else None
        if stored is not None:
            yield f"{FOLDER}/{name}", Targets.from_json(stored.content)


def _older(folder: Folder, table: str, older_than: float, taken_in: str) -> set[str]:
    """Addresses in a table that were last taken in more than `older_than` seconds ago."""
    columns = only(TABLES[table], ["uri", taken_in])
    rows = pa.concat_tables([columns.empty_table(), *rows_of(folder, table, columns)])
    newest = rows.group_by("uri").aggregate([(taken_in, "max")])
    before = datetime.now(UTC) - timedelta(seconds=older_than)
    return set(newest.filter(pc.field(f"{taken_in}_max") < before)["uri"].to_pylist())


def _copies(spark: SparkSession | None, folder: Folder, uris: set[str]) -> set[str]:
    """Other URIs with the very same numbers: the same bytes, or the same pixels."""
    meant = {(row["model"], row["digest"]) for row in _rows(spark, folder, uris)}
    return {row["uri"] for row in _rows(spark, folder, None, meant)} - uris if meant else set()


def rows_in(folder: Folder) -> int:
    """Return the number of rows of the table features/."""
    return sum(file.rows for file in DeltaLog(folder, "features").files())


def _rows(
    spark: SparkSession | None, folder: Folder, uris: set[str] | None, numbers: set[tuple[str, bytes]] | None = None
) -> list[dict[str, Any]]:
    """DESCRIBED rows of the table features/: of `uris`, or with `numbers` of a model, by Spark's tasks or, without Spark, here."""
    log = DeltaLog(folder, "features")
    meant, uri = column_of(uris or ()), log.uri

    def described(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name in (name for batch in batches for name in batch.column(0).to_pylist()):
            rows = read_parquet(uri, name, FEATURES)
            if uris is not None:
                rows = rows.filter(pc.is_in(rows["uri"], value_set=meant))
            found = [_described(row) for row in _with_bytes(rows)]
            chosen = [row for row in found if numbers is None or (row["model"], row["digest"]) in numbers]
            yield pa.RecordBatch.from_pylist(chosen, DESCRIBED)

    names = ArrowRows(pa.table({"name": pa.array([file.name for file in log.files()], pa.string())}))
    if spark is None:
        found = pa.Table.from_batches(described(names.arrow().to_batches()), DESCRIBED)
    else:
        found = names.mapped(spark, TASKS_PER_CORE * spark.sparkContext.defaultParallelism, described, DESCRIBED).arrow()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _with_bytes(rows: pa.Table) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each row without its embedding, and that as bytes of float32."""
    for batch in rows.to_batches():
        keys = batch.select(["uri", "etag", "model"]).to_pylist()
        for key, embedding in zip(keys, batch.column("embedding"), strict=True):
            yield key, embedding.values.to_numpy().astype(np.float32).tobytes()


def _described(row: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
    key, numbers = row
    return {**key, "head": numbers[: 4 * HEAD], "digest": hashlib.blake2b(numbers, digest_size=16).digest()}
