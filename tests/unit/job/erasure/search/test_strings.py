"""Many strings in one pass: the same places as one search after another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from job.erasure.search import strings
from job.erasure.search.strings import BLOCK, Strings


def one_by_one(wanted: set[bytes], text: bytes) -> list[tuple[int, bytes]]:
    return sorted((at, string) for string in wanted for at in range(len(text)) if text.startswith(string, at))


PARTS = st.sampled_from([b"a", b"ab", b"\0", b"s3://b/", b"\0" * 8, b"photos/Apple/", b"0123456789abcdef", b"x" * 31])
STRINGS = st.lists(PARTS, min_size=1, max_size=6).map(b"".join)


@settings(deadline=None)  # a busy machine takes its time
@given(wanted=st.sets(STRINGS, max_size=8), parts=st.lists(STRINGS, max_size=8))
def test_every_place_is_found_and_no_other(wanted: set[bytes], parts: list[bytes]):
    text = b"".join([*parts, *sorted(wanted)[:2]])

    assert sorted(Strings(wanted).found_in(text)) == one_by_one(wanted, text)


@settings(deadline=None)  # a busy machine takes its time
@given(at=st.integers(-70, 70), length=st.sampled_from([3, 8, 15, 16, 31, 32, 33, 64, 300]))
def test_a_string_across_two_blocks_is_found_once(at: int, length: int):
    string = bytes(range(1, 256))[:length] if length < 256 else bytes(range(1, 256)) * 2
    text = bytes(BLOCK + at) + string + bytes(100)

    assert list(Strings([string]).found_in(text)) == [(BLOCK + at, string)]


def test_where_all_hashes_are_alike_the_bytes_decide(monkeypatch):
    monkeypatch.setattr(strings, "MULTIPLIERS", 0 * strings.MULTIPLIERS)
    wanted = {b"s3://bucket/a.jpg", b"s3://bucket/photos/Apple/number-1.jpg", b"photo-01"}
    text = b"s3://bucket/a.jpg s3://bucket/photos/Apple/number-2.jpg photo-01"

    assert sorted(Strings(wanted).found_in(text)) == one_by_one(wanted, text)


def test_nothing_is_in_nothing():
    assert list(Strings([]).found_in(b"text")) == list(Strings([b"text"]).found_in(b"")) == []


def test_a_text_is_read_as_often_for_ten_thousand_strings_as_for_one(monkeypatch):
    few, many = (Strings(b"s3://bucket/photos/Apple/%06d.jpg" % number for number in range(count)) for count in (1, 10_000))
    hashed, read, text = strings._hashes, [], bytes(3 * BLOCK)

    def counted(text: bytes):
        read.append(len(text))
        return hashed(text)

    monkeypatch.setattr(strings, "_hashes", counted)

    assert list(few.found_in(text)) == list(many.found_in(text)) == []
    assert read[:3] == read[3:]
