"""What a run leaves below its OUTPUT: a folder in; files and bytes of each kind out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("features", "log", "moments", "csv", "pca", "others")


@dataclass(frozen=True)
class Written:
    files: int = 0
    bytes: int = 0
    largest: int = 0  # bytes


def kind_of(path: str) -> str:
    """Of a path below OUTPUT: data of the features, Delta's log of either table, moments, the matrix as csv/ or pca/, or others."""
    parts = path.split("/")
    if "_delta_log" in parts:
        return "log"
    if parts[0] in ("features", "moments"):
        return parts[0]
    return parts[2] if parts[0] == "runs" and len(parts) > 3 and parts[2] in ("csv", "pca") else "others"


def written(output: Path) -> dict[str, Written]:
    """By kind. Hidden files, the guards of compare-and-swap on a disk, are left out: S3 has none of them."""
    found = dict.fromkeys(KINDS, Written())
    for path, size in _files(output):
        kind = kind_of(path)
        so_far = found[kind]
        found[kind] = Written(so_far.files + 1, so_far.bytes + size, max(so_far.largest, size))
    return found


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):
                path = Path(root, name)
                yield path.relative_to(folder).as_posix(), path.stat().st_size
