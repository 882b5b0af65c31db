"""One row per fault that was injected, and the rows as a table: in Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

HEADER = ("fault", "injected", "photos lost", "rows doubled", "partial results visible", "exit code", "seconds to recover")


@dataclass(frozen=True)
class Row:
    fault: str
    injected: int  # how often
    lost: int  # photos without features, without a row of the last matrix, or with wrong features, after recovery
    doubled: int  # extra rows of features or of the matrix
    half_visible: int  # incomplete runs that a reader could see, at any check
    exit: str  # exit code of the run with the fault, or of each run
    seconds: float | None  # from the start of the next run until its result; None: the run with the fault continued


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
