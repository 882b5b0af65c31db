"""
Draw photos of fruits from a seed, for a first run, tests and benchmarks on a machine without real ones.

NumPy and Pillow are imported when a photo is drawn: the CLI alone installs neither.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from cli.errors import UsageError
from cli.photos.assets import SampleResult
from cli.photos.files import write_photo
from cli.photos.http_file import Progress
from job.contract.records import plural_noun

# Labels as the real sample has them. Few classes take the first ones, which differ most.
KINDS = (
    "Banana",
    "Apple Red 1",
    "Grape Blue",
    "Orange",
    "Pineapple",
    "Kiwi",
    "Watermelon",
    "Strawberry",
    "Pear",
    "Lemon",
    "Cherry 1",
    "Avocado",
    "Raspberry",
    "Blueberry",
    "Carambula",
    "Tomato 1",
    "Peach",
    "Plum",
    "Mango",
    "Pomegranate",
    "Papaya",
    "Cocos",
    "Grape White",
    "Apple Granny Smith",
    "Limes",
)
END_OF_JPEG = b"\xff\xd9"


def _silent(done: int, total: int | None) -> None:
    pass


def generate_photos(destination: Path, images: int, classes: int, seed: int = 0, progress: Progress = _silent) -> SampleResult:
    """
    Draw `images` photos of `classes` kinds into `<destination>/<label>/`, and leave every other file there as it is.

    The same arguments give the same files, and more images or classes keep those of fewer. Photos that are there stay;
    an interrupted call is completed by the next. `progress` gets images.

    Raises:
        UsageError: the counts or the seed are out of range, or NumPy or Pillow is not installed.
        AssetError: a photo cannot be written.
    """
    if not 1 <= classes <= images:
        raise UsageError(
            f"`{images}` {plural_noun(images, 'images')} of `{classes}` {plural_noun(classes, 'classes')}: each needs at least one",
            "raise --images or lower --classes",
        )
    if classes > len(KINDS):
        raise UsageError(
            f"`{classes}` {plural_noun(classes, 'classes')} requested, {len(KINDS)} can be drawn", f"use --classes {len(KINDS)} or less"
        )
    draw = _drawing()
    if seed < 0:
        raise UsageError(f"`{seed}` is not a valid seed", "use 0 or a positive whole number")
    size = already = 0
    for done in range(images):
        progress(done, images)
        kind, number = KINDS[done % classes], done // classes
        path = destination / kind / f"generated_{seed}_{number}.jpg"
        if _is_complete(path):
            already += 1
        else:
            write_photo(path, draw(kind, seed, number))
        size += path.stat().st_size
    progress(images, images)
    return SampleResult(images, classes, size, already)


def draw_photo(kind: str, seed: int = 0, number: int = 0) -> bytes:
    """
    Return photo `number` of `kind`, one of KINDS, as a JPEG file. No I/O.

    The bytes are the same for the same arguments and the same NumPy and Pillow. One in five has an EXIF orientation other than 1.

    Raises:
        UsageError: `kind` is not one of KINDS, or NumPy or Pillow is not installed.
    """
    if kind not in KINDS:
        raise UsageError(f"`{kind}` is not a kind of fruit that can be drawn", f"use one of {', '.join(KINDS)}")
    return _drawing()(kind, seed, number)


def _drawing() -> Callable[[str, int, int], bytes]:
    missing = [name for name, module in (("NumPy", "numpy"), ("Pillow", "PIL")) if find_spec(module) is None]
    if missing:
        message = f"not installed: {' and '.join(missing)}"
        raise UsageError(message, "run `uv tool install '.[job]'` in the checkout")
    import numpy as np

    from cli.photos.drawn.scene import photo

    return lambda kind, seed, number: photo(kind, np.random.default_rng([seed, zlib.crc32(kind.encode()), number]))


def _is_complete(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(END_OF_JPEG), 2)
            return file.read() == END_OF_JPEG
    except OSError:  # absent, too short or not accessible: the write will report it
        return False
