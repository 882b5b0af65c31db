"""
Resolve URIs, prefixes and an age to the images to erase, with all that is known of them, to find every trace.

`features`, `rejects`, published runs and INPUT say what is known of an image.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.contract.errors import InputError, SetupError
from job.contract.filenames import ignored_kind
from job.contract.uris import is_s3, local_path, printable, shown
from job.erasure.known import KnownPhotos
from job.erasure.parquet import column_of, list_heads
from job.erasure.pending import Targets, unfinished_erasures
from job.erasure.tables import TABLES
from job.erasure.versions import ArchivedError, Progress, Version, content_of, map_in_parallel, no_progress, versions_of
from job.inputs.fetch import content_etag
from job.inputs.rows import ArrowRows
from job.storage.data_files import read as read_parquet
from job.storage.data_files import read_table
from job.storage.delta_log import DeltaLog
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, REJECTS, only

TASKS_PER_CORE = 4
FEATURE_ROWS = pa.schema([*((name, pa.string()) for name in ("uri", "etag", "model")), ("head", pa.binary()), ("digest", pa.binary())])
TAKEN_IN = {"features": "embedded_at", "rejects": "rejected_at"}  # table -> column
ARCHIVED = ""  # instead of a hash
HEAD = 64  # numbers of an embedding that identify it


def find(
    spark: SparkSession | None, folder: Folder, uris: list[str], prefixes: list[str], older_than: float | None, copies: bool
) -> Targets:
    """
    Return all images that are meant, with what unfinished erasures mean.

    Traces are searched in the tables of every model, in runs and in INPUT. Unknown `uris` are not in the result.

    `older_than`: seconds; also images that were last taken in before that. `copies`: also other addresses of the same bytes. Without
    `spark` this process reads the features.

    Raises:
        InputError: one of the images is in OUTPUT.
    """
    known = KnownPhotos(folder)
    for uri in [*uris, *prefixes]:
        if known.is_in_output(uri):
            raise InputError(
                f"`{printable(shown(uri))}` is part of OUTPUT, not a photo",
                "give the address of the photo as in column `uri` of the matrix",
            )
    aged = set[str]()
    if older_than is not None:
        aged = _older(folder, older_than)
    found = Targets(uris=known.meant({*uris, *aged}, prefixes))
    for name, before in unfinished_erasures(folder):
        found.add(before)
        found.begun.add(name)
    found.folders |= _unlisted_folders(folder) & found.uris
    rows = _rows(spark, folder, found.uris)
    alike = [row for row in _rows(spark, folder, heads=found.heads() | {row["head"] for row in rows}) if row["uri"] not in found.uris]
    pictures = {(row["model"], row["digest"]) for row in rows}
    others = {row["uri"] for row in alike if (row["model"], row["digest"]) in pictures} | _equal_rejects(folder, found.uris)
    if copies:
        found.uris |= others
        found.copies -= found.uris
    else:
        found.copies |= others
    meant = [*rows, *(row for row in alike if row["uri"] in found.uris)]
    rejected = [(uri, etag) for uri, etag in _rejected(folder) if uri in found.uris]
    found.etags |= {row["etag"] for row in meant} | {etag for _, etag in rejected if etag}
    found.numbers |= {base64.b64encode(row["head"]).decode() for row in meant}
    found.note("features", (row["uri"] for row in meant))
    found.note("rejects", (uri for uri, _ in rejected))
    # Photos that stayed during an interrupted erasure may be gone by now.
    found.shared = {f"{base64.b64encode(row['head']).decode()} {row['uri']}" for row in alike}
    return found


def read_photos(targets: Targets, progress: Progress = no_progress, tombstone: bool = False) -> None:
    """
    Set which photos of `targets` are still there, and add the hashes of what all their versions hold.

    An archived version has none, because it cannot be read.

    Raises:
        InputError: a photo that is archived is to have a `tombstone`.
        OutputError, CredentialsError: one cannot be read.
    """
    uris = sorted(targets.uris)
    targets.photos.clear()  # those that an interrupted erasure found may be deleted
    for done, (uri, contents) in enumerate(zip(uris, map_in_parallel(_hashes, uris), strict=True), start=1):
        if contents:
            targets.photos.add(uri)
        if tombstone and ARCHIVED in contents:
            raise InputError(
                f"`{printable(uri)}` is archived and cannot be read, so it cannot have a tombstone",
                "restore the object first, or leave out --tombstone",
            )
        targets.contents.update(content for content in contents if content != ARCHIVED)
        progress(done)


def read_shared(folder: Folder, targets: Targets) -> None:
    """
    Add which etags and hashes of `targets` photos that stay have too: there only an address tells what is erased. After `read_photos`.

    Raises:
        OutputError, CredentialsError: the tables cannot be read.
    """
    values = pa.array(sorted(targets.etags | targets.contents), pa.string())
    targets.shared |= {f"{etag} {uri}" for uri, etag in _with_etags(folder, values) if uri not in targets.uris}


def _older(folder: Folder, older_than: float) -> set[str]:
    """Return addresses that were last taken in, into any table, more than `older_than` seconds ago."""
    rows = [
        table.rename_columns(["uri", "at"])
        for name, at in TAKEN_IN.items()
        for table in read_table(folder, name, only(TABLES[name], ["uri", at]))
    ]
    if not rows:
        return set()
    newest = pa.concat_tables(rows).group_by("uri").aggregate([("at", "max")])
    before = datetime.now(UTC) - timedelta(seconds=older_than)
    return set(newest.filter(pc.field("at_max") < before)["uri"].to_pylist())


def _unlisted_folders(folder: Folder) -> set[str]:
    """Return the addresses among the rejects that are folders: what could not be listed and has no photo's name."""
    tables = read_table(folder, "rejects", only(REJECTS, ["uri", "stage"]))
    unlisted = {uri for rows in tables for uri in rows.filter(pc.field("stage") == "list")["uri"].to_pylist()}
    return {uri for uri in unlisted if ignored_kind(uri.rpartition("/")[2]) or (not is_s3(uri) and os.path.isdir(local_path(uri)))}


def _equal_rejects(folder: Folder, uris: set[str]) -> set[str]:
    """Return other URIs of rejected files with the same bytes as one of `uris`. Files whose etags differ are not read."""
    rejected = {(uri, etag) for uri, etag in _rejected(folder) if etag}
    meant = {uri: etag for uri, etag in rejected if uri in uris}
    if not meant:
        return set()
    sizes = {_size_or_etag(uri, etag) for uri, etag in meant.items()}
    maybe = {uri for uri, etag in rejected if _size_or_etag(uri, etag) in sizes}
    maybe |= {uri for uri, _ in _with_etags(folder, pa.array(sorted({*meant.values()}), pa.string()))}
    contents = {hashed for hashes in map_in_parallel(_hashes, meant) for hashed in hashes if hashed != ARCHIVED}
    others = sorted(maybe - uris)
    return {uri for uri, hashed in zip(others, map_in_parallel(_hash_if_readable, others), strict=True) if hashed in contents}


def _size_or_etag(uri: str, etag: str) -> str:
    """Return what files of equal bytes have in common: on a disk an etag is size and time, or a hash."""
    return etag if is_s3(uri) else etag.partition("-")[0]


def _rejected(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield URI and etag of each reject; without an etag it was not listed."""
    for rows in read_table(folder, "rejects", only(REJECTS, ["uri", "etag"])):
        yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _with_etags(folder: Folder, etags: pa.Array) -> Iterator[tuple[str, str]]:
    """Yield URI and etag of each row of the tables with one of `etags`."""
    for table, schema in TABLES.items():
        for rows in read_table(folder, table, only(schema, ["uri", "etag"])):
            same = rows.filter(pc.is_in(rows["etag"], value_set=etags))
            yield from zip(*(column.to_pylist() for column in same.columns), strict=True)


def _hashes(uri: str) -> list[str]:
    """Return the SHA-256 of the content of each version, or ARCHIVED."""
    return [hashed for hashed in map(_hash, versions_of(uri)) if hashed is not None]


def _hash(version: Version) -> str | None:
    try:
        content = content_of(version)
    except ArchivedError:
        return ARCHIVED
    return None if content is None else content_etag(content)


def _hash_if_readable(uri: str) -> str:
    """Return the SHA-256 of what a reader sees, or "": a photo that stays and cannot be read does not stop the erasure."""
    try:
        contents = (content_of(version) for version in versions_of(uri) if version.current)
        return next((content_etag(content) for content in contents if content is not None), "")
    except SetupError:
        return ""


def rows_in(folder: Folder) -> int:
    """Return the number of rows of the table features/."""
    return sum(file.rows for file in DeltaLog(folder, "features").files())


def _rows(
    spark: SparkSession | None, folder: Folder, uris: set[str] | None = None, heads: set[bytes] | None = None
) -> list[dict[str, Any]]:
    """Return FEATURE_ROWS of `uris`, or of embeddings whose first numbers are in `heads`, by Spark's tasks or in this process."""
    if not (uris or heads):
        return []
    log = DeltaLog(folder, "features")
    meant, uri = column_of(uris or ()), log.uri

    def described(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name in (name for batch in batches for name in batch.column(0).to_pylist()):
            rows = read_parquet(uri, name, FEATURES)
            chosen = _begins_with(rows["embedding"], heads) if heads else pc.is_in(rows["uri"], value_set=meant)
            yield pa.RecordBatch.from_pylist([_feature_rows(row) for row in _with_bytes(rows.filter(chosen))], FEATURE_ROWS)

    names = ArrowRows(pa.table({"name": pa.array([file.name for file in log.files()], pa.string())}))
    if spark is None:
        found = pa.Table.from_batches(described(names.to_arrow().to_batches()), FEATURE_ROWS)
    else:
        found = names.map_in_arrow(spark, TASKS_PER_CORE * spark.sparkContext.defaultParallelism, described, FEATURE_ROWS).to_arrow()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _begins_with(embeddings: pa.ChunkedArray, heads: set[bytes]) -> pa.Array:
    """Return which rows have their first HEAD numbers among `heads`."""
    chosen = np.zeros(len(embeddings), np.bool_)
    for rows, found in list_heads(embeddings.combine_chunks(), HEAD):
        chosen[rows] = [head.tobytes() in heads for head in found]
    return pa.array(chosen)


def _with_bytes(rows: pa.Table) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each row without its embedding, and the embedding as float32 bytes."""
    for batch in rows.to_batches():
        keys = batch.select(["uri", "etag", "model"]).to_pylist()
        for key, embedding in zip(keys, batch.column("embedding"), strict=True):
            yield key, embedding.values.to_numpy().astype(np.float32).tobytes()


def _feature_rows(row: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
    key, numbers = row
    return {**key, "head": numbers[: 4 * HEAD], "digest": hashlib.blake2b(numbers, digest_size=16).digest()}
