"""Count photos that are almost copies of others, within the run and across folders such as Training and Test. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from job.product.neighbours import Scores, nearest, unit_rows

# Cosine distance of scores: that of a photo to its own mirror image, median 0.030 in Fruits-360, 0.023 in photos of grocery stores.
# Pairs of both data sets that are that near show one scene or one fruit.
NEAR = 0.03
COMPONENTS = 10  # with fewer, different photos are as near by chance
PAIRS = 100_000_000  # comparisons, of all and again of folders: a second of one core
FEWEST, MOST = 100, 2_000  # photos that are compared with all others; a share of 2,000 is right within 2 points
FOLDERS = 5  # the largest are compared
PHOTOS_OF_FOLDER = 5  # at least: a share of fewer would tell about single photos


class Leak(NamedTuple):
    """Share of `asked` photos of a folder that have a near-duplicate in another one."""

    folder: str
    other: str
    asked: int
    share: float  # 0..1


@dataclass(frozen=True)
class Duplicates:
    """Shares of photos with a near-duplicate, 0..1."""

    asked: int = 0
    gallery: int = 0
    share: float = 0.0  # anywhere in the sample
    leaks: list[Leak] = field(default_factory=list)  # largest first


def duplicates(scores: Scores, folders: Sequence[str | None]) -> Duplicates:
    """Compare photos with all others by their scores (n, k), and each of the largest folders with each other one; nothing if k is small."""
    if len(scores) < 2 or scores.shape[1] < COMPONENTS:
        return Duplicates()
    units = unit_rows(scores)
    own = np.arange(_queries(len(units), len(units)))
    _, distances = nearest(units, units[own], 1, own)
    return Duplicates(len(own), len(units), float((distances < NEAR).mean()), _leaks(units, folders))


def _leaks(units: Scores, folders: Sequence[str | None]) -> list[Leak]:
    named = np.array([folder or "" for folder in folders])
    sizes = Counter(folder for folder in folders if folder is not None)
    largest = [folder for folder, count in sorted(sizes.items(), key=lambda item: (-item[1], item[0])) if count >= PHOTOS_OF_FOLDER]
    rows = {folder: units[named == folder] for folder in largest[:FOLDERS]}
    leaks = []
    for folder, asked in rows.items():
        asked = asked[: _queries(len(asked), len(rows) * len(units))]
        for other, gallery in rows.items():
            if other != folder:
                _, distances = nearest(gallery, asked, 1)
                leaks.append(Leak(folder, other, len(asked), float((distances < NEAR).mean())))
    return sorted(leaks, key=lambda leak: (-leak.share, leak.folder, leak.other))


def _queries(photos: int, gallery: int) -> int:
    return min(photos, MOST, max(FEWEST, PAIRS // gallery))
