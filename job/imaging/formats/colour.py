"""
Convert pixels to sRGB where a photo's colour profile says that they are something else. Pure: no I/O.

Networks are trained on sRGB. iPhones write Display P3, cameras and scanners Adobe RGB: taken as sRGB, their red and green look dull.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from job.contract.orientation import PNG, png_chunks
from job.imaging.formats.heif import AVIF, nclx_in

PROFILE_BYTES = 4 << 20  # of a profile at most; displays' take kilobytes, printers' up to 3 MB
KEPT = 8  # conversions: a set of photos has a few profiles
NEAR = 3  # levels of 255: rounding and simplified curves of sRGB differ by less
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")
MODES = {"RGB ": ("RGB", COLOUR_MODES + GREY_MODES), "GRAY": ("L", GREY_MODES), "CMYK": ("CMYK", ("CMYK",))}  # by ICC's colour space

# Primaries by their number in ITU-T H.273, x and y of red, green and blue: wider than sRGB, at the same white D65.
WIDE = {9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046), 12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)}  # BT.2020, Display P3
SRGB_CURVES = (1, 2, 6, 13, 14, 15)  # transfer characteristics that are shown by sRGB's curve; others are HDR or rare
D65, D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Transform = Callable[[Image.Image], Image.Image]


class Conversion(NamedTuple):
    """How to make sRGB of pixels in `mode`."""

    mode: str  # RGB, L or CMYK
    apply: Transform


def to_srgb(image: Image.Image, content: bytes) -> Conversion | None:
    """
    Return how to convert the pixels of `image`, opened from `content`.

    None if they are sRGB, or nothing usable says otherwise: a damaged profile does not cost the picture.
    """
    profile = _profile(image, content)
    if not profile or len(profile) > PROFILE_BYTES:
        return None
    conversion, modes = _conversion(profile)
    return conversion if image.mode in modes else None


def _profile(image: Image.Image, content: bytes) -> bytes | None:
    """Return the ICC profile; one made for the primaries, where HEIC and AVIF name these instead."""
    if content.startswith(PNG):
        return _png_profile(content)
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return profile
    told = image.info.get("nclx_profile")
    code = (told["color_primaries"], told["transfer_characteristics"]) if told else nclx_in(content) if image.format == AVIF else None
    return matrix_profile(code[0]) if code and code[0] in WIDE and code[1] in SRGB_CURVES else None


def _png_profile(content: bytes) -> bytes | None:
    """Return the profile of a PNG: a name, a zero byte, the method 0, compressed data. The decoder does not get this chunk."""
    for chunk in png_chunks(content):
        if chunk.kind == b"iCCP":
            compressed = content[chunk.data : chunk.end - 4].partition(b"\0")[2][1:]
            try:
                return zlib.decompressobj().decompress(compressed, PROFILE_BYTES + 1)
            except zlib.error:
                return None
        if chunk.kind == b"IDAT":
            break
    return None


@lru_cache(maxsize=KEPT)
def _conversion(profile: bytes) -> tuple[Conversion | None, tuple[str, ...]]:
    """Return the conversion and the modes of images that it is for; None if it would change nothing, or the profile is damaged."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode, modes = MODES[opened.profile.xcolor_space]
        # Relative colorimetric: a colour that sRGB has stays that colour, and white stays white. Perceptual would shift all of them, by the
        # taste of a profile's maker. Black stays black.
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode != "CMYK" and _changes_nothing(transform, mode):
            return None, ()
    except (ImageCms.PyCMSError, OSError, LookupError, TypeError, ValueError):
        return None, ()

    def apply(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image, transform) or image

    return Conversion(mode, apply), modes


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether `transform` changes no colour of a small grid by more than NEAR levels."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    if mode == "L":
        grid = Image.fromarray(levels[np.newaxis])
    else:
        grid = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3))
    before, after = np.asarray(grid.convert("RGB")), np.asarray(ImageCms.applyTransform(grid, transform))
    return bool(np.abs(before.astype(int) - after).max() <= NEAR)


@lru_cache
def matrix_profile(primaries: int) -> bytes:
    """Return an ICC profile of the primaries WIDE[`primaries`] with the curve of sRGB: ICC.1:2022, 7.2 and 8.3."""
    curve = b"para" + struct.pack(
        ">IHH5i", 0, 3, 0, *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )
    tags = {b"wtpt": _xyz(np.array(D50))}
    columns = _to_d50(WIDE[primaries]).T
    for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", place + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s12s4s", place + len(data), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp")
    illuminant = struct.pack(">3i", *(round(value * 65536) for value in D50))
    return (head.ljust(68, b"\0") + illuminant).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _xyz(value: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(float(part) * 65536) for part in value))


def _to_d50(primaries: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the matrix from linear RGB at D65 to XYZ at D50, adapted by Bradford's method: ICC.1:2022, annex E."""

    def xyz(x: float, y: float) -> npt.NDArray[np.float64]:
        return np.array([x / y, 1, (1 - x - y) / y])

    white = xyz(*D65)
    rgb = np.stack([xyz(*primaries[at : at + 2]) for at in (0, 2, 4)], axis=1)
    rgb = rgb * np.linalg.solve(rgb, white)
    cones = np.diag((BRADFORD @ np.array(D50)) / (BRADFORD @ white))
    adapted: npt.NDArray[np.float64] = np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ rgb
    return adapted
