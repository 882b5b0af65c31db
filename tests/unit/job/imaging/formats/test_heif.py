"""HEIC and AVIF photos are read as any other: upright once, within the limits, or refused with a reason."""

import io
import struct

import numpy as np
import pytest
from PIL import AvifImagePlugin, Image
from PIL.ExifTags import Base

from job.contract.errors import DecodeError
from job.imaging import bounded_decode as guard
from job.imaging.decode import decode_image
from job.imaging.formats import heif
from job.product.identify.crops import open_photo
from job.product.thumbnails import small_photo
from tests.unit.job import hostile


def told(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[hostile.ORIENTATION], exif[Base.Make] = orientation, "Camera" * 9
    return exif.tobytes()


def stored(orientation: int) -> Image.Image:
    turn, upright = hostile.STORED[orientation], hostile.fruit(160, 96)
    return upright if turn is None else upright.transpose(turn)


def heic(orientation: int) -> bytes:
    image = stored(orientation)
    image.info["exif"] = told(orientation)
    return hostile.heic_of(image)


def avif(orientation: int) -> bytes:
    return hostile.save(stored(orientation), "AVIF", quality=95, exif=told(orientation))


def jpeg(orientation: int) -> bytes:
    return hostile.save(stored(orientation), "JPEG", quality=95, exif=told(orientation))


@pytest.mark.parametrize("orientation", hostile.STORED)
@pytest.mark.parametrize("make", [jpeg, heic, avif])
def test_a_photo_held_in_any_way_is_one_picture(make, orientation: int):
    expected = np.asarray(hostile.fruit(160, 96).resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    content = make(orientation)

    pixels, width, height = decode_image(content, 64)
    photo, small = open_photo(content), small_photo(content)

    assert (width, height) == (160, 96)
    assert np.abs(pixels - expected).mean() < 4
    assert photo.size == (160, 96)
    assert np.abs(np.asarray(photo.resize((64, 64), Image.Resampling.BICUBIC)) - expected).mean() < 4
    assert small is not None
    assert small.size == (96, 58)


@pytest.mark.parametrize("boxes", [1, 6])
def test_exif_alone_turns_no_heic_and_no_avif(boxes: int):
    """The boxes say how it is held; an EXIF block that says otherwise, as editors leave it, does not count."""
    turned = struct.pack(">4sIHHHIHHI", b"MM\0*", 8, 1, hostile.ORIENTATION, 3, 1, 3, 0, 0)
    for content in (heic(boxes), avif(boxes)):
        at = content.index(b"MM\0*\0\0\0\x08")
        wrong = content[:at] + turned + content[at + len(turned) :]

        assert wrong != content
        assert np.array_equal(decode_image(wrong, 64).pixels, decode_image(content, 64).pixels)


def test_xmp_alone_turns_no_avif_and_no_heic():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1"/></x:xmpmeta>'
    for content in (hostile.save(stored(1), "AVIF", xmp=xmp), hostile.heic_of(stored(1), xmp=xmp)):
        assert xmp in content
        assert decode_image(content.replace(xmp, xmp.replace(b"1", b"6")), 64)[1:] == (160, 96)


def test_of_several_pictures_the_primary_is_read():
    import pillow_heif

    file, buffer = pillow_heif.from_pillow(Image.new("RGB", (64, 64), "blue")), io.BytesIO()
    file.add_from_pillow(Image.new("RGB", (80, 64), "red"))
    file.save(buffer, primary_index=1)

    pixels, width, height = decode_image(buffer.getvalue(), 8)

    assert (width, height) == (80, 64)
    assert pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)
    moving = hostile.save(
        Image.new("RGB", (64, 64), "red"), "AVIF", save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")], duration=100
    )
    assert decode_image(moving, 8).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_grey_transparent_and_deep_heic_are_read(mode: str):
    image = hostile.fruit(64, 64).convert("L").convert("I").point(lambda level: level * 257).convert("I;16")
    content = hostile.heic_of(image if mode == "I;16" else hostile.fruit(64, 64).convert(mode))
    expected = np.asarray(hostile.fruit(64, 64).convert("RGB" if mode == "RGBA" else "L").convert("RGB")).astype(int)

    assert np.abs(decode_image(content, 64).pixels - expected).mean() < 4


def test_what_a_cut_out_heic_hides_is_white():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 32, 64))

    pixels = decode_image(hostile.heic_of(image, quality=-1), 64).pixels

    assert pixels[32, 60].tolist() == pytest.approx([255, 255, 255], abs=2)
    assert pixels[32, 4].tolist() == pytest.approx([255, 0, 0], abs=4)


@pytest.mark.parametrize("content", [hostile.heic_of(hostile.fruit(300, 200)), hostile.save(hostile.fruit(300, 200), "AVIF")])
def test_a_photo_cut_anywhere_is_refused(content: bytes):
    for length in range(1, len(content), max(1, len(content) // 60)):
        with pytest.raises(DecodeError, match=r"^(truncated|damaged header|damaged image data|not an image)$"):
            decode_image(content[:length], 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", [heic(6), avif(6)])
def test_damage_anywhere_gives_pixels_or_a_reason(content: bytes):
    for at in range(0, len(content), 3):
        damaged = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        try:
            assert decode_image(damaged, 8).pixels.shape == (8, 8, 3)
        except DecodeError as error:
            assert str(error).partition(":")[0] in {  # noqa: PT017 - either is right
                "truncated", "damaged header", "damaged image data", "not an image", "too many pixels", "nothing to see",
                "video or unsupported kind of HEIF", "not enough memory",
            }  # fmt: skip


def test_an_item_whose_type_is_no_text_does_not_end_the_process():
    content = heic(1)
    at = content.index(b"Exif")

    assert guard.decode_in_subprocess(content[:at] + b"\xff" + content[at + 1 :], 8).width == 160


def with_size(content: bytes, width: int, height: int) -> bytes:
    """`content` that claims another size."""
    at = content.index(b"ispe") + 8
    return content[:at] + struct.pack(">II", width, height) + content[at + 8 :]


@pytest.mark.parametrize("content", [hostile.heic_of(hostile.fruit(128, 64)), hostile.save(hostile.fruit(128, 64), "AVIF")])
def test_a_claimed_size_is_refused_before_a_pixel_is_decoded(content: bytes):
    with pytest.raises(DecodeError, match=r"^too many pixels: 12000x9000$"):
        decode_image(with_size(content, 12_000, 9_000), 8)


@pytest.mark.parametrize("content", [hostile.heic_of(hostile.fruit(1280, 640)), hostile.save(hostile.fruit(1280, 640), "AVIF")])
def test_a_size_that_lies_gives_pixels_or_a_reason_within_the_limits(content: bytes):
    try:
        assert guard.decode_in_subprocess(with_size(content, 16, 16), 8).pixels.shape == (8, 8, 3)
    except DecodeError as error:
        assert str(error) == "damaged image data"  # noqa: PT017 - either is right


def test_one_thread_decodes():
    decode_image(heic(1), 8)

    assert heif.THREADS == 1
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1


def test_damaged_exif_does_not_cost_the_picture():
    image = stored(1)
    exif = b"MM\0*\0\0\0\x08\0\x01" + b"marker of EXIF" * 4
    broken = hostile.heic_of(image, exif=exif).replace(b"MM\0*\0\0\0\x08", b"no TIFF!")

    assert decode_image(broken, 8)[1:] == (160, 96)
