"""
Compute what the report says about the scores of a run: counts, extremes of components, leave-one-out neighbours.

Bounded whatever the run's size: a sample of at most SAMPLE rows, the same at every reading. Reads `pca/` part by part, nothing else.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from job.product.fruits import group_of
from job.product.gallery import to_numpy
from job.product.neighbours import Scores, nearest, unit_rows
from job.product.threshold import calibrate
from job.storage.object_store import Folder

SAMPLE = 100_000  # images at most
POINTS = 2_000  # of them on the map
PAIRS = 200_000_000  # comparisons of queries with the gallery: a few seconds of one core
COMPONENTS = 5  # whose ends are shown
IMAGES_PER_END = 6  # images at either end
CONFUSIONS = 12


@dataclass(frozen=True)
class Sample:
    """Rows of `pca/` in the order of their hash, so that any first part of them is a sample too."""

    uris: list[str]
    labels: list[str | None]
    scores: Scores  # (n, k)
    counts: Counter[str | None]  # label -> images, of all rows

    @property
    def rows(self) -> int:
        """Of the whole run."""
        return self.counts.total()


class Confusion(NamedTuple):
    """Images of `label` whose nearest neighbour is a `taken_for`, and the nearest such pair as rows of the sample."""

    label: str
    taken_for: str
    images: int
    row: int
    neighbour: int
    distance: float


@dataclass(frozen=True)
class Neighbours:
    """Each query's nearest other image of the sample. Only images with a label answer, only those whose label has another one ask."""

    queries: int = 0
    gallery: int = 0
    right: float = 0.0  # share of the queries whose neighbour has the same label, 0..1
    right_group: float = 0.0  # the same fruit, whatever the variety
    by_label: list[tuple[str, int, int]] = field(default_factory=list)  # label, queries, right; worst first
    confusions: list[Confusion] = field(default_factory=list)  # most frequent first
    identify: dict[str, float] = field(default_factory=dict)  # the threshold that `identify` uses


@dataclass(frozen=True)
class ComponentExtremes:
    """Rows of the sample at the two ends of one component, outermost first; of each label one, where there are enough labels."""

    component: int  # 1 is the first
    low: list[int]
    high: list[int]


def read_sample(folder: Folder, run_id: str, rows: int) -> Sample:
    """
    Read at most SAMPLE of the `rows` images in `runs/<run_id>/pca/`, chosen by a hash of their URI.

    Raises:
        OutputError, CredentialsError: it cannot be read.
        pa.ArrowException: it is not Parquet.
    """
    limit = 1 << 32 if rows <= SAMPLE else int((1 << 32) * SAMPLE / rows)
    counts: Counter[str | None] = Counter()
    found: list[tuple[int, str, str | None, Scores]] = []
    for batch in _batches(folder, f"runs/{run_id}/pca"):
        labels = batch.column("label").to_pylist()
        counts.update(labels)
        pcs = batch.column("pc").flatten()
        scores = to_numpy(pcs, np.float32).reshape(len(labels), -1)
        for row, uri in enumerate(batch.column("uri").to_pylist()):
            if (place := crc32(uri.encode())) < limit:
                found.append((place, uri, labels[row], scores[row].copy()))  # so that the batch can be freed
    found.sort(key=lambda image: image[:2])
    found = found[:SAMPLE]
    rows_of = np.stack([image[3] for image in found]) if found else np.empty((0, 0), np.float32)
    return Sample([image[1] for image in found], [image[2] for image in found], rows_of, counts)


def component_extremes(sample: Sample) -> list[ComponentExtremes]:
    """Return the images at both ends of the first COMPONENTS components."""
    found = []
    for component in range(min(COMPONENTS, sample.scores.shape[1])):
        order = np.argsort(sample.scores[:, component], kind="stable")
        size = min(IMAGES_PER_END, len(order) // 2)
        found.append(ComponentExtremes(component + 1, _outermost(order, sample, size), _outermost(order[::-1], sample, size)))
    return found


def neighbours(sample: Sample) -> Neighbours:
    """Classify images by the nearest other image of the sample (leave one out), as many as PAIRS allows."""
    labelled = np.array([row for row, label in enumerate(sample.labels) if label is not None], np.intp)
    of_label = Counter(sample.labels[row] for row in labelled)
    own = np.array([place for place, row in enumerate(labelled) if of_label[sample.labels[row]] > 1], np.intp)
    if not len(own):
        return Neighbours(identify=calibrate(np.empty(0, np.float32), np.empty(0, np.bool_)))
    gallery = unit_rows(sample.scores[labelled])
    own = own[: max(POINTS, PAIRS // len(labelled))]
    found, distances = nearest(gallery, gallery[own], 1, own)
    near = labelled[found[:, 0]]
    asked = [str(sample.labels[row]) for row in labelled[own]]
    answered = [str(sample.labels[row]) for row in near]
    right = np.array([a == b for a, b in zip(asked, answered, strict=True)])
    right_group = np.mean([group_of(a) == group_of(b) for a, b in zip(asked, answered, strict=True)])
    queries, hits = Counter(asked), Counter(label for label, hit in zip(asked, right, strict=True) if hit)
    by_label = sorted(((label, count, hits[label]) for label, count in queries.items()), key=lambda row: (row[2] / row[1], row[0]))
    return Neighbours(
        len(own),
        len(labelled),
        float(right.mean()),
        float(right_group),
        by_label,
        _confusions(asked, answered, labelled[own], near, distances[:, 0]),
        calibrate(distances[:, 0], right),
    )


def _confusions(
    asked: list[str], answered: list[str], rows: npt.NDArray[np.intp], near: npt.NDArray[np.intp], distances: npt.NDArray[np.float32]
) -> list[Confusion]:
    wrong = [i for i in range(len(asked)) if asked[i] != answered[i]]
    images = Counter((asked[i], answered[i]) for i in wrong)
    nearest_pair = {(asked[i], answered[i]): i for i in sorted(wrong, key=lambda i: -distances[i])}
    most = sorted(images.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    examples = [(pair, count, nearest_pair[pair]) for pair, count in most]
    return [Confusion(*pair, count, int(rows[i]), int(near[i]), float(distances[i])) for pair, count, i in examples]


def _outermost(order: npt.NDArray[np.intp], sample: Sample, size: int) -> list[int]:
    """Return the first images of `order`, each label once before any twice: near-duplicates of one fruit would fill an end."""
    seen: set[str | None] = set()
    first: list[int] = []
    for row in order[: len(order) // 2].tolist():
        if len(first) == size:
            break
        if sample.labels[row] not in seen:
            seen.add(sample.labels[row])
            first.append(row)
    others = [row for row in order[: size * 2].tolist() if row not in first]
    return (first + others)[:size]


def _batches(folder: Folder, name: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches: each is some 60 MB, however large the run."""
    for part in folder.names(name):
        stored = folder.read(f"{name}/{part}") if part.endswith(".parquet") else None
        if stored is not None:
            yield from pq.ParquetFile(io.BytesIO(stored.content)).iter_batches(
                batch_size=8192, columns=["uri", "label", "pc"], use_threads=False
            )
