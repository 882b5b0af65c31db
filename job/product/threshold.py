"""Compute from leave-one-out distances when a nearest neighbour is too far to mean anything."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

QUANTILE = 0.99  # one photo in a hundred of a kind that is known may be called unknown
TYPICAL = 0.9


def calibrate(distances: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> dict[str, float]:
    """
    Return the manifest's field `identify`, from the images of a run, each compared with all others.

    `distances` (n,) float32 is the cosine distance to the nearest other image, `right` (n,) bool whether that one has the same label.

    Returns:
        `threshold`: the 99th percentile of the distances of correct neighbours, 0..2; beyond it the answer is "unknown". 0.0 if none was
            correct: such a gallery knows only its own images.
        `typical`: the 90th percentile of the same distances.
        `median`: their median.
        `images`: the number of images compared.
        `right`: the share of correct neighbours, 0..1.
    """
    if not len(distances):
        return {"threshold": 0.0, "typical": 0.0, "median": 0.0, "images": 0.0, "right": 0.0}
    # float32 scores of one and the same image may be a little nearer than 0 or a little further
    same = np.clip(distances[right].astype(np.float64), 0.0, 2.0)
    threshold, typical, median = np.quantile(same, [QUANTILE, TYPICAL, 0.5]) if len(same) else (0.0, 0.0, 0.0)
    return {
        "threshold": round(float(threshold), 6),
        "typical": round(float(typical), 6),
        "median": round(float(median), 6),
        "images": float(len(distances)),
        "right": round(float(right.mean()), 6),
    }
