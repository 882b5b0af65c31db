"""The Delta tables: what is missing, what is current, who may commit. Real Delta, on local disk."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from job.contract.errors import LeaseError
from job.inputs.rows import ArrowRows, SparkRows, driver_rows, to_spark
from job.stages.embed import Reject
from job.stages.tables import compaction
from job.stages.tables.store import FeatureStore
from job.storage import data_files
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import EMBEDDED, FEATURES, LISTED


@pytest.fixture
def output(tmp_path):
    return f"file://{tmp_path}/out put#1"


@pytest.fixture
def lease(output):
    with Lease.acquire(open_folder(output), "r1", 60.0) as held:
        yield held


@pytest.fixture
def store(spark, output, lease):
    opened = FeatureStore(spark, open_folder(output), "model-a", "r1", lease)
    opened.open()
    return opened


@pytest.fixture(params=["driver", "spark"], autouse=True)
def engine(request, monkeypatch):
    """Every test with rows on the driver, and with rows in Spark."""
    monkeypatch.setenv("FRUITS_DRIVER_ROWS", "1000" if request.param == "driver" else "0")
    return request.param


def listing(spark, *images):
    rows = [dict(zip(LISTED.names, (f"file:///in/{name}", etag, 1, "L"), strict=True)) for name, etag in images]
    table = pa.Table.from_pylist(rows, LISTED)
    return ArrowRows(table) if driver_rows() else SparkRows(to_spark(spark, table), LISTED)


def pairs(rows):
    return sorted((row["uri"].removeprefix("file:///in/"), row["etag"]) for row in rows.to_arrow().to_pylist())


def append(store, *images):
    """One chunk of one file."""
    names = ("uri", "etag", "label", "width", "height", "embedding")
    rows = [dict(zip(names, (f"file:///in/{name}", etag, "L", 1, 1, [1, 2]), strict=True)) for name, etag in images]
    target = store.target()
    store.append([data_files.write(target.uri, [pa.RecordBatch.from_pylist(rows, EMBEDDED)], FEATURES, **target.values)])


def names(rows):
    return sorted(uri.removeprefix("file:///in/") for uri in rows.to_arrow()["uri"].to_pylist())


def test_only_what_is_new_or_changed_is_missing(spark, store, tmp_path):
    append(store, ("a", "1"), ("b", "1"))

    missing = store.missing_from(listing(spark, ("a", "1"), ("b", "2"), ("c", "1")), f"file://{tmp_path}/m", False)

    assert names(missing.part(0, 2)) == ["b", "c"]
    assert missing.count == 2


def test_rows_are_numbered_over_all_parts(spark, store, tmp_path):
    images = [(f"{i:03}", "1") for i in range(100)]

    missing = store.missing_from(listing(spark, *images), f"file://{tmp_path}/m", False)

    cut = [names(missing.part(first, 30)) for first in (0, 30, 60, 90)]
    assert [len(part) for part in cut] == [30, 30, 30, 10]
    assert sorted(name for part in cut for name in part) == [name for name, _ in images]


def test_features_of_another_model_do_not_count(spark, store, output, lease, tmp_path):
    append(store, ("a", "1"))
    other = FeatureStore(spark, open_folder(output), "model-b", "r1", lease)

    assert other.missing_from(listing(spark, ("a", "1")), f"file://{tmp_path}/m", False).count == 1


def test_what_did_not_decode_is_not_tried_again_unless_asked(spark, store, tmp_path):
    store.append_rejects({Reject("file:///in/a", "1", "L", "decode", "truncated"), Reject("file:///in/b", "1", "L", "fetch", "no answer")})
    images = listing(spark, ("a", "1"), ("b", "1"))

    assert names(store.missing_from(images, f"file://{tmp_path}/m", False).part(0, 9)) == ["b"]
    assert names(store.missing_from(images, f"file://{tmp_path}/n", True).part(0, 9)) == ["a", "b"]
    assert store.reject_reasons(images) == {"truncated": 1, "no answer": 1}


def test_a_changed_image_counts_once_and_its_old_row_goes(spark, store, output):
    append(store, ("a", "1"), ("b", "1"))
    append(store, ("a", "2"))
    current = store.current(listing(spark, ("a", "2"), ("b", "1")), "file:///in", f"{output}/work")

    assert pairs(current.features.keys) == [("a", "2"), ("b", "1")]
    assert current.superseded_count == 1

    store.delete_superseded(current)

    assert pairs(store.features().keys) == [("a", "2"), ("b", "1")]


def test_a_vanished_image_stays_in_features_but_not_in_the_result(spark, store, output):
    append(store, ("a", "1"), ("b", "1"))
    current = store.current(listing(spark, ("b", "1")), "file:///in", f"{output}/work")

    assert names(current.features.keys) == ["b"]
    assert current.removed == 1
    store.delete_superseded(current)
    assert names(store.features().keys) == ["a", "b"]


def test_a_reject_that_was_embedded_later_goes(spark, store, output):
    store.append_rejects({Reject("file:///in/a", "1", "L", "fetch", "no answer")})
    append(store, ("a", "1"))
    images = listing(spark, ("a", "1"))

    assert store.reject_reasons(images) == {}
    store.delete_superseded(store.current(images, "file:///in", f"{output}/work"))
    assert DeltaTable(f"{output.removeprefix('file://')}/rejects").file_uris() == []


def test_column_statistics_keep_no_uri_etag_or_label_in_the_log(spark, store, output):
    append(store, ("planted-name", "planted-etag"))

    log = "".join(path.read_text() for path in Path(output.removeprefix("file://"), "features/_delta_log").glob("*.json"))
    assert "planted" not in log
    assert "minValues" in log  # of the columns that may have them


def file_counts(output, name="features"):
    """Those of the newest snapshot, and all that are in the folder."""
    folder = Path(output.removeprefix("file://"), name)
    return len(DeltaTable(str(folder)).file_uris()), len(list(folder.glob("*.parquet")))


def test_many_small_files_become_one_and_every_row_stays(store, output, monkeypatch):
    for name in "abc":
        append(store, (name, "1"))
    monkeypatch.setattr(compaction, "FILES_TO_MERGE", 3)
    store.compact()
    assert file_counts(output) == (3, 3)  # as many as are allowed
    append(store, ("d", "1"), ("e", "1"))
    store.compact()

    assert file_counts(output) == (1, 5)  # the merged ones stay for a week: somebody may be reading them
    assert names(store.features().keys) == ["a", "b", "c", "d", "e"]


def test_a_merged_table_takes_the_next_chunk_and_knows_what_it_has(spark, store, tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "FILES_TO_MERGE", 1)
    for name in ("a", "b"):
        append(store, (name, "1"))
        store.compact()

    missing = store.missing_from(listing(spark, ("a", "1"), ("b", "1"), ("c", "1")), f"file://{tmp_path}/m", False)

    assert names(missing.part(0, 9)) == ["c"]


def test_files_that_no_snapshot_of_the_last_week_needs_go_every_fifty_runs(spark, store, output):
    folder = Path(output.removeprefix("file://"), "features")
    append(store, ("a", "1"))
    forgotten = folder / "part-00000-of-a-killed-run.parquet"
    forgotten.write_bytes(b"never committed")
    eight_days_ago = time.time() - 8 * 86400
    os.utime(forgotten, (eight_days_ago, eight_days_ago))

    at(spark, output, generation=49).compact()
    assert forgotten.exists()
    at(spark, output, generation=50).compact()

    assert not forgotten.exists()
    assert names(store.features().keys) == ["a"]


def test_nothing_is_tidied_without_the_lease(store, output, lease, monkeypatch):
    for name in "ab":
        append(store, (name, "1"))
    lease.release()
    Lease.acquire(open_folder(output), "r2", 60.0)
    monkeypatch.setattr(compaction, "FILES_TO_MERGE", 1)
    with pytest.raises(LeaseError):
        store.compact()
    assert file_counts(output)[0] == 2


def at(spark, output, generation, taken_over=False):
    """The store as a run under another generation of the lease sees it, which never looks whether it still has it."""
    asleep = SimpleNamespace(generation=generation, check=lambda: None, taken_over=taken_over)
    return FeatureStore(spark, open_folder(output), "model-a", f"r{generation}", asleep)


def test_a_run_that_was_taken_over_cannot_commit_any_more(spark, store, output, lease):
    """Even if its own check has not noticed yet: its transaction is older than the newest."""
    sleeper = at(spark, output, lease.generation)
    successor = at(spark, output, lease.generation + 1, taken_over=True)
    successor.open()

    with pytest.raises(LeaseError, match="another run has written to"):
        append(sleeper, ("late", "1"))

    assert names(successor.features().keys) == []


def test_a_commit_without_the_lease_is_refused_before_it_starts(spark, store, output, lease):
    lease.release()
    Lease.acquire(open_folder(output), "r2", 60.0)

    with pytest.raises(LeaseError):
        append(store, ("late", "1"))
    assert names(store.features().keys) == []
