"""The search after an erasure errs on the side of finding: planted addresses in every container, spelling and neighbourhood."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import markupsafe
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.erasure.pending import Targets
from job.erasure.search.proof import SearchTerms
from job.erasure.targets import HEAD
from tests.unit.job.erasure.search.planted import CONTAINERS, FOUND, KEY, NEIGHBOURS, URI, WAYS, parquet, seen


@pytest.mark.parametrize("container", CONTAINERS)
@settings(deadline=None)  # the first one loads Arrow's readers
@given(before=NEIGHBOURS, after=NEIGHBOURS, quoted=st.booleans())
def test_an_address_is_found_whatever_is_before_and_behind_it(container: str, before: str, after: str, quoted: bool):
    uri = quote(URI, safe="/:") if quoted else URI
    content = CONTAINERS[container](f"{before}{uri}{after}")

    assert seen(content, SearchTerms(Targets(uris={URI}))) == FOUND


ODD = 'file:///photos/l\'été & <b> "x"/a+b~c@d\u2028\\.jpg'
WRITERS = {
    "text": str,
    "jinja": lambda text: str(markupsafe.escape(text)),
    "html": html.escape,
    "html, quotes as they are": lambda text: html.escape(text, quote=False),
    "json": json.dumps,
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False),
    "json in a report": lambda text: json.dumps(text, ensure_ascii=False).replace("<", "\\u003c"),
    "html in json": lambda text: json.dumps(str(markupsafe.escape(text))),
    "url": quote,
    "all of a url": lambda text: quote(text, safe=""),
    "url with +": lambda text: quote_plus(text, safe="/:"),
    "java's url": lambda text: quote(text, safe="/:!$&'()*+,;=@~"),
    "python": repr,
    "csv": lambda text: '"' + text.replace('"', '""') + '"',
}


@pytest.mark.parametrize("writer", WRITERS)
def test_an_address_is_found_whatever_wrote_it(writer: str):
    assert seen(f"<{WRITERS[writer](ODD)}>".encode(), SearchTerms(Targets(uris={ODD}))) == FOUND


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None, max_examples=20)
@given(before=NEIGHBOURS, after=NEIGHBOURS, writer=st.sampled_from(["text", "url", "all of a url"]))
def test_an_object_is_found_by_every_address_that_it_has(container: str, way: str, before: str, after: str, writer: str):
    content = CONTAINERS[container](f"{before} {WRITERS[writer](WAYS[way])}{after}")

    assert seen(content, SearchTerms(Targets(uris={URI}))) == FOUND


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be", "utf-16"])
def test_an_object_is_found_by_every_address_in_utf_16(way: str, code: str):
    assert seen(f"read {WAYS[way]}".encode(code), SearchTerms(Targets(uris={URI}))) == FOUND


@pytest.mark.parametrize("way", WAYS)
def test_a_longer_address_is_another_object_if_it_is_known_however_it_is_written(way: str):
    needles = SearchTerms(Targets(uris={URI}), lambda uri: [f"{URI}.png"])

    assert seen(f"{WAYS[way]}.png".encode(), needles) == ""
    assert seen(f"{WAYS[way]}.gif".encode(), needles) == FOUND


@pytest.mark.parametrize(
    "other",
    [
        f"s3://mybucket/{KEY}",
        f"s3://bucket/x/{KEY}",
        f"https://mine.s3.eu-west-3.amazonaws.com/{KEY}",
        f"/home/bucket/{KEY}",
        f"<td>bucket/{KEY}</td>",
    ],
)
def test_an_object_of_another_bucket_and_a_name_below_input_are_not_its_address(other: str):
    assert seen(other.encode(), SearchTerms(Targets(uris={URI}))) == ""


@pytest.mark.parametrize("text", [f"{URI}. Skipped", f"{quote(URI, safe='/:')}%22", f"{URI}s3://bucket/b.jpg", f"{URI}-1", f"{URI}.png"])
def test_what_is_no_other_known_photo_counts_as_found(text: str):
    assert seen(text.encode(), SearchTerms(Targets(uris={URI}))) == FOUND


def test_a_longer_address_is_another_photo_if_it_is_known():
    known = [URI, f"{URI}.png", "s3://bucket/b.jpg"]
    needles = SearchTerms(Targets(uris={URI}), lambda uri: [other for other in known if other.startswith(uri)])

    for written in (f"{URI}.png", html.escape(f"{URI}.png"), quote(f"{URI}.png", safe="/:"), json.dumps({"uri": f"{URI}.png"})):
        assert seen(written.encode(), needles) == ""
    assert seen(f"{URI}.png {URI}".encode(), needles) == FOUND
    assert seen(f"{URI}.gif".encode(), needles) == FOUND


BEHIND = [" (1).jpg", "/b.jpg", "é.jpg", ",v.jpg", "~2.jpg", f"/{URI}"]


@pytest.mark.parametrize("behind", BEHIND)
def test_whatever_character_a_longer_address_has_next_it_is_another_photo_if_it_is_known(behind: str):
    other = URI + behind
    needles = SearchTerms(Targets(uris={URI}), lambda uri: [other])

    for written in (other, html.escape(other), quote(other), json.dumps({"uri": other})):
        assert seen(written.encode(), needles) == ""
        assert seen(f"{written} {URI}".encode(), needles) == FOUND
    assert seen(f"{URI}{behind[:-1]}".encode(), needles) == FOUND


def test_known_longer_addresses_are_asked_for_once_for_each_address():
    asked, uris = [], [f"s3://bucket/photos/{number:05}.jpg" for number in range(300)]
    needles = SearchTerms(Targets(uris=set(uris)), lambda uri: asked.append(uri) or [f"{uri}~2.jpg"])

    for _ in range(3):
        assert seen("\n".join(f"{uri}~2.jpg" for uri in uris).encode(), needles) == ""
    assert sorted(asked) == uris


LOCAL = "file:///photos/é & co/a.jpg"


@pytest.mark.parametrize("container", CONTAINERS)
@settings(deadline=None)
@given(before=NEIGHBOURS, after=NEIGHBOURS, quoted=st.booleans())
def test_a_path_without_its_scheme_is_found_too(container: str, before: str, after: str, quoted: bool):
    path = LOCAL.removeprefix("file://")
    content = CONTAINERS[container](f"{before}{quote(path) if quoted else path}{after}")

    assert seen(content, SearchTerms(Targets(uris={LOCAL}))) == FOUND


def test_a_path_within_a_longer_one_is_another_photo_if_that_one_is_known():
    known = ["file:///x/photos/é & co/a.jpg", "s3://bucket/photos/é & co/a.jpg", "file:///x /photos/é & co/a.jpg.png"]
    needles = SearchTerms(Targets(uris={LOCAL}), around=lambda uri: known)

    for other in known:
        for written in (other, other.removeprefix("file://"), html.escape(other), quote(other), json.dumps({"uri": other})):
            assert seen(written.encode(), needles) == ""
    assert seen(b"x" + LOCAL.removeprefix("file://").encode(), needles) == FOUND
    assert seen(f"{known[0]} {LOCAL}".encode(), needles) == FOUND


def test_a_content_hash_is_found_whatever_follows():
    digest = "0" * 63 + "1"

    assert seen(f"sha256:{digest}ab".encode(), SearchTerms(Targets(contents={digest}))) == FOUND


@pytest.mark.parametrize("text", ["15000-17", "5000-171", "s3/95000-17,", '{"etag": "15000-17"}'])
def test_an_etag_within_a_longer_number_is_that_of_another_photo(text: str):
    needles = SearchTerms(Targets(etags={"5000-17"}))

    assert seen(text.encode(), needles) == ""
    assert seen(parquet(pa.array([text])), needles) == ""
    assert seen(f"{text} 5000-17".encode(), needles) == FOUND


@pytest.mark.parametrize("text", ["5000-17", "\n5000-17.", "x\\n5000-17\\n", "%225000-17%22", "\\u00225000-17\\u0022"])
def test_an_etag_is_found_whatever_is_beside_it_that_is_no_number(text: str):
    assert seen(text.encode(), SearchTerms(Targets(etags={"5000-17"}))) == FOUND


def test_a_copy_that_stays_switches_off_the_search_for_what_it_has_itself_and_nothing_else():
    with_copy, without = (np.arange(first, first + HEAD, dtype=np.float32).tobytes() for first in (1, 2))
    texts = [base64.b64encode(head).decode() for head in (with_copy, without)]
    copy = "s3://b/copy.jpg"
    shared = {f"{texts[0]} {copy}", f"etag-of-both {copy}"}
    targets = Targets(etags={"etag-of-both", "etag-of-one"}, numbers=set(texts), copies={copy}, shared=shared)

    for needles in (SearchTerms(targets), SearchTerms(Targets.from_json(targets.to_json()))):
        assert seen(with_copy, needles) == ""
        assert seen(b"etag-of-both", needles) == ""
        assert seen(without, needles) == "embedding"
        assert seen(b"etag-of-one", needles) == FOUND
        rows = [np.frombuffer(head, np.float32) for head in (with_copy, without)]
        assert seen(parquet(pa.array(rows[:1], pa.list_(pa.float32()))), needles) == ""
        assert seen(parquet(pa.array(rows, pa.list_(pa.float32()))), needles) == "embedding"


def test_what_a_copy_has_is_searched_for_once_the_copy_is_erased_too():
    copy = "s3://b/copy.jpg"
    targets = Targets(uris={"s3://b/a.jpg"}, etags={"etag-of-both"}, copies={copy}, shared={f"etag-of-both {copy}"})
    targets.add(Targets(uris={copy}))

    assert seen(b"etag-of-both", SearchTerms(targets)) == FOUND


RARER_WRITERS = {
    "json in python": lambda text: json.dumps({"error": repr(text)}),
    "json in python, not ascii": lambda text: json.dumps({"error": repr(text)}, ensure_ascii=False),
    "python, ascii": ascii,
    "json with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "json, capital digits": lambda text: re.sub(r"\\u([0-9a-f]{4})", lambda found: f"\\u{found[1].upper()}", json.dumps(text)),
    "url, small digits": lambda text: re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text)),
    "all of a url, small digits": lambda text: re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe="")),
    "html, ascii": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
}


@pytest.mark.parametrize("writer", RARER_WRITERS)
@pytest.mark.parametrize("uri", [ODD, "file:///photos/\U0001f468\u200d\U0001f469/l\u00ee\u00eet\\\n.jpg", URI])
def test_an_address_is_found_as_rarer_writers_have_it(writer: str, uri: str):
    assert seen(f"<{RARER_WRITERS[writer](uri)}>".encode(), SearchTerms(Targets(uris={uri}))) == FOUND


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be"])
def test_an_address_is_found_as_windows_writes_text(code: str):
    assert seen(f"seen: {URI}\r\n".encode(code), SearchTerms(Targets(uris={URI}))) == FOUND
