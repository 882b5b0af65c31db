"""Reading many files in order; what cannot be read comes in its place."""

import os

import pytest

from job import fetch as fetching
from job.errors import FetchError
from job.fetch import Key, content_etag, fetch, stat_etag


def key(path, **other):
    status = os.stat(path)
    return Key(f"file://{path}", other.get("etag", stat_etag(status)), status.st_size, None)


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


def test_an_etag_by_content_is_checked_by_content(files):
    content = files[0].read_bytes()

    assert fetching.read_local(key(files[0], etag=content_etag(content))) == content
    with pytest.raises(FetchError, match="changed"):
        fetching.read_local(key(files[0], etag=content_etag(b"other")))
