"""The newest version of a Delta table of OUTPUT as its Parquet files, without Spark."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import OutputError
from job.objects import Folder
from job.uris import bucket_and_key, is_s3, join, local_path

# Of the log's folder: commits, checkpoints, and which checkpoint is the newest. Spark keeps a folder `_commits` there too.
LOG_FILE = re.compile(r"\d{20}\..*|_last_checkpoint")
READS_IN_FLIGHT = 16  # of the log's files, which are small


def file_names(folder: Folder, table: str) -> list[str]:
    """
    Return the names of the Parquet files of `table`, a sub-folder of `folder`, sorted; none if there is no table.

    `deltalake` reads a copy of the log: on S3 it cannot open a table with `%` or `#` in its address.
    """
    from deltalake import DeltaTable

    log = f"{table}/_delta_log"
    names = [name for name in folder.names(log) if LOG_FILE.fullmatch(name)]
    if not names:
        return []
    with tempfile.TemporaryDirectory(prefix="fruitsctl-") as copy, ThreadPoolExecutor(READS_IN_FLIGHT) as pool:
        Path(copy, "_delta_log").mkdir()
        for name, stored in zip(names, pool.map(lambda name: folder.read(f"{log}/{name}"), names), strict=True):
            if stored is not None:
                Path(copy, "_delta_log", name).write_bytes(stored.content)
        # Only the list of files: to_pyarrow_table and to_pyarrow_dataset of deltalake 1.6 can abort the process when it ends.
        return sorted(uri.rpartition("/")[2] for uri in DeltaTable(copy).file_uris())


def columns_of(folder: Folder, table: str, columns: list[str]) -> Iterator[pa.Table]:
    """
    Yield `columns` of each Parquet file of `table`; of S3 only their bytes are read.

    Raises:
        OutputError: a file cannot be read.
    """
    for name in file_names(folder, table):
        uri = join(folder.uri, table, name)
        try:
            with S3File(uri) if is_s3(uri) else open(local_path(uri), "rb") as file:
                yield pq.read_table(file, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"cannot read `{uri}`: {error}", "run the same command again") from error


class S3File(io.RawIOBase):
    """An object of S3, read by ranges. What obstore itself opens lacks `closed`, which pyarrow asks for."""

    def __init__(self, uri: str) -> None:
        import obstore

        from job.fetch import bucket_store

        bucket, key = bucket_and_key(uri)
        self._file = obstore.open_reader(bucket_store(bucket), key)

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
