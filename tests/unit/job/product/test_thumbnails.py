"""Small pictures of real and odd photos: what they show, what they no longer carry, and that their weight is bounded."""

import base64
import hashlib
import io
import os

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from job.contract.filenames import taught_name
from job.inputs.fetch import ListedImage, stat_etag
from job.product import thumbnails
from job.product.thumbnails import (
    TILE_PX,
    data_uri,
    find_unchanged_since,
    shrink,
    small_photo,
    small_photos,
    sprite,
    tile,
    tiles,
    tiles_from_rows,
)
from tests.unit.job.odd_files import REASONS, write_odd_files


def listed(path):
    status = path.stat()
    return ListedImage(f"file://{path}", stat_etag(status), status.st_size, None)


def jpeg(size, colour="red", **options):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG", **options)
    return content.getvalue()


def opened(uri):
    assert uri.startswith("data:image/webp;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_photo_keeps_its_look(sample):
    path = min((sample / "Test" / "Banana").iterdir())

    picture = small_photo(path.read_bytes())

    assert (max(picture.size), picture.mode) == (96, "RGB")
    expected = ImageOps.exif_transpose(Image.open(path)).resize(picture.size)
    assert np.abs(np.asarray(picture, float) - np.asarray(expected, float)).mean() < 3


@pytest.mark.timeout(60)
def test_what_took_the_place_of_a_photo_and_is_no_file_gives_no_picture(tmp_path):
    write_odd_files(tmp_path)

    assert small_photos([f"file://{tmp_path}/{name}" for name in REASONS], find_unchanged_since(4e9)) == {}


def test_place_time_and_camera_do_not_come_along_and_the_photo_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 24.0)  # GPSLatitude
    left_white = Image.new("RGB", (400, 200), "black")
    left_white.paste("white", (0, 0, 200, 200))
    content = io.BytesIO()
    left_white.save(content, "JPEG", exif=exif)

    picture = small_photo(content.getvalue())
    stored = opened(data_uri(picture))

    assert picture.size == (48, 96)
    assert picture.getpixel((24, 10))[0] > 250  # what was left is on top
    assert not stored.getexif()
    assert "exif" not in stored.info


@pytest.mark.parametrize("mode", ["P", "L", "I;16", "RGBA", "1", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    content = io.BytesIO()
    Image.new(mode, (300, 200)).save(content, "TIFF" if mode == "CMYK" else "PNG")

    assert (small_photo(content.getvalue()).mode, small_photo(content.getvalue()).size) == ("RGB", (96, 64))


def test_what_is_no_photo_gives_none_and_a_cut_one_what_is_left_of_it():
    whole = jpeg((400, 400), "green")
    assert small_photo(b"") is None
    assert small_photo(b"%PDF-1.4 hello") is None
    assert small_photo(whole[: len(whole) // 2]) is None

    cut = small_photo(whole[: len(whole) // 2], even_if_cut=True)

    assert cut.size == (96, 96)
    assert cut.getpixel((5, 5))[1] > 100
    assert small_photo(whole[: len(whole) // 2]) is None  # the leave was for one photo only


def test_a_bomb_is_not_opened():
    content = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(content, "PNG")

    assert small_photo(content.getvalue()) is None


def test_photos_that_are_gone_or_changed_give_no_picture(tmp_path):
    paths = [tmp_path / f"{name}.jpg" for name in ("kept", "changed", "gone")]
    for path in paths:
        path.write_bytes(jpeg((50, 50)))
    keys = [listed(path) for path in paths]
    paths[1].write_bytes(jpeg((60, 60), "blue"))
    paths[2].unlink()

    pictures = small_photos([key.uri for key in keys], lambda uris: keys)

    assert list(pictures) == [f"file://{tmp_path}/kept.jpg"]


def test_the_first_photos_come_first_where_not_all_may_be_read(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.jpg" for i in range(5)]
    for path in paths:
        path.write_bytes(jpeg((50, 50)))
    monkeypatch.setattr(thumbnails, "READ_BYTES", 3 * paths[0].stat().st_size)
    uris = [f"file://{path}" for path in reversed(paths)]

    pictures = small_photos(uris, lambda wanted: [listed(path) for path in paths])

    assert list(pictures) == uris[:3]


def test_without_a_listing_a_photo_counts_if_it_is_there_and_older_than_the_run(tmp_path):
    old, new = tmp_path / "old.jpg", tmp_path / "new.jpg"
    for path, time in ((old, 1000), (new, 3000)):
        path.write_bytes(jpeg((50, 50)))
        os.utime(path, (time, time))

    keys = find_unchanged_since(2000)([f"file://{old}", f"file://{new}", f"file://{tmp_path}/absent.jpg"])

    assert keys == [listed(old)]


def test_tiles_made_by_a_task_are_those_made_here(tmp_path):
    keys = []
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (300, 200), colour).save(tmp_path / f"{number}.png")
        keys.append(listed(tmp_path / f"{number}.png"))
    keys.append(ListedImage(f"file://{tmp_path}/absent.png", "1-1", 1, None))
    rows = pa.RecordBatch.from_pylist([key._asdict() for key in keys])

    here = tiles([key.uri for key in keys], lambda _: keys)
    by_task = tiles_from_rows(pa.Table.from_batches(shrink([rows])))

    assert here.keys() == by_task.keys() == {key.uri for key in keys[:3]}
    assert all(np.array_equal(here[uri], by_task[uri]) for uri in here)
    assert here[keys[1].uri].getpixel((0, 0)) == (0, 128, 0)


def test_the_sprite_holds_the_pictures_row_by_row():
    colours = [(5 * i, 0, 255 - 5 * i) for i in range(51)]  # one more than a row

    sheet = opened(sprite([tile(Image.new("RGB", (96, 60), colour)) for colour in colours])).convert("RGB")

    assert sheet.size == (50 * 48, 2 * 48)
    for number in (0, 1, 49, 50):
        x, y = 48 * (number % 50) + 24, 48 * (number // 50) + 24
        assert np.abs(np.subtract(sheet.getpixel((x, y)), colours[number])).max() < 12


def test_the_sprite_never_outgrows_its_bound(monkeypatch):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 255, (TILE_PX, TILE_PX, 3), np.uint8)) for _ in range(100)]
    best = len(sprite(noise))
    monkeypatch.setattr(thumbnails, "SPRITE_BYTES", best // 2)

    assert 0 < len(sprite(noise)) * 3 // 4 <= best // 2
    monkeypatch.setattr(thumbnails, "SPRITE_BYTES", 100)
    assert sprite(noise) == ""
    assert sprite([]) == ""


def test_a_taught_photo_is_newer_than_its_run_and_is_shown_while_it_has_the_content_of_its_name(tmp_path):
    content = jpeg((20, 20))
    path = tmp_path / taught_name("Plum", hashlib.sha256(content).hexdigest(), ".jpg")
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("later.jpg").write_bytes(content)
    uris = [f"file://{path}", f"file://{path.with_name('later.jpg')}"]

    assert list(small_photos(uris, find_unchanged_since(0))) == uris[:1]
    path.write_bytes(jpeg((20, 20), "blue"))
    assert small_photos(uris, find_unchanged_since(0)) == {}
