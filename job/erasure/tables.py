"""Remove images from the Delta tables of OUTPUT: drop rows, delete old files, clean the log. Uses Spark."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.contract.uris import local_path, printable
from job.erasure.parquet import column_of
from job.stages.tables import rewriting
from job.storage.data_files import read_table
from job.storage.delta_log import DeltaLog
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, REJECTS, only

TABLES = {"features": FEATURES, "rejects": REJECTS}


def erase(spark: SparkSession, folder: Folder, uris: set[str], lease: Lease) -> None:
    """
    Drop every row of `uris`, whatever its model, and then every file that no longer belongs to the table.

    Deleting files at once is safe under the lease: there is no other writer, and a reader of an older version must open the table again.

    Raises:
        LeaseError: another run took over.
        OutputError, CredentialsError: OUTPUT cannot be read or written.
    """
    gone = pa.table({"uri": column_of(uris)})
    for name, schema in TABLES.items():
        log = DeltaLog(folder, name, lease)
        if not log.exists():
            continue
        # Open commits of earlier owners conflict with this: they must not add files that `vacuum` deletes. And the newest commit, which
        # `forget_history` keeps, is then this one, which has no address.
        log.commit([])
        replaced = rewriting.drop_rows(spark, log.uri, log.files(), schema, gone)
        if replaced:
            log.commit([one.new for one in replaced if one.new], [one.old for one in replaced])
        log.vacuum(hours=0)


class Addresses:
    """All addresses in the tables, sorted: read when the first one is asked for, and once for all."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def beginning_with(self, uri: str) -> list[str]:
        """
        Return the addresses that begin with `uri`.

        Raises:
            OutputError, CredentialsError: OUTPUT cannot be read.
        """
        place, found = bisect_left(self._sorted, uri, key=pa.StringScalar.as_py), []
        while place < len(self._sorted) and (other := self._sorted[place].as_py()).startswith(uri):
            found.append(other)
            place += 1
        return found

    def containing(self, uri: str) -> list[str]:
        """Return the addresses that contain the path of `uri`, or `uri` itself on S3. Raises the errors of `beginning_with`."""
        found: list[str] = self._sorted.filter(pc.match_substring(self._sorted, printable(local_path(uri)))).to_pylist()
        return found

    @cached_property
    def _sorted(self) -> pa.Array:
        rows = (rows["uri"] for name, schema in TABLES.items() for rows in read_table(self._folder, name, only(schema, ["uri"])))
        return pa.chunked_array([chunk for column in rows for chunk in column.chunks], pa.string()).unique().sort()


def forget_history(folder: Folder, name: str, lease: Lease) -> None:
    """Remove the commits of a table that are older than now, which may say anything. Raises LeaseError."""
    DeltaLog(folder, name, lease).forget_history()
