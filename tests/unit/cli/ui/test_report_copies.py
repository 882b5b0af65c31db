"""Copies of reports in the folder for temporary files."""

import os
import time

import pytest

from cli.ui import report_copies


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_only_its_user_can_read_a_copy(temporary):
    copy = report_copies.copied("r1", b"<h1>pictures</h1>")

    assert (copy.name, copy.read_bytes()) == ("report-r1.html", b"<h1>pictures</h1>")
    assert copy.parent.parent == temporary
    assert copy.parent.stat().st_mode & 0o777 == 0o700


def test_the_next_copy_removes_those_of_the_day_before_and_no_other_file(temporary):
    old, young = report_copies.copied("old", b"1"), report_copies.copied("young", b"2")
    (temporary / "fruitsctl-r1.log").touch()
    (temporary / "fruitsctl-report-of-mine").write_text("a file")
    day = time.time() - 86_500
    for path in (old.parent, temporary / "fruitsctl-r1.log", temporary / "fruitsctl-report-of-mine"):
        os.utime(path, (day, day))

    new = report_copies.copied("new", b"3")

    assert {path for path in temporary.iterdir() if path.is_dir()} == {young.parent, new.parent}
    assert {path.name for path in temporary.iterdir() if path.is_file()} == {"fruitsctl-r1.log", "fruitsctl-report-of-mine"}


def test_all_of_them_are_removed_at_once_when_photos_are_forgotten(temporary):
    for run in ("r1", "r2"):
        report_copies.copied(run, b"<h1>pictures</h1>")

    report_copies.remove()

    assert list(temporary.iterdir()) == []
