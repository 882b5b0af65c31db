"""
Find many strings in one pass over a text, whatever their number. Exact. No I/O.

An Aho-Corasick automaton does the same, but would be one more compiled package in the image; NumPy is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
WIDTHS = (8, 16, 32)  # bytes at the end of a string that are hashed: where many begin and end alike, the widest tell them apart
BLOCK = 1 << 17  # bytes hashed at a time: their hashes fit into a core's cache
CELLS_PER_STRING = 64  # of the first sieve, which one place in so many passes by chance
MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd; the second keeps the halves of a window apart


class Strings:
    """
    Strings to search for.

    Each offset of a text is hashed once for each of WIDTHS (Karp and Rabin's idea, in NumPy, which lets threads run in parallel). Where a
    hash equals that of a string's end, the bytes are compared.
    """

    def __init__(self, strings: Iterable[bytes]) -> None:
        self._strings = frozenset(strings)
        self._short = sorted(string for string in self._strings if 0 < len(string) < WIDTHS[0])
        self._lengths: dict[bytes, set[int]] = {}  # end of a string -> lengths of the strings that end so
        for string in self._strings:
            if len(string) >= WIDTHS[0]:
                width = max(width for width in WIDTHS if width <= len(string))
                self._lengths.setdefault(string[-width:], set()).add(len(string))
        self._sieves = {width: _Sieve(width, ends) for width in WIDTHS if (ends := [end for end in self._lengths if len(end) == width])}

    def found_in(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and the string of every match, in no order."""
        for string in self._short:
            at = text.find(string)
            while at >= 0:
                yield at, string
                at = text.find(string, at + 1)
        for first in range(0, len(text) if self._sieves else 0, BLOCK):
            hashes = _hashes(text[first : first + BLOCK + WIDTHS[-1] - 1])
            for width, sieve in self._sieves.items():
                for place in sieve.passed(hashes[width][:BLOCK]).tolist():
                    end = first + place + width
                    for length in self._lengths.get(text[end - width : end], ()):
                        if length <= end and (string := text[end - length : end]) in self._strings:
                            yield end - length, string


class _Sieve:
    """The hashes of `ends`, all of the same width."""

    def __init__(self, width: int, ends: list[bytes]) -> None:
        self._known = np.unique(_hashes(b"".join(ends))[width][::width])
        bits = max(16, (CELLS_PER_STRING * len(ends)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._cells = np.zeros(1 << bits, np.bool_)
        self._cells[self._known >> self._shift] = True

    def passed(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        """Return the offsets whose hash is known."""
        places = np.flatnonzero(self._cells[hashes >> self._shift])
        found = hashes[places]
        nearest = np.searchsorted(self._known[:-1], found)  # of all but the last: always a place
        passed: npt.NDArray[np.intp] = places[self._known[nearest] == found]
        return passed


def _hashes(text: bytes) -> dict[int, Hashes]:
    """Return for each width the hash of the window at each offset of `text`, (n - width + 1,)."""
    words = np.ndarray(max(0, len(text) - 7), "<u8", text, strides=(1,)) if len(text) >= WIDTHS[0] else np.empty(0, np.uint64)
    found = {WIDTHS[0]: words * MULTIPLIERS[0]}
    for half, width in pairwise(WIDTHS):
        found[width] = found[half][:-half] * MULTIPLIERS[1] + found[half][half:]
    return found
