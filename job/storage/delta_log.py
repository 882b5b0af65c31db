"""
Read and change a Delta table of OUTPUT without the JVM: list its files, commit changes, vacuum.

`deltalake` works on a copy of the table's log in a temporary folder. What it writes there is brought to OUTPUT by compare-and-swap,
so a table is read and written like everything else in OUTPUT: same credentials, retries and errors, and any address will do. (Given the
address itself, deltalake 1.6 cannot open a table with `%` in its path, and on S3 writes to another one at `#` and `?`.)

Only the owner of the lease commits. Every commit carries a version higher than those before it as Delta's transaction of the
application `fruitsctl`; who lost the lease finds a higher one and is refused, even in the middle of a commit.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from job.contract.errors import LeaseError, OutputError
from job.contract.uris import join, shown
from job.storage.lease import Lease
from job.storage.object_store import Conflict, Folder

APPLICATION = "fruitsctl"  # Delta's txnAppId
COMMITS_PER_GENERATION = 1 << 20
COMMITS_PER_CHECKPOINT = 10
RETENTION_HOURS = 7 * 24  # for files and commits that no longer belong to the table, since readers may still use them
TRIES = 5  # of one commit, while others commit
# Columns by whose values a reader may skip files. Other writers log addresses and labels too: these are not taken over from them.
BOUNDED = ("model", "run_id", "embedded_at", "rejected_at")
IN_FLIGHT = 16  # requests for files of a log, which are small

PROPERTIES = {"delta.enableDeletionVectors": "false", "delta.logRetentionDuration": "interval 7 days"}
# Of the log's folder: commits, checkpoints, and which checkpoint is the newest. Spark keeps a folder `_commits` there too.
LOG_FILE = re.compile(r"(\d{20})\..*|_last_checkpoint")


class DataFile(NamedTuple):
    """A Parquet file of a table."""

    name: str
    rows: int
    size: int  # bytes
    least: Mapping[str, Any] = {}  # column -> its smallest value, of the columns that a reader may skip files by
    most: Mapping[str, Any] = {}

    def may_hold(self, **values: Any) -> bool:
        """Return whether a row with these values can be in it: true where the log does not tell."""
        return all(self.least.get(name) is None or self.least[name] <= value <= self._highest(name) for name, value in values.items())

    def _highest(self, name: str) -> Any:
        """
        Return the largest value of a column: the log cuts times to milliseconds.

        https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics
        """
        value = self.most[name]
        return value + timedelta(milliseconds=1) if isinstance(value, datetime) else value


class DeltaLog:
    """The log of one table; `lease` where it is to be changed."""

    def __init__(self, folder: Folder, table: str, lease: Lease | None = None) -> None:
        self.table, self.uri = table, join(folder.uri, table)
        self._folder, self._lease, self._log = folder, lease, f"{table}/_delta_log"
        self._copied = tempfile.TemporaryDirectory(prefix="fruitsctl-")
        self._copy = Path(self._copied.name)
        (self._copy / "_delta_log").mkdir()
        self._commits = 0

    def exists(self) -> bool:
        """Return whether the table exists."""
        return any(LOG_FILE.fullmatch(name) for name in self._folder.names(self._log))

    def create(self, schema: pa.Schema) -> None:
        """
        Make the table where it is missing; shut out a previous owner of the lease that may still be writing.

        Raises:
            LeaseError: another run took over.
            OutputError, CredentialsError: OUTPUT cannot be read or written.
        """
        from deltalake import DeltaTable

        if not self.exists():
            DeltaTable.create(str(self._copy), schema=schema, configuration=PROPERTIES)
            self._owner().check()
            with suppress(Conflict):  # created by another process
                self._publish(0)
        if self._owner().taken_over:
            self.commit([])  # what its open transactions conflict with

    def files(self) -> list[DataFile]:
        """
        Return the files of the newest version, sorted by name; none if there is no table.

        Raises:
            OutputError, CredentialsError: OUTPUT cannot be read, or the log is damaged.
        """
        table = self._newest()
        if table is None:
            return []
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        files = []
        for row in actions:
            least, most = ({name: row[which + name] for name in BOUNDED if which + name in row} for which in ("min.", "max."))
            files.append(DataFile(unquote(row["path"]), row["num_records"] or 0, row["size_bytes"], least, most))
        return sorted(files)

    def commit(self, added: Sequence[DataFile], removed: Iterable[DataFile] = (), *, moved: bool = False) -> None:
        """
        Add and remove files in one commit: all of it or nothing. `moved`: the rows stay the same.

        Raises:
            LeaseError: another run took over.
            OutputError, CredentialsError: OUTPUT cannot be read or written.
        """
        from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties, RemoveAction, Transaction

        self._commits += 1
        mine = self._owner().generation * COMMITS_PER_GENERATION + self._commits
        now = int(time.time() * 1000)
        actions = [
            *(AddAction(file.name, file.size, {}, now, not moved, _statistics(file)) for file in added),
            *(RemoveAction(file.name, not moved, now, file.size, {}) for file in removed),
        ]
        tried = False
        for _ in range(TRIES):
            self._owner().check()
            table = self._newest()
            if table is None:
                raise OutputError(f"the log of the Delta table `{shown(self.uri)}` disappeared", "run the same command again")
            newest = table.transaction_version(APPLICATION)
            if tried and newest == mine:
                return  # the response was lost, not the commit
            if newest is not None and newest >= mine:
                raise LeaseError(
                    f"another run has written to `{shown(self.uri)}`", "run the same command again: it resumes from the last commit"
                )
            version = table.version() + 1
            table.create_write_transaction(
                actions,
                mode="append",
                schema=table.schema(),
                partition_by=[],
                commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, mine)], max_commit_retries=0),
                post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
            )
            tried = True
            try:
                self._publish(version)
            except Conflict:
                continue
            if version % COMMITS_PER_CHECKPOINT == 0:
                self.checkpoint()
            return
        raise OutputError(f"the Delta table `{shown(self.uri)}` keeps changing", "stop other programs that write to it")

    def checkpoint(self) -> int:
        """Write the newest version as one file, so that readers need no commit before it; its number."""
        table = self._newest()
        assert table is not None
        table.create_checkpoint()
        log = self._copy / "_delta_log"
        for path in sorted(log.glob(f"{table.version():020}.checkpoint*.parquet")):
            self._folder.write(f"{self._log}/{path.name}", path.read_bytes())
        self._folder.write(f"{self._log}/_last_checkpoint", (log / "_last_checkpoint").read_bytes())
        return int(table.version())

    def vacuum(self, hours: int = RETENTION_HOURS) -> None:
        """
        Delete files of the table's folder that have not belonged to it for `hours`, and as old commits that a checkpoint stands for.

        Safe under the lease only: a file that another run has written and not committed yet belongs to no version.

        Raises:
            LeaseError: another run took over.
            OutputError, CredentialsError: OUTPUT cannot be read or written.
        """
        self._owner().check()
        table = self._newest(whole=True)
        if table is None:
            return
        there = {file.name: file.modified for file in self._folder.files(self.table)}
        for name, modified in there.items():  # deltalake decides by names and times alone
            path = self._copy / name
            path.touch()
            os.utime(path, (modified, modified) if hours else (0, 0))
        idle = table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        self._owner().check()
        for name in {unquote(name) for name in idle} & set(there):
            self._folder.delete(f"{self.table}/{name}")
            self._folder.delete(f"{self.table}/.{name}.crc")  # Hadoop's checksum

    def forget_history(self, hours: int = 0) -> None:
        """
        Write a checkpoint of the newest version, and delete commits before it that are older than `hours`.

        Time travel to before ends with it. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#metadata-cleanup
        """
        self._owner().check()
        newest, oldest = self.checkpoint(), time.time() - hours * 3600
        for file in self._folder.files(self._log):
            found = LOG_FILE.fullmatch(file.name)
            if found and found[1] and int(found[1]) < newest and file.modified <= oldest:
                self._folder.delete(f"{self._log}/{file.name}")
                self._folder.delete(f"{self._log}/.{file.name}.crc")

    def _owner(self) -> Lease:
        if self._lease is None:
            raise LeaseError(f"`{shown(self.uri)}` was opened to be read")
        return self._lease

    def _publish(self, version: int) -> None:
        """Copy a commit to OUTPUT if there is none of that number. Raises Conflict."""
        name = f"{version:020}.json"
        path = self._copy / "_delta_log" / name
        try:
            self._folder.compare_and_swap(f"{self._log}/{name}", path.read_bytes(), None)
        except BaseException:
            path.unlink()  # read again to see whether it arrived
            raise

    def _newest(self, whole: bool = False) -> Any:
        """Return the newest version of the table; None if there is no table. `whole`: with commits that a checkpoint replaces."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        there = [name for name in self._folder.names(self._log) if LOG_FILE.fullmatch(name)]
        if not there:
            return None
        log = self._copy / "_delta_log"
        first = 0 if whole else self._last_checkpoint(there)
        wanted = {name for name in there if name != "_last_checkpoint" and int(name[:20]) >= first}
        for path in log.iterdir():
            if path.name not in wanted and path.name != "_last_checkpoint":
                path.unlink()
        missing = sorted(name for name in wanted if not (log / name).exists())
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            for name, stored in zip(missing, pool.map(lambda name: self._folder.read(f"{self._log}/{name}"), missing), strict=True):
                if stored is not None:
                    (log / name).write_bytes(stored.content)
        try:
            return DeltaTable(str(self._copy))
        except DeltaError as error:
            name = _damaged(log)
            message = f"`{name}` in the log of the Delta table `{shown(self.uri)}` is damaged: {str(error).splitlines()[0]}"
            hint = f"restore `{name}`, or delete it and run the same command again: it embeds the photos of that commit again"
            raise OutputError(message, hint) from error

    def _last_checkpoint(self, there: Sequence[str]) -> int:
        """Copy the pointer to the newest checkpoint, if that is there; its version, else 0."""
        copied = self._copy / "_delta_log" / "_last_checkpoint"
        copied.unlink(missing_ok=True)
        pointer = self._folder.read(f"{self._log}/_last_checkpoint") if "_last_checkpoint" in there else None
        version = int(json.loads(pointer.content)["version"]) if pointer else 0
        if pointer is None or not any(name.startswith(f"{version:020}.checkpoint") for name in there):
            return 0
        copied.write_bytes(pointer.content)
        return version


def _damaged(log: Path) -> str:
    """Return the first commit that is not valid JSON, else the newest checkpoint."""
    for path in sorted(log.glob("*.json")):
        try:
            for line in path.read_bytes().splitlines():
                json.loads(line)
        except ValueError:
            return path.name
    return max((path.name for path in log.glob("*.checkpoint*")), default="_last_checkpoint")


def _statistics(file: DataFile) -> str:
    least, most = ({name: _as_text(value) for name, value in values.items()} for values in (file.least, file.most))
    return json.dumps({"numRecords": file.rows, "minValues": least, "maxValues": most})


def _as_text(value: Any) -> Any:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if isinstance(value, datetime) else value
