"""Metadata of HEIC and AVIF: all of it goes, and not a pixel, a length or a turn changes."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base

from cli.photos.strip_metadata import UnknownFormat, strip
from job.imaging.decode import decode_image, load_pixels, open_image
from tests.unit.job import hostile

SECRET = b"Secret place"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8">' + SECRET + b"</rdf:Description></x:xmpmeta>"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def told(orientation=6) -> bytes:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.ImageDescription], exif[hostile.ORIENTATION] = "Camera", SECRET.decode(), orientation
    exif.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 51.0, 30.0)})
    return exif.tobytes()


def heic(mode="RGB", **options):
    image = hostile.fruit(300, 200).convert(mode)
    image.info["exif"], image.info["xmp"], image.info["icc_profile"] = told(), XMP, PROFILE
    return hostile.heic_of(image, **options)


def several():
    """A primary picture, another one, thumbnails of both."""
    buffer = io.BytesIO()
    file = pillow_heif.from_pillow(hostile.fruit(300, 200))
    file.info["exif"] = told()
    file.add_from_pillow(Image.new("RGB", (200, 200), "blue"))
    file.save(buffer, thumbnails=[64, 128], primary_index=0)
    return buffer.getvalue()


def with_boxes(content: bytes) -> bytes:
    """As Samsung's and Canon's cameras append them."""
    return content + b"".join(struct.pack(">I4s", 8 + len(data), kind) + data for kind, data in ((b"mpvd", SECRET), (b"uuid", SECRET * 9)))


FILES = {
    "HEIC": heic,
    "transparent HEIC": lambda: heic("RGBA"),
    "grey HEIC": lambda: heic("L"),
    "HEIC with others": several,
    "HEIC with boxes": lambda: with_boxes(heic()),
    "AVIF": lambda: hostile.save(hostile.fruit(300, 200), "AVIF", exif=told(), xmp=XMP, icc_profile=PROFILE),
    "transparent AVIF": lambda: hostile.save(hostile.fruit(300, 200).convert("RGBA"), "AVIF", exif=told(), xmp=XMP),
}


def pixels(content):
    return np.asarray(load_pixels(open_image(content), content))


@pytest.mark.parametrize("kind", FILES)
def test_place_time_and_camera_go_and_no_pixel_changes(kind):
    content = FILES[kind]()
    assert any(mark in content for mark in (SECRET, b"Camera"))

    stripped = strip(content)

    assert len(stripped) == len(content)
    np.testing.assert_array_equal(pixels(stripped), pixels(content))
    assert decode_image(stripped, 64)[1:] == decode_image(content, 64)[1:]
    np.testing.assert_array_equal(decode_image(stripped, 64).pixels, decode_image(content, 64).pixels)
    for mark in (SECRET, b"Camera", b"MM\0*", b"xmpmeta", b"Exif"):
        assert mark not in stripped
    assert strip(stripped) == stripped


@pytest.mark.parametrize("kind", FILES)
def test_other_readers_find_the_picture_its_profile_and_nothing_else(kind):
    content = FILES[kind]()
    stripped = strip(content)

    if "AVIF" in kind:
        after = Image.open(io.BytesIO(stripped))
        after.load()
        assert after.info.get("icc_profile") == Image.open(io.BytesIO(content)).info.get("icc_profile")
        assert "xmp" not in after.info
        assert {tag for tag in after.getexif() if tag != hostile.ORIENTATION} == set()
    else:
        after = pillow_heif.open_heif(stripped)
        assert len(after) == 1
        assert after.info["thumbnails"] == []
        assert not after.info["exif"]
        assert not after.info.get("xmp")
        assert after.info.get("icc_profile") == pillow_heif.open_heif(content).info.get("icc_profile")


@pytest.mark.parametrize("kind", FILES)
def test_a_cut_file_or_a_film_is_refused(kind):
    content = FILES[kind]()
    film = content + struct.pack(">I4s", 8 + len(SECRET), b"moov") + SECRET
    for bad in (film, *(content[:length] for length in range(12, len(content) - 1, 37))):
        try:
            assert SECRET not in strip(bad)  # cut between two boxes that it does not need
        except UnknownFormat:
            continue


def test_a_film_is_refused():
    with pytest.raises(UnknownFormat):
        strip(heic() + struct.pack(">I4s", 8 + len(SECRET), b"moov") + SECRET)
    with pytest.raises(UnknownFormat):
        strip(hostile.film())


@pytest.mark.parametrize("kind", FILES)
def test_damage_anywhere_is_refused_or_leaves_nothing(kind):
    content = FILES[kind]()
    for at in range(min(len(content), 1500)):
        for value in (0, 0xFF):
            try:
                stripped = strip(content[:at] + bytes([value]) + content[at + 1 :])
            except UnknownFormat:
                continue
            assert len(stripped) == len(content)
