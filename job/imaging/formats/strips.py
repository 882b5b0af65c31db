"""Split a large image into strips, so that a conversion never holds it a second time as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

STRIP_PIXELS = 4_194_304  # larger images are converted in strips of about so many pixels: 16 MiB in Pillow's memory


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """Yield `image`, or its rows from top to bottom in strips if it is large."""
    width, height = image.size
    if width * height <= STRIP_PIXELS:
        yield image
        return
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(top + rows, height)))
