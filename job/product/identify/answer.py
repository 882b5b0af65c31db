"""Define the answer about one photo, as plain values and as a dict with stable JSON keys. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "unknown", "unreadable"]
NO_SECOND_OPINION = "No second opinion: the ImageNet classifier belongs to the trained network"


@dataclass(frozen=True)
class Neighbour:
    """An image of the gallery. `distance` is by cosine, 0..2."""

    uri: str
    distance: float


@dataclass(frozen=True)
class Result:
    """A label that the photo may be. `score` 0..1; those of all labels add up to 1, of which an answer shows the first few."""

    label: str
    group: str
    score: float
    distance: float  # of its nearest image
    neighbours: list[Neighbour] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """
    The answer about one photo.

    `ok`: `best` is a label, or None if varieties disagree and only their `group` is certain. `unknown`: nothing in the gallery is near
    enough; `results` still has the nearest. `unreadable`: `reason` says why.
    """

    status: Status
    run_id: str
    pca_run_id: str  # whose components were used
    model: str  # fingerprint
    threshold: float  # a nearest image further away than this is ignored
    best: str | None = None
    group: str | None = None
    score: float = 0.0  # of `group`, 0..1
    distance: float | None = None  # to the nearest image
    results: list[Result] = field(default_factory=list)
    reason: str | None = None
    seen_as: str | None = None  # what the network's own classifier calls the photo, in ImageNet's words
    second_opinion: bool = False  # whether that classifier was asked: only the trained network has one

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
