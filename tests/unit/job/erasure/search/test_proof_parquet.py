"""The search after an erasure in Parquet and other packed files: every type, every part, damaged ones, and in little memory."""

from __future__ import annotations

import base64
import gzip
import io
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from job.contract.errors import OutputError
from job.erasure.parquet import list_heads, text_values
from job.erasure.pending import Targets
from job.erasure.search import proof
from job.erasure.search.proof import SearchTerms, find_match
from job.erasure.targets import HEAD
from tests.unit.job.erasure.search.planted import FOUND, URI, WAYS, parquet, seen, written


@pytest.mark.parametrize("way", WAYS)
def test_an_object_is_found_by_every_address_in_a_column_of_addresses(way: str):
    needles, others = SearchTerms(Targets(uris={URI})), ["s3://bucket/b.jpg", None]

    assert seen(written(pa.table({"uri": [*others, WAYS[way]]}), write_statistics=False), needles) == "address"
    assert seen(written(pa.table({"uri": [*others, f"{URI}.png"]}), write_statistics=False), needles) == ""


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


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, "fixed"], ids=["list", "large", "fixed"])
@pytest.mark.parametrize("number", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("length", [3, HEAD, 2 * HEAD])
def test_an_embedding_is_found_in_lists_of_every_kind(kind, number: pa.DataType, length: int):
    lists = pa.list_(number, length) if kind == "fixed" else kind(number)
    row = [float(value) for value in range(1, length + 1)]
    targets = Targets(numbers={base64.b64encode(np.asarray(row[:HEAD], np.float32).tobytes()).decode()})

    assert seen(parquet(pa.array([[0.0] * length, row], lists)), SearchTerms(targets)) == "embedding"
    assert seen(parquet(pa.array([[0.0] * length], lists)), SearchTerms(targets)) == ""
    heads = [(found.tolist(), head[0].nbytes) for found, head in list_heads(pa.array([None, row, None], lists), HEAD)]
    assert heads == [([1], 4 * min(length, HEAD))]


@pytest.mark.parametrize("name", [".part-0.zstd.parquet.4711-140.part", "part-0", "copy.parquet.bak"])
def test_parquet_is_read_whatever_its_name_is(name: str):
    file = io.BytesIO()
    pq.write_table(pa.table({"uri": [URI]}), file, compression="zstd")

    assert find_match(name, file.getvalue(), SearchTerms(Targets(uris={URI}))) == "address"


@pytest.mark.parametrize("row", [0, 5, 9])
@pytest.mark.parametrize("decoded", [1, proof.DECODED_BYTES], ids=["a row at a time", "all at once"])
def test_every_row_group_is_searched(row: int, decoded: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proof, "DECODED_BYTES", decoded)
    for column, value, found in (("uri", URI, "address"), ("said", f"about {URI}", FOUND)):
        file = io.BytesIO()
        values = [f"s3://bucket/{number}.jpg" if number != row else value for number in range(10)]
        pq.write_table(pa.table({column: values}), file, row_group_size=3)

        assert seen(file.getvalue(), SearchTerms(Targets(uris={URI}))) == found


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


@pytest.mark.parametrize(("size", "at_once"), [(1000, 2), (9000, 1)], ids=["two fit", "one alone is larger"])
def test_the_files_that_are_in_memory_together_fit_into_the_limit(size: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(12):
        (tmp_path / f"{number}.log").write_bytes(URI.encode() if number == 7 else b"x" * size)
    lock, inside, most = threading.Lock(), 0, 0

    def counted(uri: str, content: bytes, terms: SearchTerms) -> str:
        nonlocal inside, most
        with lock:
            inside += len(content) == size
            most = max(most, inside)
        time.sleep(0.02)  # for the other threads to come in
        found = find_match(uri, content, terms)
        with lock:
            inside -= len(content) == size
        return found

    monkeypatch.setattr(proof, "find_match", counted)
    monkeypatch.setattr(proof, "IN_FLIGHT_BYTES", 2500)
    left = proof.search([f"file://{tmp_path}"], SearchTerms(Targets(uris={URI})), set())

    assert (left.objects, left.found, most) == (12, [f"file://{tmp_path}/7.log: {FOUND}"], at_once)
