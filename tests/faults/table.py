"""One row per fault that was injected, and the rows as a table: in Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

HEADER = ("fault", "injected", "images lost", "rows doubled", "half-visible", "exit", "seconds to recover")


@dataclass(frozen=True)
class Row:
    fault: str
    injected: int  # how often
    lost: int  # images without features, without a row of the last matrix, or with the wrong features, after recovery
    doubled: int  # feature rows or of the matrix too many
    half_visible: int  # runs that a reader was shown and that were not complete, at any time looked at
    exit: str  # of the run that met the fault, or of each
    seconds: float | None  # from the start of the run that followed until it was published; None: the run that met it went on


def markdown(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    for row in rows:
        *values, seconds = astuple(row)
        lines.append("| " + " | ".join([*map(str, values), "" if seconds is None else f"{seconds:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Row], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "faults.md").write_text(markdown(rows), encoding="utf-8")
    (folder / "faults.json").write_text(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
