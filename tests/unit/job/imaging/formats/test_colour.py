"""Photos in other colours than sRGB are converted; all others keep every bit."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from job.imaging.decode import decode_image
from job.imaging.formats import colour
from job.imaging.formats.colour import PROFILE_BYTES, matrix_profile
from job.product.identify.crops import open_photo
from job.product.thumbnails import small_photo
from tests.unit.job import hostile

P3 = matrix_profile(12)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RED_IN_P3 = (234, 51, 35)  # of sRGB's pure red: https://www.w3.org/TR/css-color-4/, color(display-p3 0.9175 0.2003 0.1386)


def plain(rgb=RED_IN_P3, px=64):
    return Image.new("RGB", (px, px), rgb)


FILES = {
    "JPEG": lambda profile: hostile.save(plain(), "JPEG", quality=100, subsampling=0, icc_profile=profile),
    "PNG": lambda profile: hostile.save(plain(), "PNG", icc_profile=profile),
    "palette": lambda profile: hostile.save(plain().convert("P", palette=Image.Palette.ADAPTIVE), "PNG", icc_profile=profile),
    "WebP": lambda profile: hostile.save(plain(), "WEBP", lossless=True, icc_profile=profile),
    "TIFF": lambda profile: hostile.save(plain(), "TIFF", icc_profile=profile),
    "AVIF": lambda profile: hostile.save(plain(), "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile),
    "HEIC": lambda profile: hostile.heic_of(plain(), quality=-1, chroma=444, icc_profile=profile),
}


@pytest.mark.parametrize("kind", FILES)
def test_display_p3_becomes_srgb_in_every_format(kind: str):
    content = FILES[kind](P3)

    assert decode_image(content, 8).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert np.asarray(open_photo(content))[4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)
    small = small_photo(content)
    assert small is not None
    assert np.asarray(small)[4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)


def tiny_srgb() -> bytes:
    """sRGB by another writer: the primaries as a v4 matrix, without any name."""
    colour.WIDE[1] = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    try:
        return matrix_profile.__wrapped__(1)
    finally:
        del colour.WIDE[1]


UNCHANGING = [SRGB, tiny_srgb(), b"no profile", SRGB[:200], P3[:-40], bytes(200), bytes(PROFILE_BYTES + 1)]
LARGEST = {"HEIC": PROFILE_BYTES}  # bytes of a profile that the writer of the test's file takes
CASES = [(kind, profile) for kind in FILES for profile in UNCHANGING if len(profile) <= LARGEST.get(kind, len(profile))]


@pytest.mark.parametrize(("kind", "profile"), CASES)
def test_srgb_and_damaged_profiles_change_no_bit(kind: str, profile: bytes):
    content = FILES[kind](profile)
    without = FILES[kind](None)

    assert np.array_equal(decode_image(content, 8).pixels, decode_image(without, 8).pixels)


def gamma_grey() -> bytes:
    """A grey profile with gamma 1: middle grey is far brighter in sRGB."""
    curve, white = b"curv" + struct.pack(">II", 0, 0), b"XYZ " + struct.pack(">I3i", 0, 63190, 65536, 54061)
    head = struct.pack(">I4s4s4s4s4s12s4s", 128 + 28 + 32, b"", b"\x02\x10\0\0", b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp")
    head = (head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, 12) + white + curve


def test_a_grey_profile_is_for_grey_pixels_only():
    grey = Image.new("L", (64, 64), 128)

    lighter = decode_image(hostile.save(grey, "PNG", icc_profile=gamma_grey()), 8).pixels[4, 4].tolist()
    colours = decode_image(hostile.save(plain((128, 128, 128)), "PNG", icc_profile=gamma_grey()), 8).pixels[4, 4].tolist()

    assert lighter == pytest.approx([188, 188, 188], abs=2)
    assert colours == [128, 128, 128]
    assert decode_image(hostile.save(grey, "PNG", icc_profile=SRGB), 8).pixels[4, 4].tolist() == [128, 128, 128]


def test_a_profile_of_other_pixels_does_not_count():
    ink = Image.new("CMYK", (64, 64), (0, 255, 255, 0))

    assert np.array_equal(
        decode_image(hostile.save(ink, "JPEG", icc_profile=P3), 8).pixels, decode_image(hostile.save(ink, "JPEG"), 8).pixels
    )


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_primaries_without_a_profile_count_too(kind: str):
    content = bytearray(FILES[kind](None))
    at = content.index(b"colrnclx") + 8
    content[at : at + 4] = struct.pack(">HH", 12, 13)

    assert decode_image(bytes(content), 8).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)

    content[at : at + 4] = struct.pack(">HH", 12, 16)  # HDR's curve: taken as it is
    assert decode_image(bytes(content), 8).pixels[4, 4].tolist() == pytest.approx(RED_IN_P3, abs=4)


def test_a_compressed_bomb_of_a_profile_is_not_inflated():
    content = hostile.save(plain(), "PNG", icc_profile=P3)
    at = content.index(b"iCCP") - 4
    length = struct.unpack_from(">I", content, at)[0]
    data = b"iCCPbomb\0\0" + zlib.compress(bytes(200 << 20), 9)
    bomb = content[:at] + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + content[at + 12 + length :]

    assert decode_image(bomb, 8).pixels[4, 4].tolist() == list(RED_IN_P3)


def test_conversions_are_kept_by_profile_and_bounded():
    before = colour._conversion.cache_info()
    for _ in range(2):
        decode_image(FILES["PNG"](P3), 8)

    assert colour._conversion.cache_info().hits > before.hits
    assert colour._conversion.cache_info().maxsize == colour.KEPT


def test_a_large_photo_is_converted_as_a_small_one():
    large = hostile.save(hostile.fruit(3000, 2000), "PNG", icc_profile=P3)
    pixels = decode_image(large, 64).pixels
    small = np.asarray(Image.open(io.BytesIO(large)).resize((64, 64), Image.Resampling.BICUBIC))

    conversion = colour._conversion(P3)[0]
    assert conversion is not None
    assert np.array_equal(pixels, np.asarray(conversion.apply(Image.fromarray(small))))
