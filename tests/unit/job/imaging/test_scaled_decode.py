"""A large JPEG is decoded at a fraction of its size; everything else, and every small one, as it always was."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from job.imaging.decode import decode_image
from tests.unit.job import hostile
from tests.unit.job.imaging.test_decode import plainly

SIZE_PX = 32  # 96 pixels are kept: 192 is the shortest side that is halved


def photo(width: int, height: int, mode: str = "RGB", **options) -> bytes:
    noisy = Image.fromarray(np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((width, height))
    return hostile.save(noisy.convert(mode), "JPEG", quality=92, **options)


def drafted(content: bytes, scale: int) -> np.ndarray:
    """By Pillow alone, at 1/`scale`."""
    image = Image.open(io.BytesIO(content))
    image.draft(None, (image.width // scale, image.height // scale))
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB").resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(191, 400, 1), (192, 400, 2), (400, 383, 2), (384, 400, 4), (1000, 768, 8), (767, 1000, 4), (3000, 2000, 8)],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}], ids=str)
def test_the_shorter_side_keeps_three_times_the_network(width: int, height: int, scale: int, options: dict):
    content = photo(width, height, **options)

    decoded = decode_image(content, SIZE_PX)

    assert (decoded.width, decoded.height) == (width, height)
    assert np.array_equal(decoded.pixels, drafted(content, scale))
    assert np.array_equal(decode_image(content, SIZE_PX, full=True).pixels, drafted(content, 1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_decoded_in_full(kind: str):
    content = hostile.save(hostile.fruit(800, 600), kind)

    assert np.array_equal(decode_image(content, SIZE_PX).pixels, decode_image(content, SIZE_PX, full=True).pixels)


def test_a_small_photo_is_as_it_was():
    content = photo(671, 1000)

    assert np.array_equal(decode_image(content, 224).pixels, plainly(content))


@pytest.mark.parametrize("orientation", hostile.STORED)
def test_a_turned_photo_is_upright(orientation: int):
    turn, upright = hostile.STORED[orientation], hostile.fruit(800, 600)
    exif = Image.Exif()
    exif[hostile.ORIENTATION] = orientation
    content = hostile.save(upright if turn is None else upright.transpose(turn), "JPEG", quality=95, exif=exif)

    pixels, width, height = decode_image(content, SIZE_PX)

    assert (width, height) == (800, 600)
    assert np.abs(pixels.astype(int) - decode_image(hostile.save(upright, "PNG"), SIZE_PX).pixels).mean() < 4


def test_a_phone_photo_of_two_pictures_is_scaled_too():
    first = hostile.fruit(800, 600)
    content = hostile.save(first, "MPO", save_all=True, append_images=[Image.new("RGB", (800, 600), "blue")])

    pixels, width, height = decode_image(content, SIZE_PX)

    assert (width, height) == (800, 600)
    assert np.array_equal(pixels, drafted(content, 4))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_missing_end_marker_changes_nothing(progressive: bool):
    content = photo(1600, 1200, progressive=progressive)

    assert np.array_equal(decode_image(content[:-2], SIZE_PX).pixels, decode_image(content, SIZE_PX).pixels)


def test_a_cut_photo_is_refused():
    from job.contract.errors import DecodeError

    with pytest.raises(DecodeError, match=r"^truncated$"):
        decode_image(photo(1600, 1200)[:-400], SIZE_PX)
