"""
Moments beside the features, one file per chunk: a refit after 1,000 new photos reads the features of those only.

A chunk is one commit to `features`: (run_id, embedded_at). A file's name holds the chunk and a hash of the rows it stands
for, so moments of a chunk that lost rows, or of another `--fit-on`, are other files and none is ever wrong.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from io import BytesIO
from operator import add

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from job import pca
from job.errors import InputError
from job.features import Chunk, Features
from job.objects import Folder
from job.pca import Moments
from job.rows import ArrowRows, Rows, SparkRows
from job.schema import MOMENTS
from job.uris import join

MOST_TASKS = 16  # of one chunk: each returns 13 MB to the driver
DIGITS = 15  # of a row's SHA-256, hexadecimal: what fits 63 bits


def moments_of(features: Features, input_uri: str, fit_on: str | None, folder: Folder) -> Moments:
    """
    Moments of the rows of `features` that `fit_on` names; what `folder` lacks is computed and kept there.

    Raises:
        InputError: `fit_on` names no image.
    """
    chosen = features if fit_on is None else features.only(matching(features.keys, fit_on, input_uri))
    names = _names(chosen)
    if not names:
        raise InputError(
            f"--fit-on `{fit_on}` matches no images", "use a pattern for labels (`Apple*`) or for folders below INPUT (`Training`)"
        )
    kept = set(folder.names(f"moments/{features.model}"))
    for chunk, name in sorted(names.items()):
        if name not in kept:
            folder.write(f"moments/{features.model}/{name}", _dump(fold(chosen.only(_of_chunk(chosen.keys, chunk)))))
    return reduce(add, (_load(folder, f"moments/{features.model}/{name}") for name in sorted(names.values())))


def prune(features: Features, folder: Folder) -> None:
    """Drop moments of chunks that are no longer in `features`, all rows of a model."""
    present = {_prefix(chunk) for chunk in _names(features)}
    for name in folder.names(f"moments/{features.model}"):
        if name.rpartition("-")[0] not in present:
            folder.delete(f"moments/{features.model}/{name}")


def fold(features: Features) -> Moments:
    """Moments of all rows of `features`, by Spark's tasks. Takes up to 208 MB of the driver's memory."""

    def folded(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        return pca.moments_rows(pca.fold(pca.matrix(table["embedding"].combine_chunks())) for table in tables)

    tasks = min(features.tasks(), MOST_TASKS, features.spark.sparkContext.defaultParallelism)
    rows = features.mapped(["embedding"], tasks, folded, MOMENTS).arrow()
    return reduce(add, (pca.moments_from(**row) for row in rows.to_pylist()))


def matching(keys: Rows, glob: str, input_uri: str) -> Rows:
    """Rows whose label, path below INPUT, or a folder on it matches `glob` (`Training` is all below Training/)."""
    start = len(join(input_uri, ""))
    path = fnmatch.translate(glob).removesuffix(r"\Z")
    if isinstance(keys, SparkRows):
        below = F.expr(f"substring(uri, {start + 1})")
        return SparkRows(keys.frame.where(F.col("label").rlike(f"^{path}$") | below.rlike(f"^{path}(/.*)?$")), keys.schema)
    of_label, of_path = re.compile(path), re.compile(f"{path}(/.*)?", re.DOTALL)
    table = keys.arrow()
    pairs = zip(table["uri"].to_pylist(), table["label"].to_pylist(), strict=True)
    chosen = [bool(of_label.fullmatch(label or "") or of_path.fullmatch(uri[start:])) for uri, label in pairs]
    return ArrowRows(table.filter(pa.array(chosen, pa.bool_())))


def _of_chunk(keys: Rows, chunk: Chunk) -> Rows:
    if isinstance(keys, SparkRows):
        return SparkRows(keys.frame.where((F.col("run_id") == chunk.run_id) & (F.col("micros") == chunk.micros)), keys.schema)
    table = keys.arrow()
    return ArrowRows(table.filter(pc.and_(pc.equal(table["run_id"], chunk.run_id), pc.equal(table["micros"], chunk.micros))))


def _names(features: Features) -> dict[Chunk, str]:
    """The file of moments of each chunk that `features` have rows of."""
    rows: dict[Chunk, list[int]] = defaultdict(lambda: [0, 0])  # count, and all addresses and etags in one number
    if isinstance(features.keys, SparkRows):
        digits = F.substring(F.sha2(F.concat_ws("\0", "uri", "etag"), 256), 1, DIGITS)
        number = F.bit_xor(F.conv(digits, 16, 10).cast("bigint")).alias("number")
        for row in features.keys.frame.groupBy("run_id", "micros").agg(F.count("*").alias("n"), number).collect():
            rows[Chunk(row["run_id"], row["micros"])] = [row["n"], row["number"]]
    else:
        for row in features.keys.select("run_id", "micros", "uri", "etag").arrow().to_pylist():
            chunk = rows[Chunk(row["run_id"], row["micros"])]
            chunk[0] += 1
            chunk[1] ^= int(hashlib.sha256(f"{row['uri']}\0{row['etag']}".encode()).hexdigest()[:DIGITS], 16)
    return {
        chunk: f"{_prefix(chunk)}-{hashlib.sha256(f'{features.model}|{n}|{number}'.encode()).hexdigest()[:16]}.npz"
        for chunk, (n, number) in rows.items()
    }


def _prefix(chunk: Chunk) -> str:
    return f"{chunk.run_id}-{chunk.micros}"


def _dump(moments: Moments) -> bytes:
    """The upper triangle only: 6.6 MB at 1,280 features."""
    buffer = BytesIO()
    upper = moments.gram[np.triu_indices(len(moments.sum))]
    np.savez(buffer, n=moments.n, sum=moments.sum, gram=upper)
    return buffer.getvalue()


def _load(folder: Folder, name: str) -> Moments:
    stored = folder.read(name)
    if stored is None:
        raise InputError(f"`{name}` disappeared while the PCA was fitted", "run the same command again")
    with np.load(BytesIO(stored.content)) as arrays:
        d = len(arrays["sum"])
        gram = np.zeros((d, d))
        gram[np.triu_indices(d)] = arrays["gram"]
        return Moments(int(arrays["n"]), arrays["sum"], gram + np.triu(gram, 1).T)
