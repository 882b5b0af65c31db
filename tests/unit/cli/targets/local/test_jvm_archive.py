"""Where the class-data-sharing archive of a local Spark's JVM is, when it is used, and when it is made."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from cli.targets.local.jvm_archive import archive_of, make, make_in_background, options_for


@pytest.fixture
def java(tmp_path: Path) -> Path:
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "release").write_text('JAVA_VERSION="17.0.1"')
    return tmp_path / "java"


def test_another_java_has_another_archive(tmp_path: Path, java: Path):
    before = archive_of(tmp_path, java)
    assert archive_of(tmp_path, java) == before
    assert before.parent == tmp_path / "jvm"

    (java / "release").write_text('JAVA_VERSION="17.0.2"')
    os.utime(java / "release", (1, 1))

    assert archive_of(tmp_path, java) != before


def test_a_jvm_starts_from_it_once_it_is_there(tmp_path: Path, java: Path):
    archive = archive_of(tmp_path, java)
    assert options_for(archive) == {}

    archive.parent.mkdir()
    archive.write_bytes(b"classes")

    assert options_for(archive)["SPARK_SUBMIT_OPTS"].startswith(f"-XX:SharedArchiveFile={archive} ")


def test_what_is_there_under_way_or_failed_before_is_not_made_again(tmp_path: Path, java: Path):
    archive = archive_of(tmp_path, java)
    archive.parent.mkdir()
    archive.with_suffix(".log").write_text("no archive was written")
    make_in_background(archive)
    archive.write_bytes(b"classes")
    make_in_background(archive)
    make(archive)

    assert archive.read_bytes() == b"classes"
    assert archive.with_suffix(".log").read_text() == "no archive was written"
    assert not [child for child in psutil.Process().children() if "cli.targets.local.jvm_archive" in child.cmdline()]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path):
    (tmp_path / "jvm").write_text("a file, no folder")

    make_in_background(tmp_path / "jvm" / "a.jsa")
