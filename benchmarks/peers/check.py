"""What a peer wrote against what Keras itself computes: every photo once, and the worst cosine. In: Parquet files. Out: Check."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from benchmarks.peers.task import BATCH, DIM, Features, Network, decode

COSINE = 0.9999  # at least; below, it is not the same features
SCALED_COSINE = 0.99  # of photos that one of the two has decoded at a fraction of their size
NAMES = (("uri", "path"), ("embedding", "features"))  # ours and the peers', the notebook's


@dataclass(frozen=True)
class Check:
    rows: int
    photos: int  # different addresses
    worst_cosine: float  # NaN if there is no row or a number is not finite
    least: float = COSINE

    def passed(self, photos: int) -> bool:
        return self.rows == self.photos == photos and self.worst_cosine >= self.least


def reference(sample: Path, network: Network) -> dict[str, Features]:
    """`short_name` of every photo of the sample to (1280,) float32."""
    found: dict[str, Features] = {}
    paths = sorted(sample.rglob("*.jpg"))
    for first in range(0, len(paths), BATCH):
        some = paths[first : first + BATCH]
        features = network(np.stack([decode(path.read_bytes()) for path in some]))
        found |= {short_name(str(path)): values for path, values in zip(some, features, strict=True)}
    return found


def short_name(uri: str) -> str:
    """Set, label and file name: the same for every copy of a photo, on disk and on S3."""
    return "/".join(unquote(uri).split("/")[-3:])


def check(files: Sequence[str], expected: dict[str, Features], least: float = COSINE) -> Check:
    """
    Compare; `least` is the cosine that every photo must reach.

    Raises:
        KeyError: there is a photo that `expected` has not.
    """
    if not files:
        return Check(0, 0, float("nan"), least)
    table = ds.dataset([name for name in files if os.path.getsize(name)], format="parquet").to_table()
    uri, embedding = (next(name for name in names if name in table.column_names) for names in NAMES)
    uris = table[uri].to_pylist()
    if not uris:
        return Check(0, 0, float("nan"), least)
    rows = matrix(table[embedding])
    wanted = np.stack([expected[short_name(name)] for name in uris])
    return Check(len(uris), len(set(uris)), worst_cosine(rows, wanted), least)


def matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """(N, 1280), whether the column holds lists, lists of a fixed size or tensors."""
    plain = column.cast(pa.list_(pa.float32())) if pa.types.is_fixed_size_list(column.type) else column
    combined = plain.combine_chunks()
    array = combined.storage if isinstance(combined, pa.ExtensionArray) else combined
    rows: npt.NDArray[np.float64] = array.flatten().to_numpy().astype(np.float64).reshape(-1, DIM)
    return rows


def worst_cosine(rows: npt.NDArray[np.float64], wanted: npt.NDArray[np.floating[Any]]) -> float:
    """Of each row with the same row of the other; both (N, d)."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted, axis=1)
    cosines = np.einsum("ij,ij->i", rows, wanted) / lengths
    return float(cosines.min())
