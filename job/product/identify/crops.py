"""
Cut views out of a photo at the network's size: the whole photo, and the fruit without its background.

Pure: no I/O. As `job.imaging.decode` it refuses what is too large before a pixel is decoded. A large JPEG is decoded at a fraction of its
size, which takes a tenth of the time. Only pixels leave: place, time and camera stay in the bytes.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from job.contract.errors import DecodeError
from job.imaging.decode import convert, load_pixels, open_image, reason_for, turn_of, upright
from job.imaging.formats.colour import to_srgb
from job.imaging.networks import Pixels

DRAFT_PX = 320  # shorter side that a JPEG is decoded to at least
WORK_PX = 448  # longer side at most, of all formats; the gallery's own images are 100 pixels wide
DIRECT = ("RGB", "L", "RGBA", "CMYK")  # modes that Pillow resizes as they are
MASK_PX = 56
BORDER_STEP = 3  # of the border's pixels every third is a sample of the background
MARGIN = 0.05  # around the fruit; Fruits-360 has about as much
# What Pillow's parsers raise for damaged files. `except Exception` would also hide bugs of this project.
BROKEN = (OSError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, MemoryError, RuntimeError)
Mask = npt.NDArray[np.bool_]


def open_photo(content: bytes) -> Image.Image:
    """
    Decode a photo: RGB, upright, first frame only, WORK_PX or less at its longer side. Smaller photos keep their pixels.

    Raises:
        DecodeError: as `job.imaging.decode.decode_image`.
    """
    if not content:
        raise DecodeError("empty file")
    try:
        image = open_image(content)
        turn, conversion = turn_of(image, content), to_srgb(image, content)
        image = load_pixels(image, content, draft_px=DRAFT_PX)
        if image.mode in DIRECT:
            image.thumbnail((WORK_PX, WORK_PX))
        photo = upright(image, turn, conversion.mode if conversion else "RGB")
        photo.thumbnail((WORK_PX, WORK_PX))
        photo = convert(photo, conversion)
    except (*BROKEN, struct.error, zlib.error) as error:
        raise DecodeError(reason_for(error, content)) from error
    return Image.fromarray(np.asarray(photo))  # Pillow would carry EXIF along


def views(photo: Image.Image, size_px: int) -> dict[str, Pixels]:
    """
    Return the views of a photo by name, each (size_px, size_px, 3) uint8.

    `whole` is what the job sees. If a fruit stands out from the background, `box` is the square around it and `white` the same on white, as
    in Fruits-360.
    """
    found = {"whole": photo}
    mask = fruit_mask(photo)
    if mask is not None:
        found |= {"box": photo.crop(box_of(mask, photo.size, inside=True)), "white": on_white(photo, mask)}
    return {name: np.asarray(view.resize((size_px, size_px), Image.Resampling.BICUBIC)) for name, view in found.items()}


def fruit_mask(photo: Image.Image) -> Mask | None:
    """
    Return where the photo differs from its border, (MASK_PX, MASK_PX) bool; None if that is almost nothing or everything.

    The middle counts more than the edges, and colour more than brightness, since shadows are dark background.
    """
    small = photo.resize((MASK_PX, MASK_PX), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1))
    rgb = np.asarray(small).astype(np.float32)
    light = rgb.mean(axis=2, keepdims=True)
    colour = np.concatenate([0.5 * light, 1.5 * (rgb - light)], axis=2)
    border = np.concatenate([colour[0], colour[-1], colour[1:-1, 0], colour[1:-1, -1]])[::BORDER_STEP]
    pixels = colour.reshape(-1, 4)
    squares = (pixels**2).sum(axis=1)[:, np.newaxis] + (border**2).sum(axis=1) - 2 * pixels @ border.T
    # To the fourth nearest sample: the fruit may touch the border here and there.
    far = np.sqrt(np.maximum(np.partition(squares, 3, axis=1)[:, 3], 0)).reshape(MASK_PX, MASK_PX)
    y, x = np.mgrid[-1 : 1 : MASK_PX * 1j, -1 : 1 : MASK_PX * 1j]
    far *= np.exp(-(x**2 + y**2) / 2)
    found = Image.fromarray((far > otsu(far)).astype(np.uint8) * 255)
    found = found.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))
    mask: Mask = np.asarray(found) > 0
    return mask if 0.02 < mask.mean() < 0.95 else None


def otsu(values: npt.NDArray[np.float32]) -> float:
    """
    Return the threshold that splits `values` best in two, by Otsu's method.

    https://doi.org/10.1109/TSMC.1979.4310076
    """
    counts, edges = np.histogram(values, 64)
    share = np.cumsum(counts / counts.sum())
    mean = np.cumsum(counts / counts.sum() * (edges[:-1] + edges[1:]) / 2)
    between = (mean[-1] * share - mean) ** 2 / np.maximum(share * (1 - share), 1e-9)
    return float(edges[1:][between[:-1].argmax()])


def box_of(mask: Mask, size: tuple[int, int], inside: bool) -> tuple[int, int, int, int]:
    """Return a square around all but the outermost 2% of `mask`, in pixels of a photo of `size`; clip it if `inside`."""
    spans = []
    for axis, length in ((0, size[0]), (1, size[1])):
        share = np.cumsum(mask.sum(axis=axis)) / mask.sum()
        spans.append(np.array([np.searchsorted(share, 0.02), np.searchsorted(share, 0.98) + 1]) / MASK_PX * length)
    (left, right), (top, bottom) = spans
    half = max(right - left, bottom - top) * (0.5 + MARGIN)
    x, y = (left + right) / 2, (top + bottom) / 2
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    if not inside:
        return box
    return max(0, box[0]), max(0, box[1]), min(size[0], box[2]), min(size[1], box[3])


def on_white(photo: Image.Image, mask: Mask) -> Image.Image:
    """Return the fruit alone, in the middle of a white square."""
    left, top, right, bottom = box_of(mask, photo.size, inside=False)
    soft = Image.fromarray(mask.astype(np.uint8) * 255).resize(photo.size, Image.Resampling.BILINEAR)
    sheet = Image.new("RGB", (right - left, bottom - top), "white")
    sheet.paste(photo, (-left, -top), soft.filter(ImageFilter.BoxBlur(max(photo.size) / 200)))
    return sheet
