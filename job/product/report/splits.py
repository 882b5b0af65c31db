"""Split the photos of a sample: by the folders of INPUT, or into photos to learn from and photos that are held back. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TRAINING, TEST = ("training", "train"), ("test", "testing")  # names of folders, in any case
ONE_IN = 5  # photos of each label are held back where no folder says which


class Split(NamedTuple):
    """Rows of a sample to learn from, and rows that are held back; each label has both."""

    training: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    by_folder: bool  # else by a hash of the address
    labels: int
    left_out: int  # labels of the sample without photos on both sides


def top_folders(uris: Sequence[str], input_uri: str) -> list[str | None]:
    """Return the first folder below INPUT of each photo; None where that is the label's own folder, or no folder."""
    below = input_uri.rstrip("/") + "/"
    parts = [uri.removeprefix(below).split("/") if uri.startswith(below) else [] for uri in uris]
    return [part[0] if len(part) > 2 else None for part in parts]


def split(uris: Sequence[str], labels: Sequence[str | None], folders: Sequence[str | None]) -> Split:
    """
    Split labelled photos by INPUT's folders Training and Test if it has both, else hold back one in ONE_IN of each label.

    Which ones is decided by a hash of the address, so it is the same at every reading.
    """
    sides = [_side(folder) for folder in folders]
    by_folder = {"training", "test"} <= set(sides)
    of_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        if label is not None and (sides[row] or not by_folder):
            of_label[label].append(row)
    training: list[int] = []
    test: list[int] = []
    kept = 0
    for rows in of_label.values():
        held = [row for row in rows if sides[row] == "test"] if by_folder else _held_back(rows, uris)
        others = sorted(set(rows) - set(held))
        if held and others:
            training, test, kept = training + others, test + held, kept + 1
    left_out = len(set(labels) - {None}) - kept
    return Split(np.array(sorted(training), np.intp), np.array(sorted(test), np.intp), by_folder, kept, left_out)


def _side(folder: str | None) -> str | None:
    name = (folder or "").casefold()
    return "training" if name in TRAINING else "test" if name in TEST else None


def _held_back(rows: list[int], uris: Sequence[str]) -> list[int]:
    """Return one in ONE_IN of the rows of a label; at least one of two. Not by the hash that has chosen the sample."""
    order = sorted(rows, key=lambda row: blake2b(uris[row].encode(), digest_size=8).digest())
    return order[: max(1, len(rows) // ONE_IN)] if len(rows) > 1 else []
