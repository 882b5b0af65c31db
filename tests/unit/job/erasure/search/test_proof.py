"""The search after an erasure errs on the side of finding: planted addresses in every container, spelling and neighbourhood."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
from urllib.parse import quote, quote_plus

import markupsafe
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.contract.errors import OutputError
from job.erasure.parquet import list_heads, text_values
from job.erasure.pending import Targets
from job.erasure.search.proof import SearchTerms, find_match
from job.erasure.targets import HEAD

URI = "s3://bucket/photos/é & co/a.jpg"
FOUND = "address or content hash"
NEIGHBOURS = st.text(st.sampled_from(". %-_aZ09é\"'<>,;)]}/\n\0"), max_size=4)


def parquet(column: pa.Array) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"said": column}), file)
    return file.getvalue()


def as_lists(texts: list[str]) -> pa.Array:
    return pa.array([texts, None, []], pa.list_(pa.string()))


CONTAINERS = {
    "text": lambda text: text.encode(),
    "json": lambda text: json.dumps({"error": text}).encode(),
    "json, not ascii": lambda text: json.dumps({"error": text}, ensure_ascii=False).encode(),
    "html": lambda text: html.escape(text).encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zstd": lambda text: bytes(pa.compress(text.encode(), codec="zstd", asbytes=True)),
    "strings": lambda text: parquet(pa.array(["x", text, None, "s3://bucket/other.jpg"])),
    "large strings": lambda text: parquet(pa.array([text], pa.large_string())),
    "bytes": lambda text: parquet(pa.array([text.encode()], pa.binary())),
    "dictionary": lambda text: parquet(pa.array(["x", text]).dictionary_encode()),
    "lists": lambda text: parquet(as_lists(["x", text])),
    "structs": lambda text: parquet(pa.array([{"a": 1, "b": {"c": [text]}}])),
    "maps": lambda text: parquet(pa.array([[("key", text)]], pa.map_(pa.string(), pa.string()))),
}


def seen(content: bytes, needles: SearchTerms) -> str:
    return find_match("x.parquet" if content.startswith(b"PAR1") else "x.log", content, needles)


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


KEY = URI.removeprefix("s3://bucket/")
WAYS = {
    "s3": URI,
    "s3a": f"s3a://bucket/{KEY}",
    "s3n": f"s3n://bucket/{KEY}",
    "arn": f"arn:aws:s3:::bucket/{KEY}",
    "host": f"https://bucket.s3.eu-west-3.amazonaws.com/{KEY}",
    "host, dual stack": f"https://bucket.s3.dualstack.eu-west-3.amazonaws.com/{KEY}",
    "host, no Region": f"https://bucket.s3.amazonaws.com/{KEY}",
    "host, sovereign": f"https://bucket.s3.eusc-de-east-1.amazonaws.eu/{KEY}",
    "path": f"https://s3.eu-west-3.amazonaws.com/bucket/{KEY}",
    "path, another server": f"http://127.0.0.1:7070/bucket/{KEY}",
}


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
def test_an_object_is_found_by_every_address_in_a_column_of_addresses(way: str):
    needles, others = SearchTerms(Targets(uris={URI})), ["s3://bucket/b.jpg", None]

    assert seen(written(pa.table({"uri": [*others, WAYS[way]]}), write_statistics=False), needles) == "address"
    assert seen(written(pa.table({"uri": [*others, f"{URI}.png"]}), write_statistics=False), needles) == ""


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


def test_a_row_of_a_longer_address_is_another_photo_known_or_not():
    rows = pa.table({"uri": [f"{URI}.1.jpg", f"{URI}.png", f"{URI}.z.jpg"]})
    file = io.BytesIO()
    pq.write_table(rows, file, write_statistics=False)

    assert seen(file.getvalue(), SearchTerms(Targets(uris={URI}))) == ""


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.large_string(), pa.list_(pa.string())], ids=str)
def test_a_table_is_searched_whatever_type_its_addresses_have(kind: pa.DataType):
    """Delta's own tools write views."""
    kept = ["s3://bucket/b.jpg"] if pa.types.is_list(kind) else "s3://bucket/b.jpg"
    rows = pa.table({"uri": pa.array([kept], kind), "embedding": [[1.0] * HEAD]})

    assert seen(written(rows), SearchTerms(Targets(uris={URI}, numbers={base64.b64encode(bytes(4 * HEAD)).decode()}))) == ""
    assert seen(written(rows), SearchTerms(Targets(uris={"s3://bucket/b.jpg"}))) in (FOUND, "address")


def test_known_longer_addresses_are_asked_for_once_for_each_address():
    asked, uris = [], [f"s3://bucket/photos/{number:05}.jpg" for number in range(300)]
    needles = SearchTerms(Targets(uris=set(uris)), lambda uri: asked.append(uri) or [f"{uri}~2.jpg"])

    for _ in range(3):
        assert seen("\n".join(f"{uri}~2.jpg" for uri in uris).encode(), needles) == ""
    assert sorted(asked) == uris


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda number: pa.list_(number, HEAD)], ids=["list", "large", "fixed"])
@pytest.mark.parametrize("number", [pa.float32(), pa.float64()], ids=str)
def test_an_embedding_is_found_in_lists_of_every_kind(kind, number: pa.DataType):
    row = [float(value) for value in range(1, HEAD + 1)]
    targets = Targets(numbers={base64.b64encode(np.asarray(row, np.float32).tobytes()).decode()})

    assert seen(parquet(pa.array([[0.0] * HEAD, row], kind(number))), SearchTerms(targets)) == "embedding"
    assert seen(parquet(pa.array([[0.0] * HEAD], kind(number))), SearchTerms(targets)) == ""
    heads = [(found.tolist(), head[0].nbytes) for found, head in list_heads(pa.array([None, row, None], kind(number)), HEAD)]
    assert heads == [([1], 4 * HEAD)]


@pytest.mark.parametrize("name", [".part-0.zstd.parquet.4711-140.part", "part-0", "copy.parquet.bak"])
def test_parquet_is_read_whatever_its_name_is(name: str):
    file = io.BytesIO()
    pq.write_table(pa.table({"uri": [URI]}), file, compression="zstd")

    assert find_match(name, file.getvalue(), SearchTerms(Targets(uris={URI}))) == "address"


@pytest.mark.parametrize("row", [0, 5, 9])
def test_every_row_group_is_searched(row: int):
    for column, value, found in (("uri", URI, "address"), ("said", f"about {URI}", FOUND)):
        file = io.BytesIO()
        values = [f"s3://bucket/{number}.jpg" if number != row else value for number in range(10)]
        pq.write_table(pa.table({column: values}), file, row_group_size=3)

        assert seen(file.getvalue(), SearchTerms(Targets(uris={URI}))) == found


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


def test_two_values_of_a_column_are_not_read_as_one():
    assert b"a.jpgs3://" not in b"".join(text_values(pa.array(["s3://b/a.jpg", "s3://b/c.jpg"])))
    assert seen(parquet(pa.array([URI, "s3://b/c.jpg"])), SearchTerms(Targets(uris={URI}))) == FOUND


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view(), pa.large_binary()])
def test_text_is_read_however_arrow_stores_it(kind: pa.DataType):
    assert b"".join(text_values(pa.array([URI.encode()], pa.binary()).cast(pa.large_binary()).cast(kind))) == URI.encode()


def test_a_slice_shows_its_own_values_alone():
    assert b"".join(text_values(pa.array(["a", "b", "c"]).slice(1, 1))) == b"b"


def test_a_type_that_may_hold_text_and_is_not_known_ends_the_search():
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([URI])])

    with pytest.raises(OutputError, match="cannot be searched"):
        list(text_values(union))


DAMAGED = {
    "gzip, cut": gzip.compress(b"x" * 1000)[:-9],
    "gzip, a head alone": b"\x1f\x8b",
    "gzip, changed": gzip.compress(b"abc" * 99)[:12] + b"\xff" * 40,
    "gzip, with more behind it": gzip.compress(b"x") + b"more",
    "zstd": b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
    "zstd, cut": bytes(pa.compress(b"xyz" * 1000, codec="zstd", asbytes=True))[:-3],
    "parquet": b"PAR1" + b"\0" * 40,
    "parquet, a head alone": b"PAR1",
    "parquet, cut": parquet(pa.array(["x"] * 99))[:-20],
    "parquet, changed": b"PAR1" + b"\xff" * 30 + parquet(pa.array(["x" * 99]))[34:],  # the header of its first page
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_a_finding_and_ends_no_search(kind: str):
    needles = SearchTerms(Targets(uris={URI}))

    assert find_match("x.parquet", DAMAGED[kind], needles) == find_match("x.log", DAMAGED[kind], needles) == "cannot be searched"
    assert find_match("x.log", DAMAGED[kind] + URI.encode(), needles) in (FOUND, "cannot be searched")


def test_numbers_and_times_hold_no_text():
    for kind in (pa.int8(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.date32(), pa.decimal128(5, 2), pa.null()):
        assert list(text_values(pa.array([None], kind))) == []


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


def written(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


NOTED = pa.table({"x": [1]})
BESIDE_THE_VALUES = {
    "metadata of the file": lambda: written(NOTED.replace_schema_metadata({"note": URI})),
    "metadata of a column": lambda: written(NOTED.cast(pa.schema([pa.field("x", pa.int64(), metadata={"note": URI})]))),
    "name of a column": lambda: written(pa.table({URI: [1]})),
    "a value that no row has": lambda: written(pa.table({"uri": pa.DictionaryArray.from_arrays([1], ["x", "y", URI])})),
    "a path in the column `uri`": lambda: written(pa.table({"uri": [f"seen: {URI}"]})),
    "an address in lists of `uri`": lambda: written(pa.table({"uri": [["x", URI]]})),
    "a view in the column `uri`": lambda: written(pa.table({"uri": pa.array([URI], pa.string_view())})),
    "bytes in the column `etag`": lambda: written(pa.table({"etag": [f"etag of {URI}".encode()]})),
}


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("place", BESIDE_THE_VALUES)
def test_parquet_is_searched_beside_its_values_too(place: str, codec: str):
    content = BESIDE_THE_VALUES[place]()
    table = pq.read_table(io.BytesIO(content)) if codec != "none" and place.startswith(("a ", "an ")) else None
    content = written(table, compression=codec) if table is not None else content

    assert seen(content, SearchTerms(Targets(uris={URI}))) in (FOUND, "address")


def test_other_photos_in_the_footer_of_parquet_are_no_finding():
    content = written(pa.table({"uri": [f"{URI}.png", "s3://bucket/photos/z.jpg"]}))

    assert seen(content, SearchTerms(Targets(uris={URI}), lambda uri: [f"{URI}.png"])) == ""
