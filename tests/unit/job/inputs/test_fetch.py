"""Reading many files in order; what cannot be read comes in its place."""

import os
import tracemalloc

import pytest

from job.contract.errors import FetchError
from job.inputs import fetch as fetching
from job.inputs.fetch import ListedImage, content_etag, fetch, stat_etag
from tests.unit.job.odd_files import REASONS, write_odd_files


def key(path, **other):
    status = os.stat(path)
    return ListedImage(f"file://{path}", other.get("etag", stat_etag(status)), status.st_size, None)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i:03} é%20#.jpg" for i in range(100)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * 1000)
    return paths


def test_contents_come_in_the_order_of_the_keys(files):
    keys = [key(path) for path in files]

    assert [(k, content[0]) for k, content in fetch(keys)] == [(k, i) for i, k in enumerate(keys)]


def test_a_small_window_still_gives_everything(files, monkeypatch):
    monkeypatch.setattr(fetching, "IN_FLIGHT_BYTES", 1500)  # one file of 1,000 bytes at a time

    assert [content[0] for _, content in fetch(map(key, files))] == list(range(100))


def test_reading_ahead_stays_within_its_bytes(files, monkeypatch):
    monkeypatch.setattr(fetching, "IN_FLIGHT_BYTES", 5000)
    asked = []

    def keys():
        for path in files:
            asked.append(path)
            yield key(path)

    contents = fetch(keys())
    next(contents)

    assert len(asked) == 6  # five in the window, one that waits for room


def test_a_file_that_vanished_is_an_error_in_its_place(files):
    keys = [key(path) for path in files[:3]]
    files[1].unlink()

    first, gone, last = [content for _, content in fetch(keys)]

    assert first[0] == 0
    assert last[0] == 2
    assert isinstance(gone, FetchError)
    assert str(gone) == "no such file or directory"


def test_a_file_that_changed_after_the_listing_is_not_taken_for_the_listed_one(files):
    listed = key(files[0])
    files[0].write_bytes(b"other")

    ((_, content),) = fetch([listed])

    assert str(content) == "changed since it was listed"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", REASONS)
def test_what_took_the_place_of_a_listed_file_and_is_none_is_an_error_in_its_place(files, tmp_path, name):
    listed = key(files[0])
    write_odd_files(tmp_path / "odd")
    os.replace(tmp_path / "odd" / name, files[0])
    (files[0].parent / "loop.jpg").symlink_to("loop.jpg")

    ((_, content),) = fetch([listed])

    assert isinstance(content, FetchError)
    assert str(content) == REASONS[name]


def test_an_etag_by_content_is_checked_by_content(files):
    content = files[0].read_bytes()

    assert fetching.read_local(key(files[0], etag=content_etag(content))) == content
    with pytest.raises(FetchError, match="changed"):
        fetching.read_local(key(files[0], etag=content_etag(b"other")))


def test_a_file_that_no_photo_can_be_is_not_read(files):
    ((_, content),) = fetch([key(files[0])._replace(size=300_000_000)])

    assert str(content) == "too large: 300000000 bytes"


def test_the_largest_photo_that_is_decoded_may_be_without_compression():
    assert fetching.MAX_BYTES == 269_484_031  # 89,478,485 pixels of three bytes, and a MiB


def test_of_a_file_that_grew_since_it_was_listed_no_more_is_read_than_was_listed(files, monkeypatch):
    listed = key(files[0])
    files[0].write_bytes(bytes(50_000_000))
    tracemalloc.start()
    ((_, content),) = fetch([listed])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert str(content) == "changed since it was listed"
    assert peak < 1_000_000


def test_an_archived_photo_is_not_requested():
    archived = ListedImage("s3://no-such-bucket/a.jpg", "etag", None, None)

    ((found, content),) = fetch([archived])

    assert found == archived
    assert str(content) == "archived, restore it first"
