"""Turn measurements into tables. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.peers.check import Check
from benchmarks.targets import markdown

OURS, OURS_WHOLE = "fruitsctl, to features", "fruitsctl, with PCA, matrix and report"


@dataclass(frozen=True)
class Timed:
    """One peer on one source: the seconds of each repeat, from start to end of its process, and the check of its last output."""

    peer: str
    source: str
    photos: int
    seconds: list[float] = field(default_factory=list)
    check: Check | None = None
    failed: str = ""  # its error

    @property
    def median(self) -> float:
        return median(self.seconds) if self.seconds else math.nan


def ratio(timed: Timed, ours: Timed) -> float:
    """Return the time relative to fruitsctl's: the median of the repeats' ratios, because a slow moment of the machine slows both."""
    pairs = list(zip(timed.seconds, ours.seconds, strict=False))
    return median([theirs / mine for theirs, mine in pairs]) if pairs else math.nan


def table(results: Sequence[Timed]) -> str:
    """Return Markdown with a row per peer and source, ordered by source and then by seconds."""
    rows = []
    for source in dict.fromkeys(timed.source for timed in results):
        here = [timed for timed in results if timed.source == source]
        ours = next((timed for timed in here if timed.peer == OURS), None)
        for timed in sorted(here, key=lambda t: (math.isnan(t.median), t.median)):
            rows.append(row(timed, ours))
    return markdown(("source", "tool", "seconds", "photos/s", "time against fruitsctl", "worst cosine"), rows)


def row(timed: Timed, ours: Timed | None) -> tuple[str, ...]:
    where = f"{timed.source}, {timed.photos:,}"
    if timed.failed or not timed.seconds:
        return (where, timed.peer, "**failed**", "", "", timed.failed.replace("|", "/")[:80])
    low, high = min(timed.seconds), max(timed.seconds)
    seconds = f"{timed.median:.1f}" + (f" ({low:.1f} to {high:.1f})" if low != high else "")
    against = f"{ratio(timed, ours):.2f}x" if ours and ours.seconds else ""
    return (where, timed.peer, seconds, f"{timed.photos / timed.median:.0f}", against, cosine(timed))


def cosine(timed: Timed) -> str:
    if timed.check is None:
        return ""
    shown = f"{timed.check.worst_cosine:.6f}"
    if timed.check.passed(timed.photos):
        return shown
    return f"**{shown}, {timed.check.rows:,} rows of {timed.check.photos:,} photos**"


def faster(results: Sequence[Timed]) -> list[str]:
    """Return one sentence for each peer that is faster than fruitsctl."""
    said = []
    for timed in results:
        ours = next((other for other in results if other.peer == OURS and other.source == timed.source), None)
        if ours is not None and timed.peer not in (OURS, OURS_WHOLE) and ratio(timed, ours) < 1:
            said.append(f"{timed.peer} from {timed.source} takes {ratio(timed, ours):.2f} of fruitsctl's time")
    return said
