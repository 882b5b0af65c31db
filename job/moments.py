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
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from job.errors import InputError
from job.objects import Folder
from job.pca import Moments, fold_frame
from job.store import Chunk, Features
from job.uris import join


def moments_of(features: Features, input_uri: str, fit_on: str | None, folder: Folder) -> Moments:
    """
    Moments of the rows of `features` that `fit_on` names; what `folder` lacks is computed and kept there.

    Raises:
        InputError: `fit_on` names no image.
    """

    def chosen(frame: DataFrame) -> DataFrame:
        return frame if fit_on is None else frame.where(matches(fit_on, input_uri))

    counts = [F.count("*").alias("n"), F.bit_xor(F.xxhash64("uri", "etag")).alias("rows")]
    found = chosen(features.keys()).groupBy("run_id", F.unix_micros("embedded_at").alias("micros")).agg(*counts).collect()
    if not found:
        raise InputError(
            f"--fit-on `{fit_on}` matches no images", "use a pattern for labels (`Apple*`) or for folders below INPUT (`Training`)"
        )
    names = {Chunk(row["run_id"], row["micros"]): _name(features.model, row) for row in found}
    kept = set(folder.names(f"moments/{features.model}"))
    # One Spark job each: of several chunks every task would return its own 13 MB per chunk, a gigabyte for the driver soon.
    for chunk, name in sorted(names.items()):
        if name not in kept:
            part = fold_frame(chosen(features.embeddings(chunk)))
            folder.write(f"moments/{features.model}/{name}", _dump(part))
    return reduce(add, (_load(folder, f"moments/{features.model}/{name}") for name in sorted(names.values())))


def prune(features: Features, folder: Folder) -> None:
    """Drop moments of chunks that are no longer in `features`, all rows of a model."""
    chunks = features.keys().select("run_id", F.unix_micros("embedded_at").alias("micros")).distinct().collect()
    present = {_prefix(row) for row in chunks}
    for name in folder.names(f"moments/{features.model}"):
        if name.rpartition("-")[0] not in present:
            folder.delete(f"moments/{features.model}/{name}")


def matches(glob: str, input_uri: str) -> Column:
    """`glob` matches the label, the path below INPUT, or one of the folders on it (`Training` is all below Training/)."""
    below = F.expr(f"substring(uri, {len(join(input_uri, '')) + 1})")
    path = fnmatch.translate(glob).removesuffix(r"\Z")
    return F.col("label").rlike(f"^{path}$") | below.rlike(f"^{path}(/.*)?$")


def _name(model: str, row: Row) -> str:
    key = f"{model}|{row['n']}|{row['rows']}"
    return f"{_prefix(row)}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def _prefix(row: Row) -> str:
    return f"{row['run_id']}-{row['micros']}"


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
