"""What the gallery and the classifier say in, what we dare to say out. Pure; docs/decisions/0013 has the figures behind each rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

AGREE = 0.2  # the classifier's probability from which its agreement counts where the neighbours are far
ALONE = 0.5  # from which it is believed alone
SAME = 1e-5  # distance of an image to itself, at the most: scores are float32
CERTAIN = 2 / 3  # of all votes a group has to have to be named, and of its group's votes a label


@dataclass(frozen=True)
class Verdict:
    """`group` None: unknown. `by` says whose word it is."""

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
    agree: float = AGREE,
    alone: float = ALONE,
    contradict: float = ALONE,
    certain: float = CERTAIN,
) -> Verdict:
    """
    `votes`: the neighbours' share by group, the largest first. `distance`: to the nearest image, by cosine; beyond `threshold` it says
    nothing; within `typical` it is as near as photos of one fruit are, and no objection counts. `opinion`: the classifier's probability
    by group, {} without one. `groups`: those of the gallery; with another one the classifier can object, but not answer.

    A wrong name is worse than none: where the neighbours disagree, or the two contradict each other, the answer is unknown.
    """
    ours, share = next(iter(votes.items()))
    theirs, sure = max(opinion.items(), key=lambda item: item[1], default=("", 0.0))
    if distance <= max(threshold, SAME):
        doubtful = share < certain or (theirs != ours and sure >= contradict)
        if doubtful and distance > max(typical, SAME):
            return Verdict(None, "nobody", share)
        return Verdict(ours, "neighbours", share)
    if theirs == ours and sure >= agree:
        return Verdict(ours, "both", max(share, sure))
    if sure >= alone and theirs in groups:
        return Verdict(theirs, "classifier", sure)
    return Verdict(None, "nobody", share)
