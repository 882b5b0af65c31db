"""Read the features of photos of a run from the table features/, without Spark and without reading all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from job.product.gallery import to_numpy
from job.storage import data_files
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, only

READ_ROWS = 50_000  # and no more files: 250 MB, however large the table
IN_FLIGHT = 4  # files
Features = tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]  # rows of the photos asked for (m,), and (m, d)


def read_features(folder: Folder, model: str, uris: Sequence[str], most: int) -> Features:
    """
    Return the features of `most` of the photos `uris`, or of fewer: of those in the files that were read until there were enough.

    A file is a fair sample: a task of the job embeds every n-th photo of a listing.

    Raises:
        OutputError, CredentialsError: the table cannot be read.
    """
    log = DeltaLog(folder, "features")
    places = {uri: row for row, uri in enumerate(uris)}
    found: dict[int, npt.NDArray[np.float32]] = {}
    read = 0
    files = [file for file in log.files() if file.may_hold(model=model)]
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for first in range(0, len(files), IN_FLIGHT):
            group = files[first : first + IN_FLIGHT]
            for part in pool.map(lambda file: list(_rows_of(log.uri, file, model, places, most)), group):
                found.update(part)
            read += sum(file.rows for file in group)
            if len(found) >= most or read >= READ_ROWS:
                break
    rows = sorted(found)[:most]
    return np.array(rows, np.intp), np.stack([found[row] for row in rows]) if rows else np.empty((0, 0), np.float32)


def _rows_of(uri: str, file: DataFile, model: str, places: dict[str, int], most: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield the place and the features (d,) of the photos in a file, of `most` at most: the first of `places`."""
    keys = data_files.read(uri, file.name, only(FEATURES, ["uri", "model"]))
    same = pc.equal(keys["model"], model).to_pylist()
    found = [(places[name], number) for number, name in enumerate(keys["uri"].to_pylist()) if same[number] and name in places]
    wanted = sorted((number, place) for place, number in sorted(found)[:most])
    numbers, read = np.array([number for number, _ in wanted], np.int64), 0
    for table in data_files.read_rows(uri, file.name, only(FEATURES, ["embedding"]), numbers):
        values = to_numpy(table["embedding"].combine_chunks().flatten(), np.float32).reshape(len(table), -1)
        yield from zip((place for _, place in wanted[read : read + len(table)]), values, strict=True)
        read += len(table)
