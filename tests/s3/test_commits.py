"""Commits of a Delta table on a real S3 server whose answers get lost or refused, and by drivers that slept through their lease."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from job.contract.errors import LeaseError
from job.storage import data_files
from job.storage.delta_log import DataFile, DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import EMBEDDED, FEATURES
from tests.s3.proxy import Faults, Proxy


def written(log: DeltaLog, name: str) -> DataFile:
    rows = [{"uri": name, "etag": "1", "label": "L", "width": 1, "height": 1, "embedding": [1.0, 2.0]}]
    file = data_files.write(
        log.uri, [pa.RecordBatch.from_pylist(rows, EMBEDDED)], FEATURES, model="m", run_id="r", embedded_at=datetime.now(UTC)
    )
    assert file is not None
    return file


def uris(log: DeltaLog) -> list[str]:
    return sorted(uri for file in log.files() for uri in data_files.read(log.uri, file.name, FEATURES)["uri"].to_pylist())


@pytest.mark.parametrize("kind", ["lose_answer", "conflict"])
def test_a_commit_that_s3_does_not_answer_well_is_made_once(bucket: str, proxy: Proxy, kind: str):
    folder = open_folder(f"s3://{bucket}/out")
    with Lease.acquire(folder, "r1") as lease:
        log = DeltaLog(folder, "features", lease)
        log.create(FEATURES)
        proxy.faults = Faults(put=kind, put_suffix=".json")
        log.commit([written(log, "a")])
        log.commit([written(log, "b")], [])
        log.commit([], [file for file in log.files() if file.least["model"] == "m"][:1])

    assert proxy.done[kind] >= 3
    assert len(uris(log)) == 1
    commits = [file.name for file in folder.files("features/_delta_log") if file.name.endswith(".json")]
    assert len(commits) == 4


def test_a_driver_that_slept_can_neither_add_nor_remove_nor_delete_a_file(bucket: str):
    """As a suspended process: its lease ran out, another run took over, it wakes up in the middle of a change."""
    folder = open_folder(f"s3://{bucket}/out")
    asleep = Lease.acquire(folder, "r1", seconds=3600)
    sleeper = DeltaLog(folder, "features", asleep)
    sleeper.create(FEATURES)
    sleeper.commit([written(sleeper, "a")])
    before = sleeper.files()
    with Lease.acquire(folder, "r1") as lease:  # the next attempt of the same run need not wait for the lease to expire
        successor = DeltaLog(folder, "features", lease)
        successor.create(FEATURES)
        successor.commit([written(successor, "b")])
        unfinished = written(successor, "of a chunk that is not committed yet")

        for change in (
            lambda: sleeper.commit([written(sleeper, "late")]),
            lambda: sleeper.commit([], before),
            lambda: sleeper.commit([written(sleeper, "merged")], before, moved=True),
            lambda: sleeper.vacuum(hours=0),
            sleeper.forget_history,
        ):
            with pytest.raises(LeaseError):
                change()
        successor.commit([unfinished])

    assert uris(successor) == ["a", "b", "of a chunk that is not committed yet"]
