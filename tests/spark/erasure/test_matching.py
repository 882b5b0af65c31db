"""What an erasure means: addresses, prefixes, ages, copies and odd names in; these photos and no others out."""

import os
import shutil
import time
from pathlib import Path
from unittest.mock import ANY

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from job.contract.errors import InputError
from tests.spark.erasure.traces import files_that_hold, stored, tree


def test_a_prefix_takes_photos_that_were_never_embedded_too_and_nothing_else(forget, after_a_run):
    output, photos = after_a_run
    folder = sorted(photos.iterdir())[0]
    shutil.copy(sorted(photos.iterdir())[1] / os.listdir(sorted(photos.iterdir())[1])[0], folder / "came later.jpg")
    (folder / "notes.txt").write_text("not a photo")

    done = forget(output, prefixes=[f"file://{folder}/"])

    assert (done.removed["photos"], done.removed["features"], len(done.images)) == (11, 10, 22)
    assert os.listdir(folder) == ["notes.txt"]
    assert len(stored(output)) == 50
    assert len(list(photos.glob("*/*.jpg"))) == 50


def test_retention_takes_what_was_taken_in_before_and_not_what_came_after(run_job, forget, after_a_run):
    output, photos = after_a_run
    time.sleep(3)
    new = photos / "Later" / "new.png"
    new.parent.mkdir()
    shutil.copy(sorted(photos.glob("*/*.jpg"))[0], new)
    os.utime(new)
    between = time.time()
    run_job(photos, output, components=2)

    done = forget(output, older_than=time.time() - between + 1)

    assert list(stored(output)["uri"]) == [f"file://{new}"]
    assert [path for path in photos.rglob("*") if path.is_file()] == [new]
    assert done.removed["features"] == 60


def test_the_same_picture_under_another_address_is_named_and_goes_only_if_asked(run_job, forget, photos, tmp_path):
    output, files = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    copy = photos / "Copies" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(files[0], copy)
    run_job(photos, output, components=2)

    assert forget(output, [files[0]], only_plan=True).copies == {f"file://{copy}"}
    assert forget(output, [files[0]], only_plan=True, copies=True).uris == {f"file://{files[0]}", f"file://{copy}"}
    assert forget(output, [files[0]]).copies_left == 1
    assert copy.exists()
    assert len(stored(output)) == 60


def test_a_photo_whose_path_ends_like_that_of_a_forgotten_one_stays(run_job, forget, photos, tmp_path):
    """Its rows in CSV hold the path of the other one."""
    output, one = tmp_path / "out", min(photos.glob("*/*.jpg"))
    other = photos / str(one).removeprefix("/")
    other.parent.mkdir(parents=True)
    shutil.copy(sorted(photos.glob("*/*.jpg"))[20], other)
    run_job(photos, output, components=2)

    assert forget(output, [one]).found == []
    assert other.exists()
    assert len(stored(output)) == 60


@pytest.mark.parametrize("how", ["raw", "as the tables have it", "prefix", "never seen"])
def test_a_photo_whose_name_is_no_utf_8_is_forgotten(run_job, forget, photos, tmp_path, how):
    output, odd = tmp_path / "out", Path(os.fsdecode(bytes(min(photos.iterdir())) + b"/\xff'\xe9.jpg"))
    if how == "never seen":
        run_job(photos, output, components=2)
    shutil.copy(min(photos.glob("*/*.jpg")), odd)
    if how != "never seen":
        run_job(photos, output, components=2)
    address = f"file://{odd.parent}/\\xff'\\xe9.jpg"

    if how == "prefix":
        done = forget(output, prefixes=[f"file://{odd.parent}/\udcff"])
    else:
        done = forget(output, [address if how == "as the tables have it" else odd])

    assert not odd.exists()
    assert (done.removed["rejects"], done.found) == (0 if how == "never seen" else 1, [])
    assert files_that_hold(output, b"xff'", b"xff&#39;") == []
    assert len(stored(output)) == 60


def test_nothing_to_forget_says_so_is_no_error_and_leaves_no_receipt(forget, after_a_run):
    assert forget(after_a_run[0], prefixes=["file:///nowhere/"]).removed == {}
    assert not (after_a_run[0] / "erasures").exists()


def test_an_address_that_is_known_nowhere_is_not_among_the_targets_and_one_that_only_a_run_knows_is(run_job, forget, after_a_run):
    output, photos = after_a_run
    one, *_ = sorted(photos.glob("*/*.jpg"))
    forget(output, [one])
    row = {"uri": f"file://{one}", "label": "x", "pc": [0.0, 0.0]}
    (matrix,) = (output / "runs" / "first" / "pca").glob("*.parquet")
    pq.write_table(pa.concat_tables([pq.read_table(matrix), pa.Table.from_pylist([row], pq.read_schema(matrix))]), matrix)

    assert forget(output, [one, photos / "typed.jpg", photos], only_plan=True).uris == {f"file://{one}"}


def test_what_no_run_has_as_its_input_is_not_erased_nor_what_is_no_photo(forget, after_a_run, tmp_path):
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    others = tmp_path / "others"
    others.mkdir()
    (photos / "out of it").symlink_to(others)
    kept = [shutil.copy(one, others / "a.jpg"), one.with_name("notes.txt"), one.with_name("._a.jpg"), photos.with_name("photos.jpg")]
    for path in map(Path, kept[1:]):
        path.write_text("kept")
    typed = [*kept, photos / "out of it" / "a.jpg"]
    before = tree(output)

    for options in ({"uris": typed}, {"prefixes": [f"file://{path}" for path in typed]}, {"prefixes": [f"file://{others}/"]}):
        assert forget(output, only_plan=True, **options).uris == set()
        assert forget(output, **options).images == []

    assert all(map(os.path.exists, kept))
    assert tree(output) | {output / "lease.json": ANY} == before | {output / "lease.json": ANY}


def test_a_prefix_is_no_folder(forget, after_a_run):
    """`…/Red` is a folder, and `…/Red Apple` begins so as well."""
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    (photos / "Red").mkdir()
    (photos / "Red Apple").mkdir()
    shutil.copy(one, photos / "Red Apple" / "new.jpg")

    assert forget(output, prefixes=[f"file://{photos}/Red"], only_plan=True).uris == {f"file://{photos}/Red Apple/new.jpg"}


def test_a_part_of_output_is_no_photo(forget, after_a_run):
    with pytest.raises(InputError, match="is part of OUTPUT"):
        forget(after_a_run[0], prefixes=[f"file://{after_a_run[0]}/features/"])


def test_a_photo_of_an_input_in_the_folder_of_output_is_forgotten(run_job, forget, photos, tmp_path):
    """A run allows that: only the folders of OUTPUT itself are not photos."""
    output = tmp_path / "project"
    output.mkdir()
    photos = photos.rename(output / "photos")
    one = min(photos.glob("*/*.jpg"))
    (partial := photos / ".mine.part").touch()
    run_job(photos, output, components=2)

    done = forget(output, [one])

    assert (done.removed["photos"], done.removed["features"], done.found) == (1, 1, [])
    assert not one.exists()
    assert partial.exists()
    assert len(list(photos.glob("*/*.jpg"))) == 59
