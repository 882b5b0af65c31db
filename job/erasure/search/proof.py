"""
What is left of some images: every file and version below OUTPUT, and logs, searched for address, content hash and embedding.

Parquet is decoded, compressed text unpacked; the addresses are looked for as they are, and as JSON, HTML and URLs write them.
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.contract.errors import OutputError
from job.contract.uris import local_path, printable
from job.erasure.parquet import LISTS, TEXT, column_of, heads_of, text_of
from job.erasure.pending import Targets
from job.erasure.search.spellings import by_needle, is_address, needles_of
from job.erasure.search.strings import Strings
from job.erasure.targets import HEAD
from job.erasure.versions import ArchivedError, Progress, Version, content_of, unseen, versions_below

IN_FLIGHT = 8  # files, each in memory
ESCAPED = re.compile(rb"(%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})$")  # its last digit is no digit of a number behind it
TELLING_BYTES = 64  # fewer bytes may be anywhere by chance
PARQUET = b"PAR1"
NOT_SEARCHED = "cannot be searched"
ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass
class Proof:
    """`found` is empty if nothing is left: else where something is, and what."""

    objects: int = 0
    versions: int = 0  # older ones, that a reader does not see
    bytes: int = 0
    log_events: int = 0
    found: list[str] = field(default_factory=list)


Others = Callable[[str], Iterable[str]]


def no_others(uri: str) -> list[str]:
    return []


class Needles:
    """
    What to look for. An address that is found within a longer one is another photo's only if `longer` or `around` names that photo, which
    stays: given an address, the known ones that begin with it, and those in which its path is. Everything else counts as found.
    """

    def __init__(self, targets: Targets, longer: Others = no_others, around: Others = no_others) -> None:
        uris = targets.searched()
        self.uris = column_of(uris | set(map(local_path, uris)))
        shared, staying = targets.staying()
        contents = (targets.etags | targets.contents) - shared
        self.contents = pa.array(sorted(contents), pa.string())
        self.staying = pa.array(sorted(staying), pa.string())
        self.heads = targets.heads()
        self.unshared = {base64.b64decode(numbers) for numbers in targets.numbers - shared}
        telling = [head for head in self.unshared if len(head) >= TELLING_BYTES and any(head)]
        wide = [np.frombuffer(head, np.float32).astype(np.float64).tobytes() for head in telling]  # as sums of one image have it
        self._numbers = frozenset(telling + wide)
        self._addresses = by_needle(uris)
        self._etags = frozenset(etag.encode() for etag in targets.etags - targets.contents)
        self._all = Strings([*self._addresses, *(hashed.encode() for hashed in contents if hashed), *self._numbers])
        self._longer = cache(lambda uri: [spelling for other in longer(uri) if other != uri for spelling in needles_of(other)])
        self._around = cache(lambda uri: [spelling for other in around(uri) if other != uri for spelling in needles_of(other)])

    def in_bytes(self, content: bytes) -> str:
        """`address or content hash`, `embedding`, or "" if there is none of them in it."""
        embedding = ""
        for at, string in self._all.found_in(content):
            if string in self._numbers:
                embedding = "embedding"
            elif string in self._etags and _within_a_number(content, at, string):
                continue
            elif string not in self._addresses or any(self._is(content, at, string, uri) for uri in self._addresses[string]):
                return "address or content hash"
        return embedding

    def _is(self, text: bytes, at: int, spelling: bytes, uri: str) -> bool:
        """Whether it is `uri` that is spelt there, and no longer address: `/a.jpg` is in `/b/a.jpg`, and in `/a.jpg.png`."""
        if not is_address(text, at, uri):
            return False
        around = self._around(uri) if text[max(0, at - 1) : at] not in (b"", b"/") else []
        begins = ((at - place, other) for other in chain(self._longer(uri), around) for place in _places(spelling, other))
        return not any(begin >= 0 and text.startswith(other, begin) for begin, other in begins)


def _places(part: bytes, text: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _within_a_number(text: bytes, at: int, etag: bytes) -> bool:
    """Whether a digit is before or behind: `5000-17` of a local photo, size and time, is in `15000-17` of another one."""
    before, behind = text[max(0, at - 6) : at], text[at + len(etag) : at + len(etag) + 1]
    return behind.isdigit() or (before[-1:].isdigit() and not ESCAPED.search(before))


def search(folders: list[str], needles: Needles, besides: set[str], progress: Progress = unseen) -> Proof:
    """
    Everything below `folders` (URIs), but for the files `besides`. `progress` is told how many files were searched.

    Raises:
        OutputError, CredentialsError: something cannot be listed or read: then nothing is proven.
    """
    proof = Proof()

    def look(version: Version) -> tuple[Version, int, str]:
        try:
            content = content_of(version)
        except ArchivedError:
            return version, 0, NOT_SEARCHED
        return version, len(content or b""), traces(version.uri, content or b"", needles)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        versions = (version for folder in folders for version in versions_below(folder.rstrip("/") + "/") if version.uri not in besides)
        while some := list(islice(versions, 8 * IN_FLIGHT)):
            for version, size, what in pool.map(look, some):
                proof.objects += version.current
                proof.versions += not version.current
                proof.bytes += size
                if what:
                    proof.found.append(f"{printable(version.uri)}{'' if version.current else f' (version {version.version})'}: {what}")
            progress(proof.objects + proof.versions)
    return proof


def traces(uri: str, content: bytes, needles: Needles) -> str:
    """
    `address`, `content hash`, `embedding`, or "" if there is none of them in a file's bytes. What cannot be read as what it begins like, so
    that nothing is proven about it, is a finding too.
    """
    try:
        if content.startswith(PARQUET):  # whatever its name: what a writer that was killed leaves has another one
            return _in_parquet(content, needles)
        return needles.in_bytes(_unpacked(content))
    except (OSError, EOFError, zlib.error, pa.ArrowException, OutputError):
        return needles.in_bytes(content) or NOT_SEARCHED


def _in_parquet(content: bytes, needles: Needles) -> str:
    """One row group after the other: as numbers, a whole file is several times its bytes, and IN_FLIGHT of them are read at a time."""
    file = pq.ParquetFile(pa.BufferReader(content))
    groups = (_in_table(file.read_row_group(number, use_threads=False), needles) for number in range(file.num_row_groups))
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") :]  # names, notes, bounds: https://parquet.apache.org/docs/file-format
    return next(filter(None, groups), "") or needles.in_bytes(footer + file.schema_arrow.serialize().to_pybytes())


def _in_table(table: pa.Table, needles: Needles) -> str:
    of_photos = "uri" in table.column_names and _is_text(table["uri"])
    others = pc.invert(pc.is_in(table["uri"].cast(pa.string()), value_set=needles.staying)) if of_photos else None
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "uri" and _is_text(column):  # each value is one address: a longer one is another photo's, known or not
            if _has(column, needles.uris) or any(map(needles.in_bytes, text_of(_of_others(column)))):
                return "address"
            continue
        if name == "etag" and _has(column, needles.contents):
            return "content hash"
        if any(is_list(column.type) for is_list in LISTS) and pa.types.is_floating(column.type.value_type):
            meant = needles.unshared if others is None else needles.heads
            for rows, heads in heads_of(column.combine_chunks(), HEAD):
                if any(head.tobytes() in meant and (others is None or others[row].as_py()) for row, head in zip(rows, heads, strict=True)):
                    return "embedding"
        elif what := next(filter(None, map(needles.in_bytes, text_of(column))), ""):
            return what
    return ""


def _is_text(column: pa.ChunkedArray) -> bool:
    return any(is_text(column.type) for is_text in TEXT)


def _of_others(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are written in another way than ours, and so equal none: `s3a://…`, `https://…`."""
    texts = column.cast(pa.string())
    ours = [pc.starts_with(texts, begin) for begin in ("s3://", "file://", "/")]
    return texts.filter(pc.invert(reduce(pc.or_, ours)))


def _has(column: pa.ChunkedArray, values: pa.Array) -> bool:
    """Whether a column of texts has one of `values`."""
    return _is_text(column) and pc.any(pc.is_in(column.cast(pa.string()), value_set=values)).as_py() is True


def _unpacked(content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if content.startswith(ZSTD):
        unpacked: bytes = pa.input_stream(pa.BufferReader(content), compression="zstd").read()
        return unpacked
    return content
