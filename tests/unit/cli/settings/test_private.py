"""What commands remember names buckets, addresses and accounts: only its owner can read it, whatever the umask."""

import os
import stat

import pytest

from cli.container import pushed
from cli.settings.config import settings
from cli.targets.base import SubmittedRun
from cli.targets.runs import saved as runs
from cli.ui import run_files


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_only_its_owner_can_read_what_is_remembered(tmp_path, monkeypatch, open_umask):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    state = settings().state

    run_files.save_last_output("s3://bucket/out", settings())
    pushed.save_pushed(state, pushed.PushedImage("r/f@sha256:1", "sha256:1", "t", "r/f"))
    runs.save(state, SubmittedRun("r1", "serverless", "s3://bucket/out", "2026-11-21T12:00:00+00:00", {"region": "eu-west-3"}))

    files = {path.relative_to(state).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*") if path.is_file()}
    assert files == {"last-output": 0o600, "pushed.json": 0o600, "runs/r1.json": 0o600}
    assert run_files.output_of(None, settings()) == "s3://bucket/out"
    assert [run.run_id for run in runs.saved(state)] == ["r1"]
