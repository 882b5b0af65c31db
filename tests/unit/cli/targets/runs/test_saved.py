"""What is saved of a run, and how a command that is alive is told from one that is not."""

import json
import subprocess
import sys

import pytest

from cli.errors import UsageError
from cli.targets.base import SubmittedRun
from cli.targets.runs.saved import holding, is_held, load, save, saved
from tests.waiting import wait_until

FIRST = SubmittedRun("r1", "local", "file:///out", "2026-11-30T12:00:00+00:00", {"log": "x"})
SECOND = SubmittedRun("r2", "serverless", "s3://b/out", "2026-11-30T13:00:00+00:00", {"region": "eu-west-3"}, {"name": "r2"}, "00f7")


def test_a_run_is_found_by_its_id_by_the_services_id_and_as_the_last(tmp_path):
    save(tmp_path, FIRST)
    save(tmp_path, SECOND)

    assert load(tmp_path, "r1") == FIRST
    assert load(tmp_path, "00f7") == SECOND
    assert load(tmp_path, None) == SECOND
    assert load(tmp_path, "r3") is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"run_id": "r0", "application_id": "of an earlier version"}), "\xff"])
def test_a_file_that_is_none_of_this_version_is_passed_over(tmp_path, text):
    save(tmp_path, FIRST)
    (tmp_path / "runs" / "r0.json").write_bytes(text.encode("latin-1"))

    assert saved(tmp_path) == [FIRST]


def test_a_lock_is_held_until_the_end_and_by_one_alone(tmp_path):
    assert not is_held(tmp_path, "r1")
    with holding(tmp_path, "r1"):
        assert is_held(tmp_path, "r1")
        with pytest.raises(UsageError, match="run `r1` is already active on this machine"), holding(tmp_path, "r1"):
            pass
        assert is_held(tmp_path, "r1")
    assert not is_held(tmp_path, "r1")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path):
    script = """
import sys, time
from pathlib import Path
from cli.targets.runs.saved import holding
with holding(Path(sys.argv[1]), "r1"):
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    wait_until(lambda: is_held(tmp_path, "r1"), lambda: process.poll() is None)

    process.kill()
    process.wait()

    assert not is_held(tmp_path, "r1")
    with holding(tmp_path, "r1"):  # what it left behind is in nobody's way
        assert is_held(tmp_path, "r1")


def test_a_run_works_where_the_state_folder_cannot_be_written(tmp_path):
    (tmp_path / "state").write_text("a file")

    with holding(tmp_path / "state", "r1"):
        assert not is_held(tmp_path / "state", "r1")
