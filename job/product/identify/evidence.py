"""Find the gallery images nearest to a photo and count their votes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from job.imaging.networks import Features
from job.product.gallery import Gallery
from job.product.neighbours import nearest

QUERIES = (("whole",), ("box", "white"))  # each query is the mean of its views' features; the one with the nearest image is used
VOTERS = 10  # nearest images that vote
SOFTNESS = 0.05  # an image that is further away than the nearest one by this counts 1/e of it


@dataclass(frozen=True)
class Evidence:
    """`rows` (c,) of the gallery with their cosine `distances` (c,) float32 and `votes` (c,) float64, which add up to 1."""

    rows: npt.NDArray[np.intp]
    distances: npt.NDArray[np.float32]
    votes: npt.NDArray[np.float64]

    @property
    def distance(self) -> float:
        """Distance to the nearest image."""
        return float(self.distances.min())

    def shares(self, keys: list[str]) -> dict[str, float]:
        """Return the sum of votes by key, one key per row; largest first."""
        total: dict[str, float] = {}
        for key, vote in zip(keys, self.votes.tolist(), strict=True):
            total[key] = total.get(key, 0.0) + vote
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def joined(self, other: Evidence, weight: float) -> Evidence:
        """Merge with `other`, which gets the weight `weight` (0..1). A row in both counts for `other`."""
        mine = ~np.isin(self.rows, other.rows)
        votes = np.concatenate([weight * other.votes, (1 - weight) * self.votes[mine]])
        rows, distances = np.concatenate([other.rows, self.rows[mine]]), np.concatenate([other.distances, self.distances[mine]])
        return Evidence(rows, distances, votes / votes.sum())


def evidence_of(
    gallery: Gallery, features: dict[str, Features], among: npt.NDArray[np.intp] | None = None, looks: tuple[tuple[str, ...], ...] = QUERIES
) -> Evidence:
    """
    Return the nearest images and their votes for the features of a photo.

    `features`: (d,) float32 by view; `whole` is always there. `among`: rows of the gallery to search; None searches all. `looks`: views to
    search with; the one with the nearest image is used.
    """
    seen = [np.mean([features[view] for view in look], axis=0) for look in looks if all(view in features for view in look)]
    asked = gallery.units if among is None else gallery.units[among]
    rows, distances = nearest(asked, gallery.project(np.stack(seen or [features["whole"]])), VOTERS)
    best = int(distances[:, 0].argmin())
    votes = np.exp((distances[best, 0] - distances[best].astype(np.float64)) / SOFTNESS)
    found = rows[best] if among is None else among[rows[best]]
    return Evidence(found, np.maximum(distances[best], 0), votes / votes.sum())
