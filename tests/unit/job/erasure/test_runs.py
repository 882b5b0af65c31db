"""Published runs after an erasure, made without Spark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from job import erasure
from job.contract.records import Manifest
from job.erasure import runs
from job.erasure.pending import Targets
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from tests.unit.job.product.run_files import RUN, copy_photos, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(f"file://{tmp_path}/out")


def manifest_in(folder: Folder, run: str = RUN) -> Manifest:
    stored = folder.read(f"runs/{run}/manifest.json")
    assert stored is not None
    return Manifest.from_json(stored.content)


def erased(folder: Folder, uri: str, cache: Path) -> Manifest:
    """The manifest of RUN after `uri` was erased from it."""
    with Lease.acquire(folder, "erasure") as lease:
        runs.erase_from_run(folder, RUN, Targets(uris={uri}), lease)
        runs.update_manifest_and_report(folder, RUN, str(cache), "", lease)
    return manifest_in(folder)


@pytest.mark.parametrize(
    "before", [None, {"threshold": 1.5, "typical": 1.0, "median": 0.9, "images": 6.0, "right": 0.1}], ids=["none", "old"]
)
def test_the_report_and_the_threshold_of_a_run_are_made_of_the_rows_that_are_left(folder: Folder, sample, cache, tmp_path: Path, before):
    """Also of one that was killed before its manifest told of its report."""
    photos = copy_photos(sample, tmp_path / "photos", ["Banana", "Kiwi"])
    scores = [[9.0, number] if label == "Kiwi" else [number, 9.0] for number, (_, label) in enumerate(photos)]
    write_run(tmp_path / "out", tmp_path / "photos", [uri for uri, _ in photos], [label for _, label in photos], scores, identify=before)
    folder.write(f"runs/{RUN}/report.html", b"with all photos")

    after = erased(folder, photos[0][0], cache)

    report = folder.read(f"runs/{RUN}/report.html")
    assert report is not None
    assert b"with all photos" not in report.content
    assert after.identify is not None
    assert (after.identify["images"], after.identify["right"]) == (5.0, 1.0)
    assert "cache" not in after.params


def test_a_run_of_which_no_row_is_left_has_no_report_and_no_threshold(folder: Folder, cache, tmp_path: Path):
    one = f"file://{tmp_path}/photos/A/1.jpg"
    write_run(tmp_path / "out", tmp_path / "photos", [one], ["A"], [[1.0]], identify={"threshold": 1.5})

    assert erased(folder, one, cache).identify is None
    assert folder.read(f"runs/{RUN}/report.html") is None


def test_a_report_that_cannot_be_written_again_is_noted_once(folder: Folder, tmp_path: Path):
    photos = [f"file://{tmp_path}/photos/A/{number}.jpg" for number in range(4)]
    write_run(tmp_path / "out", tmp_path / "photos", photos, ["A"] * 4, [[1.0], [2.0], [3.0], [4.0]], identify={"threshold": 1.5})
    (tmp_path / "out" / "runs" / RUN / "pca.npz").unlink()

    erased(folder, photos[0], tmp_path)
    after = erased(folder, photos[1], tmp_path)

    assert [note for note in after.notes if "the report was not rewritten" in note] == after.notes[-1:]
    assert after.identify is None


def test_what_an_interrupted_erasure_brought_back_goes_although_the_rows_are_gone(folder: Folder, tmp_path: Path):
    """In an older version of a bucket, a notebook with a picture of the photo, and without its name."""
    write_run(tmp_path / "out", tmp_path / "photos", [f"file://{tmp_path}/photos/A/1.jpg"], ["A"], [[1.0]])
    folder.write(f"runs/{RUN}/pipeline.ipynb", b'{"image/png": "iVBORw0KGgo="}')
    folder.write("runs/other/pipeline.ipynb", b'{"image/png": "iVBORw0KGgo="}')
    folder.write("runs/other/manifest.json", replace(manifest_in(folder), run_id="other").to_json().encode())
    gone = Targets(uris={f"file://{tmp_path}/photos/A/erased.jpg"}, runs={RUN})

    with Lease.acquire(folder, "erasure") as lease:
        for run in (RUN, "other"):
            runs.erase_from_run(folder, run, gone, lease)

    assert folder.read(f"runs/{RUN}/pipeline.ipynb") is None
    assert folder.read("runs/other/pipeline.ipynb") is not None


def test_a_run_whose_pca_is_that_of_a_deleted_run_counts_as_fitted_with_what_it_had_itself(folder: Folder, tmp_path: Path):
    write_run(tmp_path / "out", tmp_path / "photos", [f"file://{tmp_path}/photos/A/1.jpg"], ["A"], [[1.0]])
    for run, by in (("A", "A"), ("B", "A"), ("C", "B"), ("D", "gone")):
        folder.write(f"runs/{run}/manifest.json", replace(manifest_in(folder), run_id=run, fitted_by=by).to_json().encode())

    assert [erasure._fitted_with(folder, run, {"B", "C", "D"}) for run in "ABCD"] == [False, False, False, True]
    folder.delete_tree("runs/A")
    assert [erasure._fitted_with(folder, run, {"B", "C"}) for run in "ABCD"] == [False, True, True, False]
    assert [erasure._fitted_with(folder, run, set()) for run in "ABCD"] == [False] * 4
    assert json.loads(manifest_in(folder, "C").to_json())["fitted_by"] == "B"
