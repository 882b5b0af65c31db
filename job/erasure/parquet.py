"""Parquet files of OUTPUT, one at a time and without Spark: read, rewritten without some images, searched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import OutputError
from job.objects import Folder
from job.uris import join


def read(folder: Folder, name: str, columns: list[str] | None = None) -> pa.Table | None:
    """
    The file, or None if there is none.

    Raises:
        OutputError: it is damaged.
    """
    stored = folder.read(name)
    try:
        return None if stored is None else pq.ParquetFile(pa.BufferReader(stored.content)).read(columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise OutputError(
            f"`{join(folder.uri, name)}` is damaged: {error}", "delete that run, then run `fruitsctl forget` again"
        ) from error


def rows_of(folder: Folder, name: str, uris: pa.Array) -> int:
    """How many rows of the file are of `uris`."""
    table = read(folder, name, ["uri"])
    return 0 if table is None else pc.sum(pc.is_in(table["uri"], value_set=uris), min_count=0).as_py()


def without(folder: Folder, name: str, uris: pa.Array) -> int:
    """Rewrite the file without the rows of `uris`, if it has any; how many rows that were."""
    table = read(folder, name)
    if table is None:
        return 0
    stays = pc.invert(pc.is_in(table["uri"], value_set=uris))
    rest = table.filter(stays)
    if len(rest) < len(table):
        sink = pa.BufferOutputStream()
        pq.write_table(rest, sink, compression="zstd")
        folder.write(name, sink.getvalue().to_pybytes())
        path, _, file = name.rpartition("/")
        folder.delete(f"{path}/.{file}.crc")  # Hadoop's checksum of the file as it was
    return len(table) - len(rest)


def text_of(array: pa.Array | pa.ChunkedArray) -> Iterator[bytes]:
    """The bytes of every string and binary value in `array`, however deep, end to end; for a search."""
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        kind = chunk.type
        if pa.types.is_dictionary(kind):
            yield from text_of(chunk.dictionary)
        elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            data = chunk.buffers()[2]
            yield data.to_pybytes() if data is not None else b""
        elif pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_list(kind):
            for child in _children(chunk):
                yield from text_of(child)


def heads_of(lists: pa.Array, longest: int) -> Iterator[tuple[np.typing.NDArray[np.intp], np.typing.NDArray[np.void]]]:
    """The first numbers, `longest` at most, of every list as float32 bytes: row numbers (n,) and heads (n,), for each length of list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        numbers = np.asarray(lists.take(pa.array(rows)).flatten(), np.float32).reshape(len(rows), int(length))
        heads = np.ascontiguousarray(numbers[:, :longest])
        yield rows, heads.view(f"V{heads.shape[1] * heads.itemsize}").ravel()


def _children(chunk: pa.Array) -> list[pa.Array]:
    if pa.types.is_map(chunk.type):
        return [chunk.keys, chunk.items]
    return list(chunk.flatten()) if pa.types.is_struct(chunk.type) else [chunk.flatten()]
