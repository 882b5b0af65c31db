"""
Moments beside the features, one file per chunk: a refit after 1,000 new photos reads the features of those only.

A chunk is one commit to `features`: (run_id, embedded_at). A file's name holds the chunk and a hash of the rows it stands
for, so moments of a chunk that lost rows, or of another `--fit-on`, are other files and none is ever wrong.
"""

from __future__ import annotations

import fnmatch
import hashlib
from functools import reduce
from io import BytesIO
from operator import add

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from job.errors import InputError
from job.objects import Folder
from job.pca import Moments, fold_frame
from job.uris import join


def moments_of(features: DataFrame, model: str, input_uri: str, fit_on: str | None, folder: Folder) -> Moments:
    """
    Moments of the rows of `features` that `fit_on` names; what `folder` lacks is computed and kept there.

    Raises:
        InputError: `fit_on` names no image.
    """
    chosen = features.withColumn("chunk", _chunk())
    if fit_on is not None:
        chosen = chosen.where(matches(fit_on, input_uri))
    counts = [F.count("*").alias("n"), F.bit_xor(F.xxhash64("uri", "etag")).alias("rows")]
    found = chosen.groupBy("chunk", "run_id", F.unix_micros("embedded_at").alias("micros")).agg(*counts).collect()
    names = {row["chunk"]: _name(model, row) for row in found}
    if not names:
        raise InputError(
            f"--fit-on `{fit_on}` matches no images", "use a pattern for labels (`Apple*`) or for folders below INPUT (`Training`)"
        )
    kept = set(folder.names(f"moments/{model}"))
    # One Spark job each: of several chunks every task would return its own 13 MB per chunk, a gigabyte for the driver soon.
    for row in sorted(found, key=lambda row: row["chunk"]):
        if (name := names[row["chunk"]]) not in kept:
            part = fold_frame(chosen.where(_is_chunk(row["run_id"], row["micros"])))[row["chunk"]]
            folder.write(f"moments/{model}/{name}", _dump(part))
    return reduce(add, (_load(folder, f"moments/{model}/{name}") for _, name in sorted(names.items())))


def prune(features: DataFrame, model: str, folder: Folder) -> None:
    """Drop moments of chunks that are no longer in `features`, the whole table of `model`."""
    chunks = features.select(_chunk().alias("chunk")).distinct()
    present = {row["chunk"] for row in chunks.collect()}
    for name in folder.names(f"moments/{model}"):
        if name.rpartition("-")[0] not in present:
            folder.delete(f"moments/{model}/{name}")


def matches(glob: str, input_uri: str) -> Column:
    """`glob` matches the label, the path below INPUT, or one of the folders on it (`Training` is all below Training/)."""
    below = F.expr(f"substring(uri, {len(join(input_uri, '')) + 1})")
    path = fnmatch.translate(glob).removesuffix(r"\Z")
    return F.col("label").rlike(f"^{path}$") | below.rlike(f"^{path}(/.*)?$")


def _chunk() -> Column:
    return F.concat_ws("-", "run_id", F.unix_micros("embedded_at"))


def _is_chunk(run_id: str, micros: int) -> Column:
    """
    In terms of the table's own columns, so that Delta reads the files of this commit alone; by `_chunk` it would read all.
    https://docs.delta.io/latest/optimizations-oss.html#data-skipping
    """
    return (F.col("run_id") == run_id) & (F.col("embedded_at") == F.timestamp_micros(F.lit(micros)))


def _name(model: str, row: object) -> str:
    key = f"{model}|{row['n']}|{row['rows']}"  # type: ignore[index] # a pyspark Row
    return f"{row['chunk']}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"  # type: ignore[index]


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
