"""What was measured against what it must reach, as rows and as a Markdown table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Measure:
    """One value per repeat, a ratio of two runs that followed each other wherever `unit` is `x`. The median is what counts."""

    what: str
    values: Sequence[float]
    bound: str  # AT_LEAST or AT_MOST
    target: float
    unit: str = "x"
    digits: int = 2

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool:
        return self.median >= self.target if self.bound == AT_LEAST else self.median <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "median": self.median, "min": min(self.values), "max": max(self.values), "met": self.met}


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Pair by pair, so that what slows the machine for a while slows both."""
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def table(measures: Sequence[Measure]) -> str:
    """Markdown: what, measured (median and range), target, met."""
    rows = [(m.what, _measured(m), f"{m.bound} {_number(m.target, m)}", "yes" if m.met else "**no**") for m in measures]
    return markdown(("what", "measured", "target", "met"), rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _measured(measure: Measure) -> str:
    shown = _number(measure.median, measure)
    if len(set(measure.values)) == 1:
        return shown
    return f"{shown} ({_number(min(measure.values), measure)} to {_number(max(measure.values), measure)})"


def _number(value: float, measure: Measure) -> str:
    text = f"{value:,.{measure.digits}f}"
    if measure.unit in ("x", "%"):
        return text + measure.unit.replace("%", " %")
    return f"{text} {measure.unit}".rstrip()
