"""What the tests of weights and of the sample share: files as they are published, with generated content."""

import io
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Frames of two videos of one fruit, as Fruits-360 names them.
FRAMES = [f"{turn}{number}_100.jpg" for turn in ("", "r_") for number in range(0, 300, 30)]


def fruit_photos(label: str) -> dict[str, bytes]:
    """Return file name -> JPEG of 4 to 6 KB for each of FRAMES, other bytes for each label."""
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    return {name: _jpeg(rng.integers(0, 256, (100, 100, 3), np.uint8)) for name in FRAMES}


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=40)
    return content.getvalue()


def silent(done: int, total: int | None) -> None:
    pass


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """The kernel refuses to let a file grow beyond it, as a full disk does. Python ignores the signal that comes along."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
