"""The bytes of an image file in, its upright RGB pixels at the network's size out, or the reason why not. Pure: no I/O."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from job.errors import DecodeError

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")  # Pillow opens MPO, what many phones write, through JPEG
# int(1024 * 1024 * 1024 // 4 // 3): from here on Pillow warns of a decompression bomb, and from twice as many refuses,
# https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.MAX_IMAGE_PIXELS. 60-megapixel cameras stay below.
MAX_PIXELS = 89_478_485
# Each scan of a progressive JPEG goes over all pixels, and one of a few bytes may change none of them: 38 kB took a minute,
# https://github.com/libjpeg-turbo/libjpeg-turbo/issues/284. Cameras and editors write ten scans.
MAX_SCANNED_PIXELS = 16 * MAX_PIXELS
STRIP_PIXELS = 4_194_304  # larger images are converted in strips of about so many pixels: 16 MiB in Pillow's memory
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")

MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd9\xff]|\xff\xd9")  # of those with a length, or the end of the image: ITU-T T.81, table B.1

# refuse_oversized takes over: it says the size, and does not warn on a worker's stderr.
Image.MAX_IMAGE_PIXELS = None

TRANSPOSE = {  # https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, Orientation, as in ImageOps.exif_transpose
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Decoded(NamedTuple):
    pixels: NDArray[np.uint8]  # (size_px, size_px, 3) RGB, C-contiguous
    width: int  # of the upright original, pixels
    height: int


def decode_image(content: bytes, size_px: int) -> Decoded:
    """
    Decode an image file (of an animation the first frame), upright, over white where it is transparent, and resize it.

    Raises:
        DecodeError: `content` is not an image of FORMATS, is over MAX_PIXELS, is cut short, or breaks its decoder.
    """
    if not content:
        raise DecodeError("empty file")
    try:
        image = open_image(content)
        image.load()
        orientation = orientation_of(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
        small = resize_upright(image, orientation, size_px)
        return Decoded(np.asarray(small), width, height)
    except DecodeError:
        raise
    except Exception as error:  # third-party parsers raise ValueError, SyntaxError, struct.error, zlib.error, MemoryError, ...
        raise DecodeError(reason_for(error, content)) from error


def open_image(content: bytes) -> Image.Image:
    """Before any pixel is decoded. Raises DecodeError for what is too much work, and whatever Pillow raises."""
    image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
    refuse_oversized(image.size)
    if image.format in ("JPEG", "MPO"):
        refuse_endless(content, image.size)
    return image


def refuse_oversized(size: tuple[int, int]) -> None:
    """Raises DecodeError for an image of more than MAX_PIXELS."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise DecodeError(f"too many pixels: {width}x{height}")


def refuse_endless(content: bytes, size: tuple[int, int]) -> None:
    """Raises DecodeError for a JPEG file whose first image has more than MAX_SCANNED_PIXELS over all its scans."""
    allowed = MAX_SCANNED_PIXELS // (size[0] * size[1])
    if content.count(b"\xff\xda") <= allowed:  # also those that are none, as in the film behind a phone's photo
        return
    scans, at = 0, 2
    while (found := MARKER.search(content, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        if scans > allowed:
            raise DecodeError(f"too many scans for {size[0]}x{size[1]}")
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2])


def reason_for(error: Exception, content: bytes) -> str:
    """Why `content` cannot be decoded, in one of a few phrases, so that rejects can be counted by reason."""
    if isinstance(error, UnidentifiedImageError):
        if content[4:8] == b"ftyp":  # the first box of every ISO base media file, ISO/IEC 14496-12
            return "HEIC, AVIF or video"
        return "damaged header" if content.startswith(SIGNATURES) else "not an image"
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, TimeoutError):  # of job.guard
        return "decoding timed out"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    return "damaged image data"


def orientation_of(image: Image.Image) -> int:
    """1 to 8; 1 where there is none, or where the EXIF block is broken: the pixels are still good."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, struct.error):
        return 1
    return orientation if orientation in TRANSPOSE else 1


def resize_upright(image: Image.Image, orientation: int, size_px: int) -> Image.Image:
    """
    `to_rgb8`, transposed, resized by Pillow's bicubic filter: (size_px, size_px) RGB.

    Pillow resizes rows first and then columns, so a large image gives the same pixels strip by strip, and is never
    held a second time in RGB, upright or over white.
    """
    stored_width, stored_height = image.size
    sideways = orientation >= 5
    width, height = (stored_height, stored_width) if sideways else (stored_width, stored_height)
    if width * height <= STRIP_PIXELS:
        return upright_rgb8(image, orientation).resize((size_px, size_px), Image.Resampling.BICUBIC)
    narrow = Image.new("RGB", (size_px, height))
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # The rows of the upright image, top to bottom, are rows or columns of the stored one, from either end.
        near, far = (height - bottom, height - top) if orientation in (3, 4, 7, 8) else (top, bottom)
        strip = image.crop((near, 0, far, stored_height) if sideways else (0, near, stored_width, far))
        strip = upright_rgb8(strip, orientation).resize((size_px, bottom - top), Image.Resampling.BICUBIC)
        narrow.paste(strip, (0, top))
    return narrow.resize((size_px, size_px), Image.Resampling.BICUBIC)


def upright_rgb8(image: Image.Image, orientation: int) -> Image.Image:
    rgb = to_rgb8(image)
    return rgb.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else rgb


def to_rgb8(image: Image.Image) -> Image.Image:
    """Any mode Pillow reads to RGB, 8 bits a channel. Raises DecodeError for floating-point pixels: nothing says what white is."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DecodeError("floating-point pixels")
    if image.mode.startswith("I"):
        image = to_grey8(image)
    if image.mode == "LAB":
        return lab_to_rgb()(image)
    if image.has_transparency_data:
        # White is the background of Fruits-360. Without this a cut-out fruit lies on whatever colour its editor left, mostly black.
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def to_grey8(image: Image.Image) -> Image.Image:
    """16-bit grey to L by its high byte; Pillow's own conversion of these modes clips at 255."""
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise DecodeError("more than 16 bits per pixel")
    return Image.fromarray((grey >> 8).astype(np.uint8))


@cache
def lab_to_rgb() -> Callable[[Image.Image], Image.Image]:
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")

    def convert(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image, transform) or image

    return convert
