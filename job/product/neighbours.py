"""Find exact nearest neighbours by cosine on PCA scores, with NumPy's BLAS and without an index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
BLOCK_CELLS = 1 << 26  # of one matrix product, queries x gallery: 256 MB float32, and twice that for the order of its rows


def unit_rows(scores: Scores) -> Scores:
    """Scale each row of `scores` (n, k) to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    return np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)


def nearest(
    gallery: Scores, queries: Scores, count: int, own: npt.NDArray[np.intp] | None = None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """
    Find the `count` rows of `gallery` (n, k) nearest to each of `queries` (m, k), both of unit length; nearest first.

    `own` (m,) names for each query the row that is the query itself, which is left out (leave one out).

    Returns:
        rows (m, c) and cosine distances (m, c) float32 in 0..2; c is `count`, or less where the gallery is smaller.
    """
    count = max(0, min(count, len(gallery) - (own is not None)))
    rows = np.empty((len(queries), count), np.intp)
    distances = np.empty((len(queries), count), np.float32)
    if not count:
        return rows, distances
    block = max(1, BLOCK_CELLS // len(gallery))
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        opposite = -queries[part] @ gallery.T  # the nearest has the smallest
        if own is not None:
            opposite[np.arange(len(opposite)), own[part]] = np.inf
        best = np.argpartition(opposite, count - 1, axis=1)[:, :count] if count > 1 else opposite.argmin(axis=1)[:, np.newaxis]
        values = np.take_along_axis(opposite, best, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        rows[part] = np.take_along_axis(best, order, axis=1)
        distances[part] = 1 + np.take_along_axis(values, order, axis=1)
    return rows, distances
