"""Decide on a fruit from what the gallery and the classifier say. Pure; docs/decisions/0013 has the figures behind each rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

MIN_AGREEMENT = 0.2  # minimum probability of the classifier to confirm neighbours that are far
MIN_ALONE = 0.5  # minimum probability to decide without the neighbours
MAX_SAME_DISTANCE = 1e-5  # maximum distance of an image to itself: scores are float32
MIN_SHARE = 2 / 3  # minimum share of the votes for a group, and for a label among its group's votes


@dataclass(frozen=True)
class Decision:
    """The group (None: unknown), who decided it, and the score."""

    group: str | None
    by: Literal["neighbours", "both", "classifier", "nobody"]
    score: float  # 0..1


def decide(
    votes: Mapping[str, float],
    distance: float,
    threshold: float,
    typical: float,
    opinion: Mapping[str, float],
    groups: Collection[str],
    *,
    agree: float = MIN_AGREEMENT,
    alone: float = MIN_ALONE,
    contradict: float = MIN_ALONE,
    certain: float = MIN_SHARE,
) -> Decision:
    """
    Decide which group a photo shows, or that it is unknown.

    A wrong name is worse than none: where the neighbours disagree, or neighbours and classifier contradict each other, the group is
    unknown.

    `votes`: the neighbours' share by group, largest first. `distance`: cosine distance to the nearest image; beyond `threshold` the votes
    are ignored, within `typical` the classifier cannot object. `opinion`: the classifier's probability by group; {} without a classifier.
    `groups`: those of the gallery; with another group the classifier can object, but not answer.
    """
    ours, share = next(iter(votes.items()))
    theirs, sure = max(opinion.items(), key=lambda item: item[1], default=("", 0.0))
    if distance <= max(threshold, MAX_SAME_DISTANCE):
        doubtful = share < certain or (theirs != ours and sure >= contradict)
        if doubtful and distance > max(typical, MAX_SAME_DISTANCE):
            return Decision(None, "nobody", share)
        return Decision(ours, "neighbours", share)
    if theirs == ours and sure >= agree:
        return Decision(ours, "both", max(share, sure))
    if sure >= alone and theirs in groups:
        return Decision(theirs, "classifier", sure)
    return Decision(None, "nobody", share)
