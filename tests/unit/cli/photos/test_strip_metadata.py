"""Metadata goes, every pixel and the way up stay."""

import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from cli.photos.strip_metadata import UnknownFormat, strip
from job.contract.errors import DecodeError
from job.imaging.decode import decode_image
from tests.unit.job.hostile import FOLDER, ORIENTATION, fruit, save
from tests.unit.job.odd_photos import ODD, TYPES

SECRET = b"48.8566 N 2.3522 E"
XMP = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"


def told(orientation=None):
    """EXIF with a place, a time, a camera, and an orientation if given."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0110], exif[0x0132] = SECRET.decode(), "Camera 1234", "2026:01:01 12:00:00"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 24.0)
    if orientation:
        exif[ORIENTATION] = orientation
    return exif


def upright(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def left(content):
    """What the file still tells: EXIF tags, and Pillow's other findings."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return dict(image.getexif()), {
            name for name in image.info if name in ("comment", "xmp", "photoshop", "mp", "Description", "XML:com.adobe.xmp")
        }


KINDS = {
    "JPEG": {"quality": 90, "comment": SECRET, "xmp": XMP},
    "progressive JPEG": {"quality": 90, "progressive": True, "comment": SECRET, "xmp": XMP},
    "PNG": {},
    "WEBP": {"lossless": True, "xmp": XMP},
}


def photo(kind, orientation):
    options = dict(KINDS[kind])
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Description", SECRET.decode())
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    return save(fruit(90, 60), kind.split()[-1], exif=told(orientation), **options)


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("kind", KINDS)
def test_place_time_and_camera_go_pixels_and_orientation_stay(kind, orientation):
    content = photo(kind, orientation)
    assert SECRET in content

    stripped = strip(content)

    np.testing.assert_array_equal(upright(stripped), upright(content))
    assert left(stripped) == ({ORIENTATION: orientation} if (orientation or 1) > 1 else {}, set())
    assert SECRET not in stripped
    assert b"Camera" not in stripped
    assert strip(stripped) == stripped


def test_what_shows_the_picture_stays():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    transparent = fruit().convert("RGBA")
    transparent.putalpha(120)
    for content in (
        save(fruit(), "JPEG", icc_profile=profile, exif=told()),
        save(fruit().convert("CMYK"), "JPEG", icc_profile=profile, exif=told()),
        save(transparent, "PNG", icc_profile=profile, exif=told()),
        save(transparent, "WEBP", lossless=True, icc_profile=profile, exif=told()),
        save(fruit().convert("P"), "PNG", transparency=3, exif=told()),
    ):
        before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(strip(content)))
        assert (after.mode, after.size) == (before.mode, before.size)
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
        for name in ("icc_profile", "transparency", "adobe_transform"):
            assert after.info.get(name) == before.info.get(name)


def test_a_second_picture_behind_the_first_goes():
    """What phones put there: a preview, a depth map, a film."""
    content = save(fruit(), "JPEG", exif=told())

    assert strip(content + save(fruit(300, 300), "JPEG", exif=told())) == strip(content)


def test_a_thumbnail_in_the_jfif_header_goes():
    plain = save(fruit(), "JPEG")
    thumbnail = bytes(range(192))
    header = plain[2:4] + (16 + 192).to_bytes(2, "big") + plain[6:18] + b"\x08\x08" + thumbnail

    assert strip(plain[:2] + header + plain[20:]) == strip(plain)


def test_photos_keep_their_pixels(sample):
    for path in sorted(sample.glob("Test/*/*.jpg"))[::10]:
        content = path.read_bytes()
        np.testing.assert_array_equal(upright(strip(content)), upright(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        save(fruit(), "GIF"),
        save(fruit(), "TIFF"),
        save(fruit(), "JPEG")[:300],
        save(fruit(), "PNG")[:60],
        save(fruit(), "WEBP")[:60],
        b"\xff\xd8\xff\xe1",
    ],
)
def test_a_file_whose_metadata_may_stay_is_refused(content):
    with pytest.raises(UnknownFormat):
        strip(content)


def test_no_damaged_byte_makes_another_error():
    for content in (photo("JPEG", 6), photo("PNG", 6), photo("WEBP", 6)):
        for position in range(min(len(content), 1500)):
            damaged = content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
            with suppress(UnknownFormat):
                strip(damaged)


HOSTILE = {name: make for photos in (FOLDER, ODD) for name, (make, _) in photos.items()} | TYPES


def seen(content):
    """What the job makes of it: pixels and size, or the reason why not."""
    try:
        pixels, width, height = decode_image(content, 64)
    except DecodeError as error:
        return str(error)
    return pixels.tolist(), width, height


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_stripped_photo_decodes_as_before(name):
    content = HOSTILE[name]()
    with suppress(UnknownFormat):
        stripped = strip(content)

        assert seen(stripped) == seen(content)
        assert strip(stripped) == stripped
