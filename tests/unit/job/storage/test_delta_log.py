"""A table's log without Spark: who may commit, what a reader sees, what goes when. Real Delta logs, on local disk."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from job.contract.errors import LeaseError, OutputError
from job.storage import data_files
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.local_store import LocalFolder
from job.storage.object_store import Conflict
from job.storage.schema import EMBEDDED, FEATURES


def asleep(generation: int, taken_over: bool = False) -> Any:
    """A lease that never looks whether it is still held: what a suspended process believes."""
    return SimpleNamespace(generation=generation, check=lambda: None, taken_over=taken_over)


def table(root: Path, generation: int = 1, folder: Any = None) -> DeltaLog:
    log = DeltaLog(folder or open_folder(f"file://{root}"), "features", asleep(generation))
    log.create(FEATURES)
    return log


def written(log: DeltaLog, *names: str, model: str = "m") -> DataFile:
    rows = [{"uri": name, "etag": f"etag of {name}", "label": "L", "width": 1, "height": 1, "embedding": [1.0, 2.0]} for name in names]
    values = {"model": model, "run_id": "r1", "embedded_at": datetime.now(UTC)}
    file = data_files.write(log.uri, [pa.RecordBatch.from_pylist(rows, EMBEDDED)], FEATURES, **values)
    assert file is not None
    return file


def uris(log: DeltaLog) -> list[str]:
    return sorted(uri for file in log.files() for uri in data_files.read(log.uri, file.name, FEATURES)["uri"].to_pylist())


@pytest.mark.parametrize("name", ["out", "o é+%20#1?a [b]{c}*"])
def test_a_table_at_any_address_is_written_and_read_again(tmp_path: Path, name: str):
    log = table(tmp_path / name)
    log.commit([written(log, "a", "b")])
    log.commit([written(log, "c")], log.files())

    assert uris(table(tmp_path / name)) == ["c"]
    assert [file.rows for file in log.files()] == [1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_readers_need_nothing_new(tmp_path: Path):
    log = table(tmp_path)
    log.commit([written(log, "a")])
    seen = DeltaTable(str(tmp_path / "features"))

    assert (seen.protocol().min_reader_version, seen.protocol().min_writer_version) == (1, 2)
    assert [str(uri).rpartition("/")[2] for uri in seen.file_uris()] == [log.files()[0].name]


def test_who_lost_the_lease_cannot_commit_even_from_a_fresh_snapshot(tmp_path: Path):
    sleeper, successor = table(tmp_path, generation=1), table(tmp_path, generation=2)
    successor.commit([written(successor, "new")])

    with pytest.raises(LeaseError, match="another run has written to"):
        sleeper.commit([written(sleeper, "late")])
    with pytest.raises(LeaseError, match="another run has written to"):
        sleeper.commit([], successor.files())
    assert uris(successor) == ["new"]


def test_who_takes_over_shuts_the_former_owner_out_before_its_own_first_commit(tmp_path: Path):
    sleeper = table(tmp_path, generation=1)
    DeltaLog(open_folder(f"file://{tmp_path}"), "features", asleep(2, taken_over=True)).create(FEATURES)

    with pytest.raises(LeaseError):
        sleeper.commit([written(sleeper, "late")])


def test_a_commit_under_a_lost_lease_is_refused_before_it_starts(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "r1") as lease:
        log = DeltaLog(folder, "features", lease)
        log.create(FEATURES)
        lease.release()
        Lease.acquire(folder, "r2")

        with pytest.raises(LeaseError):
            log.commit([written(log, "late")])
    assert len(list((tmp_path / "features" / "_delta_log").glob("*.json"))) == 1


class Meddled(LocalFolder):
    """Meets `trouble` at the next swap of a file of a log."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.trouble: Any = None

    def compare_and_swap(self, name: str, content: bytes, version: str | None) -> str:
        trouble, self.trouble = self.trouble, None
        if trouble:
            return str(trouble(super().compare_and_swap, name, content, version))
        return super().compare_and_swap(name, content, version)


def test_a_commit_whose_answer_got_lost_is_found_and_not_made_twice(tmp_path: Path):
    folder = Meddled(f"file://{tmp_path}")
    log = table(tmp_path, folder=folder)

    def lose_the_answer(swap: Any, *arguments: Any) -> None:
        swap(*arguments)
        raise Conflict(arguments[0])  # what a client that asks again is told

    folder.trouble = lose_the_answer
    log.commit([written(log, "a")])
    log.commit([written(log, "b")])

    assert uris(log) == ["a", "b"]
    assert len(list((tmp_path / "features" / "_delta_log").glob("*.json"))) == 3


def test_a_commit_that_meets_another_program_s_comes_after_it(tmp_path: Path):
    folder = Meddled(f"file://{tmp_path}")
    log = table(tmp_path, folder=folder)

    def somebody_else_first(swap: Any, *arguments: Any) -> Any:
        from deltalake import CommitProperties, write_deltalake

        said = CommitProperties(custom_metadata={"userMetadata": "somebody"})
        write_deltalake(str(tmp_path / "features"), FEATURES.empty_table(), mode="append", commit_properties=said)
        return swap(*arguments)

    folder.trouble = somebody_else_first
    log.commit([written(log, "a")])

    assert uris(log) == ["a"]
    assert DeltaTable(str(tmp_path / "features")).version() == 2


def test_of_two_that_commit_at_once_under_one_number_only_one_does(tmp_path: Path):
    logs = [table(tmp_path, generation=1) for _ in range(2)]
    files = [written(log, name) for log, name in zip(logs, "ab", strict=True)]
    start, ends = threading.Barrier(2), []

    def commit(log: DeltaLog, file: DataFile) -> None:
        start.wait()
        try:
            log.commit([file])
            ends.append("committed")
        except LeaseError:
            ends.append("refused")

    threads = [threading.Thread(target=commit, args=pair) for pair in zip(logs, files, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Both use one transaction version: the loser takes the commit for its own. Both may report success; one is in the table.
    assert "committed" in ends
    assert len(uris(logs[0])) == 1


def test_the_log_tells_no_address_and_no_version_of_a_photo(tmp_path: Path):
    log = table(tmp_path)
    for number in range(11):  # beyond a checkpoint
        log.commit([written(log, f"file:///planted-{number}")], log.files())

    content = b"".join(path.read_bytes() for path in (tmp_path / "features" / "_delta_log").rglob("*") if path.is_file())
    assert b"planted" not in content
    assert b"etag of" not in content


def test_only_files_that_may_hold_a_row_are_read_for_it(tmp_path: Path):
    log = table(tmp_path)
    log.commit([written(log, "a", model="m1")])
    log.commit([written(log, "b", model="m2")])
    first, second = sorted(log.files(), key=lambda file: str(file.least["model"]))

    assert first.may_hold(model="m1")
    assert not first.may_hold(model="m2")
    (row,) = data_files.read(log.uri, second.name, FEATURES).to_pylist()
    assert second.may_hold(embedded_at=row["embedded_at"])
    assert not first.may_hold(embedded_at=row["embedded_at"])


def test_files_go_when_no_version_of_the_last_week_needs_them(tmp_path: Path):
    log = table(tmp_path)
    log.commit([written(log, "a")])
    replaced = log.files()
    log.commit([written(log, "b")], replaced)
    forgotten = tmp_path / "features" / "part-of-a-killed-run.parquet"
    forgotten.write_bytes(b"never committed")
    for path in (tmp_path / "features").glob("*.parquet"):
        os.utime(path, (1, 1))

    log.vacuum()

    left = {path.name for path in (tmp_path / "features").glob("*.parquet")}
    assert left == {log.files()[0].name, replaced[0].name}  # who began to read before the commit still can

    log.vacuum(hours=0)

    assert {path.name for path in (tmp_path / "features").glob("*.parquet")} == {log.files()[0].name}
    assert uris(log) == ["b"]


def test_who_falls_asleep_while_deleting_deletes_nothing_that_others_wrote_meanwhile(tmp_path: Path):
    class Sleepy(LocalFolder):
        def delete(self, name: str) -> None:
            if name.endswith(".parquet") and not ends:  # between its search and its first delete another run takes over
                successor = table(tmp_path, generation=2)
                ends.append(written(successor, "uncommitted"))
                successor.commit([written(successor, "new")])
            super().delete(name)

    ends: list[DataFile] = []
    sleeper = table(tmp_path, folder=Sleepy(f"file://{tmp_path}"))
    sleeper.commit([written(sleeper, "old")])
    sleeper.commit([written(sleeper, "kept")], sleeper.files())
    sleeper.vacuum(hours=0)

    successor = table(tmp_path, generation=3)
    successor.commit([])
    successor.commit(ends)
    assert uris(successor) == ["kept", "new", "uncommitted"]


def test_a_history_that_is_forgotten_leaves_the_table_and_its_transactions(tmp_path: Path):
    log = table(tmp_path, generation=3)
    for name in "abc":
        log.commit([written(log, name)])

    log.forget_history()

    assert len(list((tmp_path / "features" / "_delta_log").glob("*.json"))) == 1
    assert uris(log) == ["a", "b", "c"]
    with pytest.raises(LeaseError):
        table(tmp_path, generation=2).commit([])


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"\0" * len(content)], ids=["truncated", "zeros"])
def test_a_damaged_log_is_said(tmp_path: Path, damage: Any):
    log = table(tmp_path)
    log.commit([written(log, "a")])
    last = max((tmp_path / "features" / "_delta_log").glob("*.json"))
    last.write_bytes(damage(last.read_bytes()))

    with pytest.raises(OutputError, match=f"`{last.name}` in the log of the Delta table .* is damaged: [^\n]*$") as error:
        table(tmp_path).files()
    assert "delete it and run the same command again" in error.value.hint
    last.unlink()
    assert table(tmp_path).files() == []


def test_a_damaged_checkpoint_is_said_and_costs_nothing_once_it_is_gone(tmp_path: Path):
    log = table(tmp_path)
    for number in range(10):
        log.commit([written(log, str(number))])
    (checkpoint,) = (tmp_path / "features" / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])

    with pytest.raises(OutputError, match=f"`{checkpoint.name}` in the log"):
        table(tmp_path).files()
    checkpoint.unlink()

    assert len(table(tmp_path).files()) == 10


def test_small_batches_become_one_row_group(tmp_path: Path):
    rows = [{"uri": f"{number}", "embedding": [1.0]} for number in range(500)]
    batches = [pa.RecordBatch.from_pylist(rows[first : first + 64], EMBEDDED) for first in range(0, 500, 64)]
    values = {"model": "m", "run_id": "r", "embedded_at": datetime.now(UTC)}
    file = data_files.write(f"file://{tmp_path}", batches, FEATURES, **values)

    assert file is not None
    assert (file.rows, pq.ParquetFile(tmp_path / file.name).num_row_groups) == (500, 1)


def test_no_table_has_no_files(tmp_path: Path):
    log = DeltaLog(open_folder(f"file://{tmp_path}"), "features")

    assert not log.exists()
    assert log.files() == []
    with pytest.raises(LeaseError, match="opened to be read"):
        log.create(FEATURES)


def test_a_column_whose_strings_are_views_is_read_as_text(tmp_path: Path):
    """As some writers of Delta leave it; pyarrow's `is_in` takes no views."""
    rows = {field.name: pa.array([None], field.type) for field in FEATURES} | {"uri": pa.array(["a"], pa.string_view())}
    (tmp_path / "features").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "features" / "x.parquet")

    assert data_files.read(f"file://{tmp_path}/features", "x.parquet", FEATURES).schema == FEATURES


def test_a_file_that_spark_has_written_is_read(tmp_path: Path):
    """Its times are INT96: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#timestamp"""
    made = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    rows = pa.Table.from_pylist([{"uri": "a", "etag": "1", "model": "m", "embedding": [1.0], "embedded_at": made}], FEATURES)
    log = table(tmp_path)
    pq.write_table(rows, tmp_path / "features" / "part-00000-c000.zstd.parquet", use_deprecated_int96_timestamps=True)
    log.commit([DataFile("part-00000-c000.zstd.parquet", 1, 1000)])

    assert data_files.read(log.uri, log.files()[0].name, FEATURES).equals(rows)
    assert log.files()[0].may_hold(model="anything")  # nothing is known of it


def test_the_transaction_s_number_grows_with_commits_and_generations(tmp_path: Path):
    log = table(tmp_path, generation=5)
    log.commit([])
    log.commit([])
    entries = [json.loads(line) for path in (tmp_path / "features" / "_delta_log").glob("*.json") for line in path.read_text().splitlines()]

    assert sorted(entry["txn"]["version"] for entry in entries if "txn" in entry) == [(5 << 20) + 1, (5 << 20) + 2]
