"""What is meant, by tables that Delta's own writer made: no Spark."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from job.erasure.pending import Targets, save_targets
from job.erasure.search.proof import SearchTerms
from job.erasure.targets import find, read_photos
from job.storage.folders import open_folder
from job.storage.object_store import Folder
from job.storage.schema import FEATURES, REJECTS

LONG_AGO = datetime.now(UTC) - timedelta(days=100)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(f"file://{tmp_path}/out")


def feature(uri: str, at: datetime, numbers: float = 1.0) -> dict[str, object]:
    return {"uri": uri, "etag": f"{uri}-1", "model": "m", "embedding": [numbers] * 64, "run_id": "r", "embedded_at": at}


def reject(uri: str, at: datetime, stage: str = "decode") -> dict[str, object]:
    return {"uri": uri, "etag": None, "model": "m", "stage": stage, "reason": "torn", "run_id": "r", "rejected_at": at}


def write(folder: Folder, features: list[dict[str, object]], rejects: list[dict[str, object]]) -> None:
    for name, schema, rows in (("features", FEATURES, features), ("rejects", REJECTS, rejects)):
        rows = [{field: row.get(field) for field in schema.names} for row in rows]
        write_deltalake(f"{folder.uri.removeprefix('file://')}/{name}", pa.Table.from_pylist(rows, schema))


@pytest.mark.parametrize("newer", ["features", "rejects"])
def test_a_photo_is_as_old_as_its_newest_row_in_any_table(folder: Folder, tmp_path: Path, newer: str):
    """What was rejected once and embedded lately is not old, nor the other way round."""
    both, old, at = f"file://{tmp_path}/both.jpg", f"file://{tmp_path}/old.jpg", {newer: datetime.now(UTC)}
    write(
        folder,
        [feature(both, at.get("features", LONG_AGO)), feature(old, LONG_AGO, 2.0)],
        [reject(both, at.get("rejects", LONG_AGO)), reject(old, LONG_AGO)],
    )

    assert find(None, folder, [], [], 86400.0, False).uris == {old}


def test_the_row_of_a_folder_that_could_not_be_listed_goes_and_its_address_is_not_searched_for(folder: Folder, tmp_path: Path):
    """It is in the addresses of all photos below, which stay."""
    below, named = tmp_path / "Red", f"file://{tmp_path}/\\xff.jpg"
    (tmp_path / "Blue.jpg").mkdir()
    folders = {f"file://{below}", f"file://{tmp_path}/Blue.jpg"}
    write(folder, [feature(f"file://{below}/a.jpg", datetime.now(UTC))], [reject(uri, LONG_AGO, "list") for uri in (*folders, named)])

    targets = find(None, folder, [], [], 86400.0, False)

    assert (targets.uris, targets.folders) == ({*folders, named}, folders)
    assert SearchTerms(targets).in_bytes(f"read file://{below}/b.jpg".encode()) == ""
    assert SearchTerms(targets).in_bytes(named.encode()) != ""


def test_what_two_interrupted_erasures_have_noted_counts_once(folder: Folder):
    """The second one has noted what the first one did, whose file it could not delete."""
    save_targets(folder, "first", Targets(removed={"photos": Counter(a=1, b=2), "rows": Counter(r=1)}))
    save_targets(folder, "second", Targets(removed={"photos": Counter(a=1, b=1, c=1), "features": Counter(a=2)}))

    found = find(None, folder, [], [], None, False)

    assert {name: noted.total() for name, noted in found.removed.items()} == {"photos": 4, "rows": 1, "features": 2, "rejects": 0}
    assert found.begun == {"erasures/first.pending", "erasures/second.pending"}


def test_the_record_of_an_earlier_version_has_numbers_that_count_too(folder: Folder):
    folder.write("erasures/old.pending", b'{"uris": ["file:///a.jpg"], "removed": {"photos": 3, "rows": 1}}')

    found = find(None, folder, [], [], None, False)
    found.note("photos", ["None file:///a.jpg"])

    assert {name: found.removed[name].total() for name in ("photos", "rows")} == {"photos": 4, "rows": 1}


def test_a_copy_that_is_erased_after_an_interruption_is_no_longer_one_that_stays(folder: Folder, tmp_path: Path):
    one, copy = f"file://{tmp_path}/one.jpg", f"file://{tmp_path}/copy.jpg"
    write(folder, [feature(one, LONG_AGO), feature(copy, LONG_AGO)], [])
    save_targets(folder, "first", find(None, folder, [one], [], None, False))

    found = find(None, folder, [one], [], None, True)

    assert (found.uris, found.copies) == ({one, copy}, set())


def test_photos_that_an_interrupted_erasure_has_deleted_do_not_count_as_there(folder: Folder, tmp_path: Path):
    there, gone = tmp_path / "there.jpg", tmp_path / "gone.jpg"
    there.write_bytes(b"pixels")
    targets = Targets(uris={f"file://{there}", f"file://{gone}"}, photos={f"file://{gone}"})

    read_photos(targets)

    assert targets.photos == {f"file://{there}"}
