"""Photos as phones and strangers send them: to views of the fruit, or to the reason why not."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageFilter

from job.contract.errors import DecodeError
from job.imaging.decode import decode_image
from job.product.identify.crops import WORK_PX, fruit_mask, open_photo, views
from tests.unit.job import hostile

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (PDF, "not an image"),
        (hostile.text(), "not an image"),
        (hostile.svg(), "not an image"),
        (hostile.heic(), "damaged header"),
        (hostile.truncated_jpeg(), "truncated"),
        (hostile.cut_in_header_jpeg(), "truncated"),
        (hostile.truncated("PNG"), "truncated"),
        (hostile.claimed_bomb_png(), "too many pixels: 50000x50000"),
        (hostile.real_bomb_png(), "too many pixels: 20000x20000"),
        (hostile.broken_crc_png(), "damaged header"),
        (hostile.float_tiff(), "floating-point pixels"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_words_of_the_job(content, reason):
    with pytest.raises(DecodeError) as refused:
        open_photo(content)

    with pytest.raises(DecodeError) as by_job:
        decode_image(content, 224)
    assert str(refused.value) == str(by_job.value) == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_a_file_cut_anywhere_is_refused_or_read_and_nothing_else(kind):
    whole = hostile.save(hostile.fruit(60, 40), kind)

    for end in range(0, len(whole), max(1, len(whole) // 60)):
        with suppress(DecodeError):
            assert open_photo(whole[:end]).size == (60, 40)


def test_of_an_animation_the_first_frame_is_seen():
    assert open_photo(hostile.animated("GIF")).getpixel((10, 10)) == (255, 0, 0)


def test_all_of_a_small_photo_is_seen_exactly_as_the_job_sees_it(sample):
    for path in sorted((sample / "Test").glob("*/*.jpg"))[::25]:
        content = path.read_bytes()
        np.testing.assert_array_equal(views(open_photo(content), 224)["whole"], decode_image(content, 224).pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_phone_held_sideways_gives_an_upright_photo(orientation):
    photo = open_photo(hostile.oriented_jpeg(orientation, 1200, 800))

    assert photo.size[0] > photo.size[1]
    assert photo.getpixel((photo.width // 4, photo.height // 5)) == pytest.approx((30, 160, 60), abs=12)  # the leaf, upper left


def test_twelve_megapixels_become_a_few_and_look_the_same():
    content = hostile.jpeg(4000, 3000)
    photo = open_photo(content)

    assert max(photo.size) <= WORK_PX
    difference = views(photo, 224)["whole"].astype(int) - decode_image(content, 224).pixels.astype(int)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_and_camera_do_not_come_along(kind):
    exif = Image.Exif()
    exif[0x010F] = "ACME"
    exif.get_ifd(0x8825)[1] = "N"
    content = hostile.save(hostile.fruit(), kind, exif=exif)
    photo = open_photo(content)

    assert b"ACME" in content
    assert photo.info == {}
    assert dict(photo.getexif()) == {}


def test_a_fruit_is_found_on_its_table():
    table = Image.effect_noise((600, 400), 12).convert("RGB").filter(ImageFilter.GaussianBlur(1))
    fruit = Image.new("RGB", (120, 120), (210, 40, 30))
    table.paste(fruit, (330, 150))
    seen = views(table, 224)

    assert set(seen) == {"whole", "box", "white"}
    assert (seen["box"][40:180, 40:180] == (210, 40, 30)).mean() > 0.9
    np.testing.assert_array_equal(seen["white"][2, 2], (255, 255, 255))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (120, 130, 90)])
def test_where_nothing_stands_out_nothing_is_cut_out(colour):
    plain = Image.new("RGB", (300, 200), colour)

    assert fruit_mask(plain) is None
    assert set(views(plain, 32)) == {"whole"}


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_a_photo_of_hardly_a_pixel_has_views_too(size):
    seen = views(open_photo(hostile.save(Image.effect_noise(size, 90).convert("RGB"), "PNG")), 224)

    assert {view.shape for view in seen.values()} == {(224, 224, 3)}
