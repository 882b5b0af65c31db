"""What the tests of the search after an erasure plant, and in what."""

from __future__ import annotations

import gzip
import html
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from job.erasure.search.proof import SearchTerms, find_match

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


def written(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


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
