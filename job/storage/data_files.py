"""
Write and read the Parquet files of a Delta table, on disk and on S3, in Spark's tasks and on the driver.

No Parquet file of OUTPUT is read with Arrow's own threads: a process that ends right after that may abort with exit code 134
(https://github.com/apache/arrow/issues/34314).
"""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from job.contract.errors import OutputError
from job.contract.uris import bucket_and_key, is_s3, join, local_path, shown
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.folders import open_folder
from job.storage.object_store import Folder

ROWS_PER_GROUP = 4096  # 21 MB of embeddings
READS_IN_FLIGHT = 8


def write(uri: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema, **values: Any) -> DataFile | None:
    """
    Write `batches` as one file of the table at `uri`; None if there are no rows. It belongs to the table once it is committed.

    `values`: columns that are the same in every row, added to each batch; the log keeps them for readers.

    Raises:
        OutputError, CredentialsError: OUTPUT cannot be written.
    """
    name, rows = f"part-{uuid.uuid4()}.zstd.parquet", 0
    with tempfile.NamedTemporaryFile(prefix="fruitsctl-", suffix=".parquet") as file:
        # Floats of an embedding rarely repeat: a dictionary of them costs time.
        with pq.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=_repetitive_columns(schema), write_statistics=False
        ) as writer:
            for group in _groups(batches):
                columns = [
                    pa.repeat(pa.scalar(values[field.name], field.type), len(group)) if field.name in values else group[field.name]
                    for field in schema
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += len(group)
        if not rows:
            return None
        file.flush()
        open_folder(uri).upload(name, file.name)
        return DataFile(name, rows, Path(file.name).stat().st_size, values, values)


def read(uri: str, name: str, schema: pa.Schema) -> pa.Table:
    """
    Return the columns of `schema` of the file `name` of the table at `uri`, in its types.

    Raises:
        OutputError: the file cannot be read.
    """
    with _opened(uri, name) as file:
        return _cast(file.read(columns=schema.names, use_threads=False), schema)


def read_rows(uri: str, name: str, schema: pa.Schema, rows: npt.NDArray[np.int64]) -> Iterator[pa.Table]:
    """
    Yield the columns of `schema` of the rows number `rows`, sorted, of a file: a table for each of its row groups.

    Raises:
        OutputError: the file cannot be read.
    """
    with _opened(uri, name) as file:
        first = 0
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)] - first
            if len(here):
                table = file.read_row_group(group, columns=schema.names, use_threads=False)
                yield _cast(table if len(here) == len(table) else table.take(here), schema)
            first = end


def read_table(folder: Folder, table: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """
    Yield the columns of `schema` of each file of `table`, a sub-folder of `folder`; nothing if there is no table. Without Spark.

    Raises:
        OutputError, CredentialsError: OUTPUT cannot be read.
    """
    log = DeltaLog(folder, table)
    with ThreadPoolExecutor(READS_IN_FLIGHT) as pool:
        yield from pool.map(lambda file: read(log.uri, file.name, schema), log.files())


@contextmanager
def _opened(uri: str, name: str) -> Iterator[pq.ParquetFile]:
    address = join(uri, name)
    try:
        with S3File(address) if is_s3(address) else open(local_path(address), "rb") as file:
            yield pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"cannot read `{shown(address)}`: {error}", "run the same command again") from error


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast to `schema`: Spark writes times as INT96, and some writers use string views."""
    return table.select(schema.names).cast(schema)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield `batches` as tables of about ROWS_PER_GROUP rows, which become row groups; readers on S3 pay for each."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROWS_PER_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _repetitive_columns(schema: pa.Schema) -> list[str]:
    return [name for name in ("label", "model", "run_id", "stage", "reason") if name in schema.names]


class S3File(io.RawIOBase):
    """An object of S3, read by ranges. What obstore itself opens lacks `closed`, which pyarrow asks for."""

    def __init__(self, uri: str) -> None:
        import obstore
        from obstore.exceptions import GenericError

        from job.storage.s3_client import S3_ERRORS, bucket_store, translate_error

        bucket, key = bucket_and_key(uri)
        try:
            self._file = obstore.open_reader(bucket_store(bucket), key)
        except (GenericError, *S3_ERRORS) as error:
            raise translate_error(error, uri, OutputError) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
