"""Decode image files to upright RGB pixels at the network's size, or say why not. Pure: no I/O."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from job.contract.errors import DecodeError
from job.contract.orientation import MOST, PNG, UPRIGHT, in_exif, orientation
from job.imaging.formats import heif, tiff
from job.imaging.formats.colour import Conversion, to_srgb
from job.imaging.formats.jpeg import MARKER, read_without_end_marker
from job.imaging.formats.png import without_metadata
from job.imaging.formats.strips import STRIP_PIXELS, strips

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", heif.AVIF, heif.HEIC)  # Pillow opens MPO, what many phones write, through JPEG
# A JPEG is decoded at 1/2, 1/4 or 1/8, by its own transform, as long as its shorter side keeps so many times the network's input.
DRAFT_FACTOR = 3
# int(1024 * 1024 * 1024 // 4 // 3): from here on Pillow warns of a decompression bomb, and from twice as many refuses,
# https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.MAX_IMAGE_PIXELS. 60-megapixel cameras stay below.
MAX_PIXELS = 89_478_485
# Each scan of a progressive JPEG goes over all pixels, and one of a few bytes may change none of them: 38 kB took a minute,
# https://github.com/libjpeg-turbo/libjpeg-turbo/issues/284. Cameras and editors write ten scans.
MAX_SCANNED_PIXELS = 16 * MAX_PIXELS
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
JPEGS = ("JPEG", "MPO")  # Pillow's names
NOTHING_TO_SEE = "nothing to see"
OPAQUE, WHITE = 255, (255, 255, 255)

# refuse_oversized replaces it: its error has the size, and nothing is printed on a worker's stderr.
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
    """A decoded image."""

    pixels: NDArray[np.uint8]  # (size_px, size_px, 3) RGB, C-contiguous
    width: int  # of the upright original, pixels
    height: int


def decode_image(content: bytes, size_px: int, full: bool = False) -> Decoded:
    """
    Decode an image file (of an animation the first frame), upright, over white where it is transparent, and resize it.

    A large JPEG is decoded at a fraction of its size, unless `full`.

    Raises:
        DecodeError: `content` is not an image of FORMATS, is over MAX_PIXELS, is cut short, shows nothing, or breaks its decoder.
    """
    if not content:
        raise DecodeError("empty file")
    try:
        image = open_image(content)
        original = image.size if image.format in JPEGS else None  # of a TIFF the size changes while Pillow turns it
        turn, conversion = turn_of(image, content), to_srgb(image, content)
        image = load_pixels(image, content, draft_px=None if full else DRAFT_FACTOR * size_px)
        width, height = (original or image.size)[:: 1 if turn < 5 else -1]
        # Of the few pixels that are left: a conversion is per pixel, and the resize mixes encoded values in either order.
        small = convert(resize_upright(image, turn, size_px, conversion.mode if conversion else "RGB"), conversion)
        return Decoded(np.asarray(small), width, height)
    except DecodeError:
        raise
    except Exception as error:  # third-party parsers raise ValueError, SyntaxError, struct.error, zlib.error, MemoryError, ...
        raise DecodeError(reason_for(error, content)) from error


def open_image(content: bytes) -> Image.Image:
    """
    Open an image without decoding a pixel.

    Raises:
        DecodeError: it is too large or needs too much work.
        Exception: whatever Pillow raises.
    """
    if heif.is_iso(content):
        heif.refuse_cut(content)
    needed = without_metadata(content) if content.startswith(PNG) else content
    image: Image.Image = Image.open(io.BytesIO(needed), formats=FORMATS)
    refuse_oversized(image.size)
    if image.format in JPEGS:
        refuse_too_many_scans(content, image.size)
    if isinstance(image, TiffImageFile):
        tiff.refuse_misread(image)
    return image


def turn_of(image: Image.Image, content: bytes) -> int:
    """Return the EXIF orientation that the pixels of `image`, opened from `content`, still need, 1 to 8."""
    if image.format != heif.AVIF:
        return orientation(content)
    found = in_exif(image.info.get("exif", b""))
    return found if found is not None and UPRIGHT <= found <= MOST else UPRIGHT


def load_pixels(image: Image.Image, content: bytes, even_if_blank: bool = False, draft_px: int | None = None) -> Image.Image:
    """
    Decode `image`, opened from `content`, and correct what Pillow reads wrong.

    A JPEG whose shorter side is at least twice `draft_px` is decoded at the smallest of 1/2, 1/4 and 1/8 that keeps `draft_px`.

    Raises:
        DecodeError: there is nothing to see, unless `even_if_blank`.
        Exception: whatever Pillow raises.
    """
    size = image.size
    if draft_px:
        image.draft(None, (draft_px, draft_px))
    try:
        image.load()
    except OSError as error:
        whole = read_without_end_marker(content, draft_px) if image.format in JPEGS and "truncated" in str(error) else None
        if whole is None:
            raise
        image = whole
    if image.format == heif.HEIC and image.size != size:
        raise DecodeError("damaged image data")  # its boxes say another size than its pixels have
    if isinstance(image, TiffImageFile):
        image = tiff.scale_grey(image)
    return drop_unused_alpha(image, even_if_blank) if image.has_transparency_data else image


def drop_unused_alpha(image: Image.Image, even_if_blank: bool) -> Image.Image:
    """
    Make `image` opaque if it is transparent everywhere: a program left its alpha channel unused.

    Raises:
        DecodeError: it then has a single colour, or all that is visible is white like the background; not with `even_if_blank`.
    """
    ranges = [alpha(strip).getextrema() for strip in strips(image)]
    lowest, highest = np.min(ranges), np.max(ranges)
    if lowest == OPAQUE:
        return image
    if highest == 0:
        image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        image.putalpha(OPAQUE)  # in place
    colour = None if even_if_blank else single_colour(image)
    if colour == WHITE or (colour is not None and highest == 0):
        raise DecodeError(NOTHING_TO_SEE)
    return image


def alpha(image: Image.Image) -> Image.Image:
    """Return the alpha channel."""
    return (image if image.mode in ("LA", "RGBA") else image.convert("RGBA")).getchannel("A")


def single_colour(image: Image.Image) -> tuple[int, ...] | None:
    """Return the RGB colour of all pixels of `image`; None if they have more than one."""
    found = set()
    for strip in strips(image):
        lowest, highest = np.asarray(to_rgb8(strip).getextrema()).T.tolist()
        if lowest != highest:
            return None
        found.add(tuple(lowest))
    return found.pop() if len(found) == 1 else None


def refuse_oversized(size: tuple[int, int]) -> None:
    """Raise DecodeError for an image of more than MAX_PIXELS."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise DecodeError(f"too many pixels: {width}x{height}")


def refuse_too_many_scans(content: bytes, size: tuple[int, int]) -> None:
    """Raise DecodeError for a JPEG file whose first image has more than MAX_SCANNED_PIXELS over all its scans."""
    allowed = MAX_SCANNED_PIXELS // (size[0] * size[1])
    if content.count(b"\xff\xda") <= allowed:  # counts other bytes too, as in the film after a phone's photo
        return
    scans, at = 0, 2
    while (found := MARKER.search(content, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        if scans > allowed:
            raise DecodeError(f"too many scans for {size[0]}x{size[1]}")
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2])


def reason_for(error: Exception, content: bytes) -> str:
    """Return why `content` cannot be decoded, as one of a few phrases, so that rejects can be counted by reason."""
    if content.startswith(tiff.SIGNATURES) and isinstance(error, UnidentifiedImageError | KeyError) and tiff.has_dimensions(content):
        return tiff.UNSUPPORTED  # KeyError: unknown compression
    if isinstance(error, UnidentifiedImageError):
        if heif.is_iso(content):
            return heif.reason_unidentified(content)
        return "damaged header" if content.startswith(SIGNATURES) else "not an image"
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, TimeoutError):  # of job.imaging.bounded_decode
        return "decoding timed out"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    return "damaged image data"


def resize_upright(image: Image.Image, turn: int, size_px: int, mode: str = "RGB") -> Image.Image:
    """
    Convert to `mode`, apply the EXIF orientation `turn` and resize by Pillow's bicubic filter to (size_px, size_px).

    Pillow resizes rows first and then columns, so a large image gives the same pixels strip by strip, and is never held a second time in
    RGB, upright or over white.
    """
    stored_width, stored_height = image.size
    sideways = turn >= 5
    width, height = (stored_height, stored_width) if sideways else (stored_width, stored_height)
    if width * height <= STRIP_PIXELS:
        return upright(image, turn, mode).resize((size_px, size_px), Image.Resampling.BICUBIC)
    narrow = Image.new(mode, (size_px, height))
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        # The rows of the upright image, top to bottom, are rows or columns of the stored one, from either end.
        near, far = (height - bottom, height - top) if turn in (3, 4, 7, 8) else (top, bottom)
        strip = image.crop((near, 0, far, stored_height) if sideways else (0, near, stored_width, far))
        strip = upright(strip, turn, mode).resize((size_px, bottom - top), Image.Resampling.BICUBIC)
        narrow.paste(strip, (0, top))
    return narrow.resize((size_px, size_px), Image.Resampling.BICUBIC)


def upright(image: Image.Image, turn: int, mode: str = "RGB") -> Image.Image:
    """Convert to `mode`, which is RGB or that of a conversion for `image`, and apply the EXIF orientation `turn`."""
    pixels = image if image.mode == mode == "CMYK" else to_rgb8(image)
    if mode == "L":
        pixels = pixels.getchannel(0)
    return pixels.transpose(TRANSPOSE[turn]) if turn in TRANSPOSE else pixels


def convert(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """Return `image`, whose mode is that of `conversion`, in sRGB."""
    return conversion.apply(image) if conversion else image


def to_rgb8(image: Image.Image) -> Image.Image:
    """
    Convert any mode that Pillow reads to RGB, 8 bits a channel.

    Raises:
        DecodeError: floating-point pixels, whose white is unknown.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DecodeError("floating-point pixels")
    if image.mode.startswith("I"):
        image = to_grey8(image)
    if image.mode == "LAB":
        return lab_to_rgb()(image)
    if image.has_transparency_data:
        # White is the background of Fruits-360. Without this a cut-out fruit gets the colour that its editor left behind it, mostly black.
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def to_grey8(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey to L by its high byte; Pillow's own conversion of these modes clips at 255."""
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise DecodeError("more than 16 bits per pixel")
    return Image.fromarray((grey >> 8).astype(np.uint8))


@cache
def lab_to_rgb() -> Callable[[Image.Image], Image.Image]:
    """Return a function that converts CIELAB to sRGB."""
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")

    def convert(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image, transform) or image

    return convert
