"""Measure what scores and features are worth: the accuracy of a linear classifier on photos that it has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from job.product.neighbours import Scores
from job.product.report.features import read_features
from job.product.report.review import Sample
from job.product.report.splits import Split, split
from job.storage.object_store import Folder

PHOTOS = 5_000  # of the sample at most: 25 MB of features, and half a second
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # numbers of components
RIDGE = 1e-4  # λ as a share of the total variance of what is learnt from


@dataclass(frozen=True)
class Probe:
    """Shares of the held-back photos that the classifier names right, 0..1."""

    split: Split
    by_components: list[tuple[int, float]]  # k, share
    features: float | None  # with all features; None where they were not read
    dim: int  # number of features
    most_frequent: float  # by naming each photo as the most frequent label


def measure_probe(folder: Folder, model: str, sample: Sample, folders: Sequence[str | None]) -> Probe | None:
    """
    Measure on at most PHOTOS of the sample, scores and features of the same ones; on scores alone if too few features are found.

    None if fewer than two labels have photos on both sides of the split.

    Raises:
        OutputError, CredentialsError: the features cannot be read.
    """
    if len(set(sample.labels) - {None}) < 2:
        return None
    rows, found = read_features(folder, model, sample.uris, PHOTOS)
    features: Scores | None = found
    most = min(len(sample.uris), PHOTOS)
    if 2 * len(rows) < most:
        rows, features = np.arange(most), None
    labels = [sample.labels[row] for row in rows]
    parts = split([sample.uris[row] for row in rows], labels, [folders[row] for row in rows])
    return probe(labels, sample.scores[rows], features, parts)


def probe(labels: Sequence[str | None], scores: Scores, features: Scores | None, parts: Split) -> Probe | None:
    """
    Train on `parts.training` and ask for `parts.test`, with the first 1, 2, 5, … of the scores (n, k), and with the features (n, d).

    None if fewer than two labels have photos on both sides.
    """
    if parts.labels < 2:
        return None
    names = {label: code for code, label in enumerate(sorted({str(labels[row]) for row in parts.training}))}
    learnt, asked = (np.array([names[str(labels[row])] for row in rows], np.intp) for rows in (parts.training, parts.test))
    k = scores.shape[1]
    steps = [*(step for step in STEPS if step < k), k]
    shares = _accuracies(scores[parts.training], learnt, scores[parts.test], asked, steps)
    whole = None
    if features is not None:
        (whole,) = _accuracies(features[parts.training], learnt, features[parts.test], asked, [features.shape[1]])
    most, _ = Counter(learnt.tolist()).most_common(1)[0]
    dim = 0 if features is None else features.shape[1]
    return Probe(parts, list(zip(steps, shares, strict=True)), whole, dim, float((asked == most).mean()))


def _accuracies(
    x: Scores, learnt: npt.NDArray[np.intp], held_back: Scores, asked: npt.NDArray[np.intp], steps: Sequence[int]
) -> list[float]:
    """
    Return the accuracy with the first `step` columns, for each of `steps`.

    Ridge regression in closed form on one column of 0 and 1 per label: W = (XᵀX + λI)⁻¹XᵀY, centred. The largest answer wins.
    """
    mean = x.mean(axis=0)
    centred = x - mean
    truth = np.eye(int(learnt.max()) + 1, dtype=np.float32)[learnt]
    share = truth.mean(axis=0)
    gram, cross = centred.T @ centred, centred.T @ (truth - share)
    ridge = max(RIDGE * float(np.trace(gram)), float(np.finfo(np.float32).tiny))
    found = []
    for step in steps:
        weights = np.linalg.solve(gram[:step, :step] + ridge * np.eye(step, dtype=np.float32), cross[:step])
        answers = ((held_back[:, :step] - mean[:step]) @ weights + share).argmax(axis=1)
        found.append(float((answers == asked).mean()))
    return found
