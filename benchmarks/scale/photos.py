"""As many real-sized photos as wanted: the sample under new names, encoded again so that no two files have the same bytes. Out: JPEGs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

QUALITIES = range(84, 96)  # around what gives files of the sample's size
TOGETHER = 256


def make_photos(sample: Path, target: Path, first: int, last: int, cores: int) -> int:
    """
    Photos number `first` to `last - 1` below `target`, one folder per label; the bytes that they take.

    Raises:
        FileNotFoundError: `sample` has no JPEGs.
    """
    sources = sorted(sample.rglob("*.jpg"))
    if not sources:
        raise FileNotFoundError(f"there are no JPEGs below `{sample}`")
    for label in {source.parent.name for source in sources}:
        (target / label).mkdir(parents=True, exist_ok=True)
    shares = [range(start, min(start + TOGETHER, last)) for start in range(first, last, TOGETHER)]
    with ProcessPoolExecutor(cores) as pool:
        return sum(pool.map(_write, [sources] * len(shares), [target] * len(shares), shares))


def encode_anew(content: bytes, number: int) -> bytes:
    """The same picture as another JPEG; the comment makes its bytes those of `number` alone."""
    made = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(made, "JPEG", quality=QUALITIES[number % len(QUALITIES)], comment=f"{number}".encode())
    return made.getvalue()


def _write(sources: Sequence[Path], target: Path, numbers: range) -> int:
    written = 0
    for number in numbers:
        source = sources[number % len(sources)]
        written += (target / source.parent.name / f"{number:06}-{source.name}").write_bytes(encode_anew(source.read_bytes(), number))
    return written
