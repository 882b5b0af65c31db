"""The rows of `fruitsctl runs`: from the files of OUTPUT, from saved runs, from both."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli.settings.config import settings
from cli.targets.base import SubmittedRun
from cli.targets.runs.history import RunRow, history, table
from cli.targets.runs.saved import holding, save
from job.contract.records import Manifest, Outcome, Stage

COUNTS = {"listed": 1_234, "new": 60, "embedded": 60, "rows": 60, "labels": 6, "removed": 0, "rejected": 0, "ignored": 0}
STAGES = {"embed": Stage(7.0, 60), "fit": Stage(2.0, 60)}
MANIFEST = Manifest("r1", "2026-11-30T12:00:00Z", 1, {"target": "submit"}, "m", {}, COUNTS, {}, {}, STAGES, 5, 0.9, "r1")


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    return tmp_path / "out"


def leave(output, run_id, manifest=None, code=None):
    folder = output / "runs" / run_id
    folder.mkdir(parents=True)
    if manifest:
        (folder / "manifest.json").write_text(manifest.to_json())
    if code is not None:
        (folder / "outcome.json").write_text(Outcome(run_id, code, "done" if code == 0 else "Failed").to_json())


def rows(output):
    said = []
    return {row.run_id: row for row in history(f"file://{output}", settings(), said.append)}


def sent(output, run_id, target):
    save(settings().state, SubmittedRun(run_id, target, f"file://{output}", datetime.now(UTC).isoformat(), {"log": "x"}))


def test_a_finished_run_is_told_by_its_own_files(output):
    leave(output, "r1", MANIFEST, 0)

    assert rows(output)["r1"] == RunRow("r1", "submit", "succeeded", 1_234, 5, 9.0, None)


@pytest.mark.parametrize(("code", "state"), [(1, "failed"), (2, "failed"), (3, "failed"), (130, "cancelled"), (143, "cancelled")])
def test_a_run_without_a_manifest_has_the_state_of_its_outcome(output, code, state):
    leave(output, "r1", code=code)

    assert rows(output)["r1"] == RunRow("r1", None, state, None, None, None, None)


def test_a_run_without_any_file_is_unknown(output):
    leave(output, "r1")
    (output / "runs" / "r1" / "outcome.json").write_text("{")

    assert rows(output)["r1"].state == "unknown"


def test_a_saved_run_that_left_nothing_yet_is_asked_of_its_target(output):
    sent(output, "r2", "local")
    with holding(settings().state, "r2"):
        assert rows(output)["r2"] == RunRow("r2", "local", "running", None, None, None, None)

    assert rows(output)["r2"].state == "failed"  # its command is gone


def test_a_saved_run_of_another_output_is_not_listed(output):
    sent(output.parent / "other", "r2", "local")

    assert rows(output) == {}


def test_the_saved_target_comes_before_that_of_the_manifest(output):
    leave(output, "r1", MANIFEST, 0)
    sent(output, "r1", "compose")

    assert rows(output)["r1"].target == "compose"


def test_a_stored_cost_is_shown(output):
    leave(output, "r1", replace(MANIFEST, params={}), 0)
    (output / "costs").mkdir()
    (output / "costs" / "r1.json").write_text(json.dumps({"usd": 0.0123}))

    assert rows(output)["r1"].usd == 0.0123


def test_the_table_has_a_line_for_each_run_and_a_dash_for_what_is_unknown():
    found = [RunRow("a", "local", "succeeded", 1_234, 50, 12.4, 0.5), RunRow("bbbbb", None, "failed", None, None, None, None)]

    assert table(found).splitlines() == [
        "run    target   state      photos   k  seconds     cost",
        "a      local    succeeded   1,234  50       12  $0.5000",
        "bbbbb  unknown  failed          -   -        -        -",
    ]
