"""
Search every file and version below OUTPUT, and logs, for addresses, content hashes and embeddings of images.

Parquet is decoded and compressed text decompressed. Addresses are searched as they are and as JSON, HTML and URLs write them.
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import chain, islice
from threading import Condition

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.contract.errors import OutputError
from job.contract.uris import local_path, printable
from job.erasure.parquet import LISTS, TEXT, VALUES_AT_ONCE, column_of, list_heads, text_values
from job.erasure.pending import Targets
from job.erasure.search.spellings import is_address, search_strings, uris_by_search_string
from job.erasure.search.strings import Strings
from job.erasure.targets import HEAD
from job.erasure.versions import ArchivedError, Progress, Version, content_of, no_progress, size_of, versions_below

IN_FLIGHT = 8  # files, each in memory
IN_FLIGHT_BYTES = 512 << 20  # of all of them; a larger file is read alone
DECODED_BYTES = 8 << 20  # of a Parquet file, at a time
ESCAPED = re.compile(rb"(%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})$")  # its last digit does not belong to a number after it
TELLING_BYTES = 64  # shorter strings occur by chance
PARQUET = b"PAR1"
NOT_SEARCHED = "cannot be searched"
ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass
class Proof:
    """The result of a search. `found` names each place that still has a trace, and is empty if there is none."""

    objects: int = 0
    versions: int = 0  # older ones, that a reader does not see
    bytes: int = 0
    log_events: int = 0
    found: list[str] = field(default_factory=list)


FindOthers = Callable[[str], Iterable[str]]


def no_others(uri: str) -> list[str]:
    return []


class SearchTerms:
    """
    The strings to search for.

    An address found within a longer one belongs to another photo only if `longer` or `around` names that photo, which stays: they return
    the known addresses that begin with an address, and those that contain its path. Everything else counts as found.
    """

    def __init__(self, targets: Targets, longer: FindOthers = no_others, around: FindOthers = no_others) -> None:
        uris = targets.searched()
        self.uris = column_of(uris | set(map(local_path, uris)))
        shared, staying = targets.staying()
        contents = (targets.etags | targets.contents) - shared
        self.contents = pa.array(sorted(contents), pa.string())
        self.staying = pa.array(sorted(staying), pa.string())
        self.heads = targets.heads()
        self.unshared = {base64.b64decode(numbers) for numbers in targets.numbers - shared}
        telling = [head for head in self.unshared if len(head) >= TELLING_BYTES and any(head)]
        wide = [np.frombuffer(head, np.float32).astype(np.float64).tobytes() for head in telling]  # the form in sums of a single image
        self._numbers = frozenset(telling + wide)
        self._addresses = uris_by_search_string(uris)
        self._etags = frozenset(etag.encode() for etag in targets.etags - targets.contents)
        self._all = Strings([*self._addresses, *(hashed.encode() for hashed in contents if hashed), *self._numbers])
        self._longer = cache(lambda uri: [spelling for other in longer(uri) if other != uri for spelling in search_strings(other)])
        self._around = cache(lambda uri: [spelling for other in around(uri) if other != uri for spelling in search_strings(other)])

    def in_bytes(self, content: bytes) -> str:
        """Return `address or content hash` or `embedding` if `content` has one, else ""."""
        embedding = ""
        for at, string in self._all.found_in(content):
            if string in self._numbers:
                embedding = "embedding"
            elif string in self._etags and _within_a_number(content, at, string):
                continue
            elif string not in self._addresses or any(self._is_whole_address(content, at, string, uri) for uri in self._addresses[string]):
                return "address or content hash"
        return embedding

    def _is_whole_address(self, text: bytes, at: int, spelling: bytes, uri: str) -> bool:
        """
        Return whether the match at `at` is `uri` itself and not part of a longer address.

        `/a.jpg` is in `/b/a.jpg` and in `/a.jpg.png`.
        """
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
    """
    Return whether a digit comes before or after the etag.

    The etag `5000-17` of a local photo, size and time, is in `15000-17` of another one.
    """
    before, behind = text[max(0, at - 6) : at], text[at + len(etag) : at + len(etag) + 1]
    return behind.isdigit() or (before[-1:].isdigit() and not ESCAPED.search(before))


def search(folders: list[str], terms: SearchTerms, besides: set[str], progress: Progress = no_progress) -> Proof:
    """
    Search everything below `folders` (URIs) except the files `besides`. `progress` gets the number of files searched.

    Raises:
        OutputError, CredentialsError: something cannot be listed or read: then nothing is proven.
    """
    proof, memory = Proof(), Memory(IN_FLIGHT_BYTES)

    def scan(version: Version) -> tuple[Version, int, str]:
        with memory.taken(size_of(version)):
            try:
                content = content_of(version)
            except ArchivedError:
                return version, 0, NOT_SEARCHED
            return version, len(content or b""), find_match(version.uri, content or b"", terms)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        versions = (version for folder in folders for version in versions_below(folder.rstrip("/") + "/") if version.uri not in besides)
        while some := list(islice(versions, 8 * IN_FLIGHT)):
            for version, size, what in pool.map(scan, some):
                proof.objects += version.current
                proof.versions += not version.current
                proof.bytes += size
                if what:
                    proof.found.append(f"{printable(version.uri)}{'' if version.current else f' (version {version.version})'}: {what}")
            progress(proof.objects + proof.versions)
    return proof


class Memory:
    """So many bytes for threads that share them."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, or all where it is more than there are, and hold them."""
        size = min(size, self._most)
        with self._changed:
            self._changed.wait_for(lambda: size <= self._free)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def find_match(uri: str, content: bytes, terms: SearchTerms) -> str:
    """
    Return `address`, `content hash` or `embedding` if the bytes of a file have one, else "".

    A file that cannot be read as its first bytes announce is a match too, since nothing is proven about it.
    """
    try:
        if content.startswith(PARQUET):  # by content, not by name: a killed writer leaves files with other names
            return _in_parquet(content, terms)
        return terms.in_bytes(_unpacked(content))
    except (OSError, EOFError, zlib.error, pa.ArrowException, OutputError):
        return terms.in_bytes(content) or NOT_SEARCHED


def _in_parquet(content: bytes, terms: SearchTerms) -> str:
    """Search some rows at a time: decoded, a file takes several times its bytes, and IN_FLIGHT files are read at once."""
    file = pq.ParquetFile(pa.BufferReader(content))
    groups = (_in_table(pa.Table.from_batches([rows]), terms) for rows in _rows(file))
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") :]  # names, notes, bounds: https://parquet.apache.org/docs/file-format
    return next(filter(None, groups), "") or terms.in_bytes(footer + file.schema_arrow.serialize().to_pybytes())


def _rows(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield all rows, at most about DECODED_BYTES at a time."""
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        at_once = max(1, DECODED_BYTES * group.num_rows // max(1, group.total_byte_size))
        yield from file.iter_batches(min(at_once, VALUES_AT_ONCE), row_groups=[number], use_threads=False)


def _in_table(table: pa.Table, terms: SearchTerms) -> str:
    of_photos = "uri" in table.column_names and _is_text(table["uri"])
    others = pc.invert(pc.is_in(table["uri"].cast(pa.string()), value_set=terms.staying)) if of_photos else None
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "uri" and _is_text(column):  # each value is one address: a longer one belongs to another photo
            if _has(column, terms.uris) or any(map(terms.in_bytes, text_values(_other_spellings(column)))):
                return "address"
            continue
        if name == "etag" and _has(column, terms.contents):
            return "content hash"
        if any(is_list(column.type) for is_list in LISTS) and pa.types.is_floating(column.type.value_type):
            meant = terms.unshared if others is None else terms.heads
            for rows, heads in list_heads(column.combine_chunks(), HEAD):
                if any(head.tobytes() in meant and (others is None or others[row].as_py()) for row, head in zip(rows, heads, strict=True)):
                    return "embedding"
        elif what := next(filter(None, map(terms.in_bytes, text_values(column))), ""):
            return what
    return ""


def _is_text(column: pa.ChunkedArray) -> bool:
    return any(is_text(column.type) for is_text in TEXT)


def _other_spellings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values that no stored address equals, since they are written in another way: `s3a://…`, `https://…`."""
    texts = column.cast(pa.string())
    ours = [pc.starts_with(texts, begin) for begin in ("s3://", "file://", "/")]
    return texts.filter(pc.invert(reduce(pc.or_, ours)))


def _has(column: pa.ChunkedArray, values: pa.Array) -> bool:
    """Return whether a text column has one of `values`."""
    return _is_text(column) and pc.any(pc.is_in(column.cast(pa.string()), value_set=values)).as_py() is True


def _unpacked(content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if content.startswith(ZSTD):
        unpacked: bytes = pa.input_stream(pa.BufferReader(content), compression="zstd").read()
        return unpacked
    return content
