"""Image bytes to pixels: every mode, orientation and way of being broken."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from job.contract.errors import DecodeError
from job.contract.orientation import orientation
from job.imaging import decode
from job.imaging.decode import MAX_PIXELS, decode_image, refuse_oversized
from tests.unit.job import hostile
from tests.unit.job.odd_photos import GREY, ODD, TYPES, UNSUPPORTED, grey_tiff, rgb_planes, tiff_picture


def corners(pixels: NDArray[np.uint8]) -> list[list[int]]:
    """Colour in the middle of the left and of the right half."""
    middle, quarter = pixels.shape[0] // 2, pixels.shape[1] // 4
    return [pixels[middle, quarter].tolist(), pixels[middle, 3 * quarter].tolist()]


def near(pixels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    return float(np.abs(pixels.astype(int) - expected.astype(int)).max())


def plainly(content: bytes) -> NDArray[np.uint8]:
    """The contract in one line, at any cost of memory."""
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return np.asarray(upright.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))


def test_fifty_photos_are_what_pillow_alone_makes_of_them(sample: Path):
    paths = sorted(sample.glob("Test/*/*.jpg"))[::5]
    assert len(paths) == 50
    for path in paths:
        assert np.array_equal(decode_image(path.read_bytes(), 224).pixels, plainly(path.read_bytes())), path


def test_pixels_are_contiguous_rgb_bytes_and_the_size_is_the_original_one():
    pixels, width, height = decode_image(hostile.jpeg(120, 80), 224)

    assert (pixels.shape, pixels.dtype, width, height) == ((224, 224, 3), np.uint8, 120, 80)
    assert pixels.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_every_orientation_gives_the_upright_picture(orientation: int):
    upright = np.asarray(hostile.fruit(120, 80).resize((224, 224), Image.Resampling.BICUBIC))

    pixels, width, height = decode_image(hostile.oriented_jpeg(orientation), 224)

    assert (width, height) == (120, 80)
    assert near(pixels, upright) < 24  # JPEG at quality 100: rounding only
    assert pixels[45, 56].tolist() == pytest.approx([30, 160, 60], abs=6)  # the leaf, upper left


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_a_tiff_is_applied_once(orientation: int):
    exif = Image.Exif()
    exif[hostile.ORIENTATION] = orientation
    stored = hostile.fruit(120, 80).transpose(hostile.STORED[orientation])

    pixels, width, height = decode_image(hostile.save(stored, "TIFF", exif=exif), 224)

    assert (width, height) == (120, 80)
    assert np.array_equal(pixels, np.asarray(hostile.fruit(120, 80).resize((224, 224), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_large_images_decoded_in_strips_give_exactly_the_same_pixels(orientation: int):
    content = hostile.oriented_jpeg(orientation, 2931, 2017)
    assert decode.STRIP_PIXELS < 2931 * 2017  # more than one strip, the last one shorter

    assert np.array_equal(decode_image(content, 224, full=True).pixels, plainly(content))


def test_large_transparent_images_lie_on_white_too():
    cut_out = hostile.fruit(2600, 2000)
    cut_out.putalpha(Image.linear_gradient("L").resize((2600, 2000)))
    white = Image.new("RGBA", cut_out.size, "white")

    pixels = decode_image(hostile.save(cut_out, "PNG", compress_level=1), 224).pixels

    expected = Image.alpha_composite(white, cut_out).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    assert np.array_equal(pixels, np.asarray(expected))


def test_transparency_lies_on_white():
    assert corners(decode_image(hostile.half_transparent_png(), 64).pixels) == [[255, 255, 255], [255, 127, 127]]
    assert corners(decode_image(hostile.grey_alpha_png(), 64).pixels) == [[255, 255, 255], [100, 100, 100]]
    assert corners(decode_image(hostile.transparent_palette_png(), 64).pixels) == [[255, 255, 255], [10, 200, 30]]


def test_black_and_white_stay_black_and_white():
    assert corners(decode_image(hostile.one_bit_png(), 64).pixels) == [[0, 0, 0], [255, 255, 255]]


def test_grey_is_three_equal_channels():
    pixels = decode_image(hostile.grey_jpeg(), 100).pixels

    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert pixels[70, 50].tolist() == pytest.approx([82, 82, 82], abs=4)  # (200 * 299 + 30 * 587 + 40 * 114) / 1000


def test_cmyk_as_photoshop_writes_it_is_not_a_negative():
    assert b"Adobe" in hostile.cmyk_jpeg()

    pixels = decode_image(hostile.cmyk_jpeg(), 100).pixels

    assert pixels[70, 50].tolist() == pytest.approx([200, 30, 40], abs=12)
    assert pixels[2, 2].tolist() == pytest.approx([255, 255, 255], abs=3)


def test_sixteen_bits_are_scaled_and_not_clipped():
    grey = decode_image(hostile.grey16_png(), 256).pixels

    assert grey[128, :, 0].tolist() == list(range(256))
    assert decode_image(hostile.rgb16_png(), 64).pixels[32, 32].tolist() == [10, 200, 30]
    assert decode_image(hostile.grey32_tiff(0x0A00), 8).pixels[4, 4].tolist() == [10, 10, 10]


def test_lab_and_ycbcr_become_the_same_colours_in_rgb():
    assert decode_image(hostile.lab_tiff(), 8).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=8)
    assert decode_image(hostile.ycbcr_tiff(), 100).pixels[70, 50].tolist() == pytest.approx([200, 30, 40], abs=2)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str):
    assert decode_image(hostile.animated(kind), 8).pixels[4, 4].tolist() == [255, 0, 0]


def test_a_phone_photo_of_two_pictures_is_its_first():
    assert Image.open(io.BytesIO(hostile.mpo())).format == "MPO"

    assert decode_image(hostile.mpo(), 8).pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=2)


def test_a_60_megapixel_photo_is_read():
    pixels, width, height = decode_image(hostile.megapixels_60_jpeg(), 224)

    assert (width, height, pixels.shape) == (9504, 6336, (224, 224, 3))
    assert 200 < pixels.mean() < 255  # mostly white, with fruit


def test_tiny_and_thin_images_are_read():
    assert decode_image(hostile.save(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"), 4).pixels.tolist() == [[[9, 8, 7]] * 4] * 4
    assert decode_image(hostile.save(Image.new("RGB", (1, 20_000), (9, 8, 7)), "PNG"), 4)[1:] == (1, 20_000)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_does_not_cost_the_picture():
    for exif in (hostile.broken_exif_jpeg(), hostile.save(hostile.fruit(), "JPEG", exif=b"Exif\x00\x00no TIFF at all")):
        assert decode_image(exif, 100).pixels[70, 50].tolist() == pytest.approx([200, 30, 40], abs=12)


def test_bytes_after_the_end_do_not_matter():
    assert np.array_equal(decode_image(hostile.trailing_garbage_jpeg(), 224).pixels, decode_image(hostile.jpeg(), 224).pixels)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (hostile.text(), "not an image"),
        (hostile.svg(), "not an image"),
        (bytes(1000), "not an image"),
        (hostile.heic(), "damaged header"),
        (hostile.truncated_jpeg(), "truncated"),
        (hostile.cut_in_header_jpeg(), "truncated"),
        (hostile.truncated("PNG"), "truncated"),
        (hostile.truncated("GIF"), "truncated"),
        (hostile.truncated("BMP"), "truncated"),
        (hostile.truncated("TIFF"), "truncated"),
        (hostile.truncated("WEBP"), "damaged image data"),
        (hostile.broken_crc_png(), "damaged header"),
        (hostile.broken_data_png(), "damaged image data"),
        (hostile.float_tiff(), "floating-point pixels"),
        (hostile.grey32_tiff(65_536), "more than 16 bits per pixel"),
        (hostile.grey32_tiff(-1), "more than 16 bits per pixel"),
        (hostile.claimed_bomb_png(), "too many pixels: 50000x50000"),
        (hostile.real_bomb_png(), "too many pixels: 20000x20000"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(content: bytes, reason: str):
    with pytest.raises(DecodeError) as refused:
        decode_image(content, 224)

    assert str(refused.value) == reason


def test_a_jpeg_cut_anywhere_before_its_last_pixels_is_refused():
    content = hostile.jpeg()
    for length in range(1, len(content) - 64, 13):
        with pytest.raises(DecodeError, match=r"truncated|damaged|not an image"):
            decode_image(content[:length], 8)


def test_the_limit_is_pillows_own_and_lets_60_megapixels_pass():
    refuse_oversized((9504, 6336))
    refuse_oversized((MAX_PIXELS, 1))
    with pytest.raises(DecodeError, match=r"^too many pixels: 89478486x1$"):
        refuse_oversized((MAX_PIXELS + 1, 1))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_every_file_of_the_hostile_folder_is_read_or_refused_as_it_says(tmp_path: Path):
    expected = hostile.write_hostile_folder(tmp_path)
    found = {}
    for name in expected:
        try:
            decode_image((tmp_path / name).read_bytes(), 224)
            found[name] = "ok"
        except DecodeError as error:
            found[name] = str(error)

    assert found == expected


@pytest.mark.filterwarnings("ignore")  # of Pillow, about damaged EXIF
@pytest.mark.parametrize("name", ODD)
def test_odd_photos_are_upright_and_in_their_colours_or_refused(name: str):
    make, expected = ODD[name]
    content = make()
    if isinstance(expected, str) and expected != GREY:
        with pytest.raises(DecodeError) as refused:
            decode_image(content, 224)
        assert str(refused.value) == expected
        return

    pixels, width, height = decode_image(content, 224)

    picture = hostile.fruit().convert("L").convert("RGB") if expected == GREY else hostile.fruit(*expected)
    assert (width, height) == picture.size
    seen = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC))
    assert np.abs(pixels.astype(int) - seen.astype(int)).mean() < 2  # JPEG rounds most at the edges


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_grey_tiffs_of_all_kinds_are_read_right_or_refused(bits: int, white_is_zero: bool, separate: bool, order: str, deflate: bool):
    content = grey_tiff(bits, white_is_zero, separate=separate, order=order, deflate=deflate)
    levels = np.asarray(hostile.fruit().convert("L")).astype(int) * 257 >> (16 - bits)
    expected = levels * 255 // ((1 << bits) - 1)

    _is_right_or_refused(content, np.stack([expected] * 3, axis=-1), read=not separate and (bits < 12 or (bits == 16 and order == "<")))


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [None, 0, 1, 2])
def test_colour_tiffs_of_all_kinds_are_read_right_or_refused(alpha: int | None, bits: int, separate: bool, order: str, deflate: bool):
    planes, tags = rgb_planes(bits), {}
    if alpha is not None:
        planes, tags = [*planes, np.full_like(planes[0], (1 << bits) - 1)], {"t338": (3, [alpha])}

    content = tiff_picture(planes, bits, 2, separate=separate, order=order, deflate=deflate, **tags)

    _is_right_or_refused(content, np.asarray(hostile.fruit()), read=not separate or (bits == 8 and alpha in (None, 2)))


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_tiffs_are_read_right_or_refused(bits: int, separate: bool):
    cmyk = np.asarray(hostile.fruit().convert("CMYK"))
    wide = cmyk.astype(np.uint16) * 257 if bits == 16 else cmyk
    content = tiff_picture([wide[..., band] for band in range(4)], bits, 5, separate=separate)

    _is_right_or_refused(content, np.asarray(hostile.fruit()), read=not separate or bits == 8)


def _is_right_or_refused(content: bytes, expected: NDArray[np.generic], read: bool) -> None:
    """`read`: refusing it would be a loss."""
    pixels = decoded(content)
    if isinstance(pixels, str):
        assert (pixels, read) == (UNSUPPORTED, False)
    else:
        assert np.abs(pixels.astype(int) - expected).max() <= 2


def decoded(content: bytes) -> NDArray[np.uint8] | str:
    """Pixels of 100 x 100, or the reason why not."""
    try:
        return decode_image(content, 100).pixels
    except DecodeError as error:
        return str(error)


@pytest.mark.parametrize("missing", [*range(17), 100, 400, 1000])
@pytest.mark.parametrize("side", [100, 93])
def test_a_jpeg_without_its_end_is_read_if_no_pixel_is_missing_progressive_or_not(side: int, missing: int):
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"progressive": True, "restart_marker_rows": 1}):
        content = hostile.save(hostile.fruit(side, side), "JPEG", quality=95, **options)

        pixels = decoded(content[: len(content) - missing])

        if isinstance(pixels, str):
            assert pixels == "truncated"
            assert missing > 2
        else:
            assert np.array_equal(pixels, decoded(content))
            assert missing < 100


def test_a_jpeg_that_is_cut_between_two_scans_or_restarts_is_truncated():
    for options, marker in (({"progressive": True}, b"\xff\xda"), ({"restart_marker_rows": 1}, b"\xff\xd2")):
        content = hostile.save(hostile.fruit(), "JPEG", quality=95, **options)
        tables = content.rindex(b"\xff\xc4") if "progressive" in options else content.rindex(marker)

        for cut in (tables, content.rindex(marker)):
            with pytest.raises(DecodeError, match=r"^truncated$"):
                decode_image(content[:cut], 224)


def test_a_photo_that_is_all_one_colour_is_read_and_so_is_one_behind_glass():
    assert decode_image(hostile.save(Image.new("RGB", (8, 8), "white"), "PNG"), 4).pixels[0, 0].tolist() == [255, 255, 255]
    assert decode_image(hostile.save(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "PNG"), 4).pixels[0, 0].tolist() == [255, 127, 127]


def test_metadata_are_read_as_pillow_reads_them():
    """But for two: a raw profile APP1, and XMP beside broken EXIF."""
    photos = {name: make for name, (make, _) in (ODD | hostile.FOLDER).items() if name.startswith(("exif/", "xmp/"))} | TYPES
    compared = 0
    for name in photos.keys() - {"exif/raw profile APP1.png", "xmp/beside broken exif.jpg", "exif/broken.jpg"}:
        content = photos[name]()
        image = Image.open(io.BytesIO(content))
        if image.format == "TIFF":
            continue  # Pillow turns it
        found = image.getexif().get(hostile.ORIENTATION)
        assert orientation(content) == (found if found in range(1, 9) else 1), name
        compared += 1
    assert compared > 50
