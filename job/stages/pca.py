"""
Fit a PCA by exact moments: rows fold into (n, sum, Gram matrix) in float64, one `eigh` gives the components.

Moments can be added, so those of unchanged rows are stored and never computed twice. The result is that of `pyspark.ml.feature.PCA` up to
sign; the projection is centred, which Spark's `transform` does not do
(https://spark.apache.org/docs/3.5.6/api/python/reference/api/pyspark.ml.feature.PCA.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from job.contract.errors import VarianceError
from job.contract.params import DEFAULT_COMPONENTS
from job.contract.records import is_or_are, plural_noun
from job.inputs.rows import Rows
from job.stages.tables.features import Features
from job.storage.schema import SCORES

Array = npt.NDArray[np.float64]


class Moments(NamedTuple):
    """Moments of n rows of d values: enough for mean, covariance and correlation."""

    n: int
    sum: Array  # (d,)
    gram: Array  # (d, d): XᵀX

    def __add__(self, other: object) -> Moments:
        if not isinstance(other, Moments):
            return NotImplemented
        return Moments(self.n + other.n, self.sum + other.sum, self.gram + other.gram)


@dataclass(frozen=True)
class Fitted:
    """A fitted PCA. Scores are `(x - mean) @ loadings`."""

    mean: Array  # (d,)
    scale: Array  # (d,): 1 unless standardised, then the standard deviations; 0 where a feature is constant
    components: Array  # (d, k), orthonormal columns; the largest absolute loading of each is positive
    eigenvalues: Array  # (r,), r the rank: the whole spectrum, largest first
    n: int

    @property
    def k(self) -> int:
        return int(self.components.shape[1])

    @property
    def ratios(self) -> Array:
        """(r,) share of the variance that each component explains."""
        ratios: Array = self.eigenvalues / self.eigenvalues.sum()
        return ratios

    @property
    def loadings(self) -> Array:
        """(d, k): the components, with the scaling of standardised features folded in."""
        inverse = np.divide(1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        loadings: Array = self.components * inverse[:, np.newaxis]
        return loadings


def fold(rows: npt.NDArray[np.floating[Any]]) -> Moments:
    """Compute the float64 moments of (n, d) rows. One level-3 BLAS call: NumPy uses syrk for XᵀX."""
    x = rows.astype(np.float64)
    return Moments(len(x), x.sum(axis=0), x.T @ x)


def refuse_too_few(images: int) -> None:
    """Raise VarianceError if a PCA cannot be fitted on `images` images."""
    if images < 2:
        hint = "add photos and run the command again: features are kept"
        raise VarianceError(f"a PCA needs at least two images, there {is_or_are(images)} `{images}`", hint)


def fit(moments: Moments, components: int | None = None, variance: float | None = None, standardize: bool = False) -> Fitted:
    """
    Fit the first `components`, or as many as explain `variance`; fewer if the rank is lower.

    Covariance with n - 1, as in Spark and scikit-learn.

    Raises:
        VarianceError: fewer than two rows, or all rows are equal.
    """
    n = moments.n
    refuse_too_few(n)
    mean = moments.sum / n
    covariance = (moments.gram - np.outer(mean, moments.sum)) / (n - 1)
    deviation = np.sqrt(np.clip(np.diag(covariance), 0, None))
    # Cancellation leaves about eps times the mean square where a feature is constant.
    constant = deviation**2 <= 1e-12 * (np.diag(moments.gram) / n)
    scale = np.where(constant, 0.0, deviation) if standardize else np.ones_like(mean)
    if standardize:
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        covariance = covariance * np.outer(inverse, inverse)
    if constant.all():
        alike = f"all `{n}` {plural_noun(n, 'images')} have the same features"
        raise VarianceError(f"{alike}: there is no variance to decompose", "add different photos")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    rank = min(n - 1, int((eigenvalues > eigenvalues[0] * len(mean) * np.finfo(np.float64).eps).sum()))
    eigenvalues = eigenvalues[:rank]
    k = min(rank, components or DEFAULT_COMPONENTS)
    if variance is not None:
        reached = np.cumsum(eigenvalues) / eigenvalues.sum() >= variance - 1e-12  # 1.0 is reached in spite of rounding
        k = int(np.argmax(reached)) + 1 if reached.any() else rank
    chosen = vectors[:, :k]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(k)]
    return Fitted(mean, scale, chosen * np.where(largest < 0, -1.0, 1.0), eigenvalues, n)


def project(features: Features, fitted: Fitted) -> Rows:
    """Project `features` to SCORES: pc is `(embedding - mean) @ loadings`, (k,) float32."""
    model = features.spark.sparkContext.broadcast((fitted.mean, fitted.loadings))

    def scores(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        mean, loadings = model.value
        for table in tables:
            values = ((matrix(table["embedding"].combine_chunks()) - mean) @ loadings).astype(np.float32)
            offsets = pa.array(np.arange(0, values.size + 1, values.shape[1], dtype=np.int32))
            pc = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
            yield from pa.Table.from_arrays([table["uri"], table["label"], pc.cast(SCORES.field("pc").type)], schema=SCORES).to_batches()

    return features.map_in_arrow(["uri", "label", "embedding"], features.tasks(), scores, SCORES)


def matrix(column: pa.ListArray) -> npt.NDArray[np.float32]:
    """Convert a list column of n rows of length d to (n, d) float32, without copying."""
    values = column.flatten().to_numpy()
    rows: npt.NDArray[np.float32] = values.reshape(len(column), -1)
    return rows


def moments_rows(parts: Iterable[Moments]) -> Iterator[pa.RecordBatch]:
    """Yield the sum of `parts` as one row of MOMENTS; nothing if there are no parts."""
    total: Moments | None = None
    for part in parts:
        total = part if total is None else total + part
    if total is not None:
        arrays = [pa.array([total.n]), pa.array([total.sum.tobytes()], pa.binary()), pa.array([total.gram.tobytes()], pa.binary())]
        yield pa.RecordBatch.from_arrays(arrays, names=["n", "sum", "gram"])


def moments_from(n: int, sum: bytes, gram: bytes) -> Moments:  # noqa: A002 - the columns of MOMENTS
    """Parse a row of MOMENTS."""
    d = len(sum) // 8
    return Moments(n, np.frombuffer(sum), np.frombuffer(gram).reshape(d, d))
