"""Files on disk, and requests side by side."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from job.erasure.versions import IN_FLIGHT, content_of, map_in_parallel, remove, versions_below, versions_of, versions_of_each
from tests.unit.job.odd_files import REASONS, write_odd_files


def test_as_many_requests_are_under_way_at_once_as_said_and_answers_keep_their_order():
    together = threading.Barrier(IN_FLIGHT)

    def answer(number: int) -> int:
        together.wait(timeout=60)  # one after another would never get here
        return number

    assert list(map_in_parallel(answer, range(2 * IN_FLIGHT))) == list(range(2 * IN_FLIGHT))


def test_files_are_looked_up_and_removed_and_a_folder_is_none(tmp_path: Path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").touch()
    uris, told = [f"file://{tmp_path}/{number}.jpg" for number in range(4)], []

    assert versions_of(f"file://{tmp_path}") == []
    assert remove(versions_of_each(uris, told.append)) == 3
    assert told == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", REASONS)
def test_what_is_no_file_holds_no_bytes_and_can_be_removed(tmp_path: Path, name: str):
    write_odd_files(tmp_path)
    if name == "device.jpg":  # of which only the link may go, and a test has no other to lose
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / "device")
        (tmp_path / name).symlink_to("device")
    (version,) = versions_of(f"file://{tmp_path}/{name}")

    assert content_of(version) is None
    assert remove([version]) == 1
    assert not os.path.lexists(tmp_path / name)
    assert os.path.lexists(tmp_path / "device") is (name == "device.jpg")


def test_a_folder_behind_a_link_is_listed_and_a_link_to_a_folder_above_ends_there(tmp_path: Path):
    """The search after an erasure reads what a reader of OUTPUT reads."""
    elsewhere, output = tmp_path / "disk", tmp_path / "out"
    elsewhere.mkdir()
    output.mkdir()
    (elsewhere / "a.html").touch()
    (output / "runs").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(output)

    assert [version.uri for version in versions_below(f"file://{output}/")] == [f"file://{output}/runs/a.html"]
    assert list(versions_below(f"file://{tmp_path}/nowhere/x")) == []


def test_of_a_photo_that_is_a_link_the_file_and_every_link_on_the_way_to_it_go(tmp_path: Path):
    store, photos = tmp_path / "store", tmp_path / "photos"
    store.mkdir()
    photos.mkdir()
    (store / "content").write_bytes(b"pixels")
    (store / "kept").touch()
    (store / "alias").symlink_to("content")
    (photos / "a.jpg").symlink_to("../store/alias")
    (photos / "dangling.jpg").symlink_to("../store/nothing")
    (photos / "loop.jpg").symlink_to("loop.jpg")

    assert remove(versions_of_each(f"file://{photos}/{name}.jpg" for name in ("a", "dangling", "loop"))) == 3
    assert list(photos.iterdir()) == []
    assert list(store.iterdir()) == [store / "kept"]
