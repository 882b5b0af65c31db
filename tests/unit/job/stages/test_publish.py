"""Runs that use the PCA of another run, directly or by way of a third one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from job.contract.records import Manifest
from job.stages.publish import manifest_of, pca_lineage, prune_runs
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder

MANIFEST = Manifest("", "2026-01-02T03:04:05+00:00", 1, {}, "m", {}, {"rows": 1}, {}, {}, {}, 1, 0.9, "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Of a chain as earlier versions stored it: each run names the one that --pca named."""
    folder = open_folder(f"file://{tmp_path}/out")
    for run, fitted_by in {"1-root": "1-root", "2-other": "2-other", "3-between": "1-root", "4-leaf": "3-between"}.items():
        folder.write(f"runs/{run}/manifest.json", replace(MANIFEST, run_id=run, fitted_by=fitted_by).to_json().encode())
    return folder


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("1-root", ["1-root"]),
        ("3-between", ["3-between", "1-root"]),
        ("4-leaf", ["4-leaf", "3-between", "1-root"]),
        ("gone", ["gone"]),
    ],
)
def test_the_run_that_fitted_a_pca_is_found_by_way_of_others(folder: Folder, run: str, expected: list[str]):
    assert pca_lineage(run, lambda name: manifest_of(folder, name)) == expected


def test_runs_that_name_each_other_have_an_end():
    by = {"a": "b", "b": "a"}

    assert pca_lineage("a", lambda run: replace(MANIFEST, run_id=run, fitted_by=by[run])) == ["a", "b"]


def test_runs_are_pruned_but_for_those_by_way_of_which_a_kept_one_got_its_pca(folder: Folder):
    with Lease.acquire(folder, "5") as lease:
        prune_runs(folder, 1, lease)

    assert sorted(folder.names("runs")) == ["1-root", "3-between", "4-leaf"]
