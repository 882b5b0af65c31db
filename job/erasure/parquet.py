"""Read, search and rewrite single Parquet files of OUTPUT, without Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.contract.errors import OutputError
from job.contract.uris import join, printable, shown
from job.storage.object_store import Folder


def read(folder: Folder, name: str, columns: list[str] | None = None) -> pa.Table | None:
    """
    Return the file as a table, or None if it does not exist.

    Raises:
        OutputError: it is damaged.
    """
    stored = folder.read(name)
    try:
        return None if stored is None else pq.ParquetFile(pa.BufferReader(stored.content)).read(columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise OutputError(
            f"`{shown(join(folder.uri, name))}` is damaged: {error}", "delete that run, then run `fruitsctl forget` again"
        ) from error


def column_of(uris: Iterable[str]) -> pa.Array:
    """Return addresses as a column, sorted, without those that are not UTF-8: no table can have them."""
    return pa.array(sorted(uri for uri in uris if uri == printable(uri)), pa.string())


def uris_in(folder: Folder, name: str, uris: pa.Array) -> list[str]:
    """Return those of `uris` that the file has, once for each row."""
    table = read(folder, name, ["uri"])
    found: list[str] = [] if table is None else table["uri"].filter(pc.is_in(table["uri"], value_set=uris)).to_pylist()
    return found


def write(folder: Folder, name: str, table: pa.Table) -> None:
    """Write or replace the file. Raises OutputError, CredentialsError."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    folder.write(name, sink.getvalue().to_pybytes())


def rewrite_without(folder: Folder, name: str, uris: pa.Array) -> int:
    """Rewrite the file without the rows of `uris`, if it has any; how many rows that were."""
    table = read(folder, name)
    if table is None:
        return 0
    stays = pc.invert(pc.is_in(table["uri"], value_set=uris))
    rest = table.filter(stays)
    if len(rest) < len(table):
        write(folder, name, rest)
        path, _, file = name.rpartition("/")
        folder.delete(f"{path}/.{file}.crc")  # Hadoop's checksum of the file as it was
    return len(table) - len(rest)


def text_values(array: pa.Array | pa.ChunkedArray) -> Iterator[bytes]:
    """
    Yield the bytes of all string and binary values in `array`, nested ones too, one per line, for a search.

    Raises:
        OutputError: an unknown type that may hold text, so that nothing is proven.
    """
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        kind = chunk.type
        if pa.types.is_dictionary(kind):
            yield from text_values(chunk.dictionary)
        elif isinstance(kind, pa.BaseExtensionType):
            yield from text_values(chunk.storage)
        elif any(is_text(kind) for is_text in TEXT):
            for first in range(0, len(chunk), VALUES_AT_ONCE):
                yield b"\n".join(value or b"" for value in chunk.slice(first, VALUES_AT_ONCE).cast(pa.large_binary()).to_pylist())
        elif pa.types.is_struct(kind) or pa.types.is_map(kind) or any(is_list(kind) for is_list in LISTS):
            for child in _children(chunk):
                yield from text_values(child)
        elif not any(is_plain(kind) for is_plain in PLAIN):
            raise OutputError(f"a column of type `{kind}` cannot be searched", "remove the file, or write the column as text")


def list_heads(lists: pa.Array, longest: int) -> Iterator[tuple[np.typing.NDArray[np.intp], np.typing.NDArray[np.void]]]:
    """Yield row numbers (n,) and the first numbers of each list, at most `longest`, as float32 bytes (n,), per list length."""
    lists = pc.list_slice(lists, 0, longest, return_fixed_size_list=False)  # what follows copies them; a fixed size pads with nulls
    lengths = pc.if_else(pc.is_valid(lists), pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        heads = np.ascontiguousarray(np.asarray(lists.take(pa.array(rows)).flatten(), np.float32)).reshape(len(rows), int(length))
        yield rows, heads.view(f"V{heads.shape[1] * heads.itemsize}").ravel()


TEXT = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
PLAIN = (pa.types.is_primitive, pa.types.is_decimal, pa.types.is_null)  # numbers, times and truth values
VALUES_AT_ONCE = 100_000


def _children(chunk: pa.Array) -> list[pa.Array]:
    if pa.types.is_map(chunk.type):
        return [chunk.keys, chunk.items]
    return list(chunk.flatten()) if pa.types.is_struct(chunk.type) else [chunk.flatten()]
