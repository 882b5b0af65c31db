"""
What is meant: URIs, prefixes and an age in; all that is known of those images out, so that every trace of them can be found again.

Known is what `features`, `rejects`, published runs or INPUT have of an image. It is kept in OUTPUT before anything is removed:
an erasure that was interrupted goes on with it, whoever calls next.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from job.erasure.parquet import read
from job.erasure.tables import TABLES
from job.erasure.versions import content_of, versions_below, versions_of
from job.errors import InputError
from job.listing_rows import ignored_as
from job.objects import Folder
from job.storage import rewriting
from job.storage.delta_log import DeltaLog
from job.tombstones import FOLDER
from job.uris import is_inside

HEAD = 64  # numbers of an embedding that tell it from all others


@dataclass
class Targets:
    """Images to erase. Only sets: what an interrupted erasure knew is added."""

    uris: set[str] = field(default_factory=set)
    etags: set[str] = field(default_factory=set)
    photos: set[str] = field(default_factory=set)  # those of `uris` that were still there
    contents: set[str] = field(default_factory=set)  # SHA-256 of their bytes, of every version
    numbers: set[str] = field(default_factory=set)  # base64 of float32: the first HEAD numbers of each embedding
    chunks: set[str] = field(default_factory=set)  # run_id-microseconds: whose moments hold them
    copies: set[str] = field(default_factory=set)  # other URIs of the very same picture, which stay

    def add(self, other: Targets) -> None:
        for name, values in vars(other).items():
            getattr(self, name).update(values)
        self.copies -= self.uris

    @classmethod
    def from_json(cls, text: bytes) -> Targets:
        return cls(**{name: set(values) for name, values in json.loads(text).items()})

    def to_json(self) -> bytes:
        return json.dumps({name: sorted(values) for name, values in vars(self).items()}).encode()

    def heads(self) -> set[bytes]:
        return {base64.b64decode(numbers) for numbers in self.numbers}


def find(spark: SparkSession, folder: Folder, uris: list[str], prefixes: list[str], older_than: float | None, copies: bool) -> Targets:
    """
    All that is meant, wherever a trace of it is: in the tables of every model, in runs, or in INPUT only.

    `older_than`: seconds; what was taken in before that and has not been taken in again since. `copies`: other addresses of the very
    same picture are meant too.

    Raises:
        InputError: something that is meant lies in OUTPUT.
    """
    for uri in [*uris, *prefixes]:
        if is_inside(uri, folder.uri) or uri == folder.uri:
            raise InputError(f"`{uri}` is part of OUTPUT, not a photo", "give the address of the photo as in column `uri` of the matrix")
    tables = {name: _table(spark, folder, name) for name in TABLES if folder.names(name)}
    found = Targets(uris={*uris, *_by_prefix(folder, prefixes)})
    for name, taken_in in (("features", "embedded_at"), ("rejects", "rejected_at")):
        if name in tables:
            found.uris |= _matching(tables[name], prefixes, older_than, taken_in)
    if "features" in tables:
        others = _copies(spark, tables["features"], found.uris)
        if copies:
            found.uris |= others
        else:
            found.copies = others
        _describe(spark, tables["features"], found)
    if "rejects" in tables:
        rows = _of(spark, tables["rejects"], found.uris).select("etag").distinct().collect()
        found.etags |= {row["etag"] for row in rows if row["etag"]}
    for version in (version for uri in sorted(found.uris) for version in versions_of(uri)):
        content = content_of(version)
        if content is not None:
            found.photos.add(version.uri)
            found.contents.add(hashlib.sha256(content).hexdigest())
    return found


def keep(folder: Folder, run_id: str, targets: Targets) -> None:
    folder.write(f"{FOLDER}/{run_id}.pending", targets.to_json())


def kept(folder: Folder) -> Iterable[tuple[str, Targets]]:
    """Names and targets of erasures that were begun and not ended."""
    for name in folder.names(FOLDER):
        stored = folder.read(f"{FOLDER}/{name}") if name.endswith(".pending") else None
        if stored is not None:
            yield f"{FOLDER}/{name}", Targets.from_json(stored.content)


def frame_of(spark: SparkSession, uris: Iterable[str]) -> DataFrame:
    """One column `uri`, sorted. Through Arrow: rows of Python would start Python workers at each use."""
    return spark.createDataFrame(pd.DataFrame({"uri": sorted(uris)}, dtype=object), "uri string")


def _table(spark: SparkSession, folder: Folder, name: str) -> DataFrame:
    log = DeltaLog(folder, name)
    return rewriting.frame_of(spark, log.uri, log.files(), TABLES[name])


def _of(spark: SparkSession, table: DataFrame, uris: Iterable[str]) -> DataFrame:
    return table.join(frame_of(spark, uris), "uri", "left_semi")


def _matching(table: DataFrame, prefixes: list[str], older_than: float | None, taken_in: str) -> set[str]:
    condition = F.lit(False)
    for prefix in prefixes:
        condition = condition | F.startswith("uri", F.lit(prefix))
    newest = table.groupBy("uri").agg(F.max(taken_in).alias("newest"))
    if older_than is not None:
        condition = condition | (F.unix_timestamp("newest") < F.unix_timestamp(F.current_timestamp()) - int(older_than))
    return {row["uri"] for row in newest.where(condition).select("uri").collect()} if prefixes or older_than is not None else set()


def _uris_of_run(folder: Folder, run: str) -> list[str]:
    found: list[str] = []
    for name in folder.names(f"runs/{run}/pca"):
        if name.endswith(".parquet"):
            table = read(folder, f"runs/{run}/pca/{name}", ["uri"])
            found += pc.unique(table["uri"]).to_pylist() if table is not None else []
    return found


def _by_prefix(folder: Folder, prefixes: list[str]) -> Iterator[str]:
    """What runs and INPUT have."""
    if prefixes:
        yield from (uri for run in folder.names("runs") for uri in _uris_of_run(folder, run) if uri.startswith(tuple(prefixes)))
    for version in chain.from_iterable(map(versions_below, prefixes)):
        if not is_inside(version.uri, folder.uri) and ignored_as(version.uri.rpartition("/")[2]) is None:
            yield version.uri


def _copies(spark: SparkSession, features: DataFrame, uris: set[str]) -> set[str]:
    """Other URIs with the very same numbers: the same bytes, or the same pixels."""
    numbers = features.select("uri", "model", F.xxhash64("embedding").alias("numbers"))
    same = numbers.join(_of(spark, numbers, uris).select("model", "numbers").distinct(), ["model", "numbers"], "left_semi")
    return {row["uri"] for row in same.select("uri").distinct().collect()} - uris


def _describe(spark: SparkSession, features: DataFrame, found: Targets) -> None:
    chunk = F.concat_ws("-", "run_id", F.unix_micros("embedded_at")).alias("chunk")
    head = F.slice("embedding", 1, HEAD)
    for row in _of(spark, features, found.uris).select("etag", chunk, head.alias("head")).collect():
        found.etags.add(row["etag"])
        found.chunks.add(row["chunk"])
        found.numbers.add(base64.b64encode(np.array(row["head"], np.float32).tobytes()).decode())
