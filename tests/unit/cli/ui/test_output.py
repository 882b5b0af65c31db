"""Progress without a terminal: a line after two seconds, then one every five, and one at the end."""

from __future__ import annotations

import re

import pytest

from cli.ui import output
from cli.ui.output import Stages, progress_bar
from tests.waiting import wait_until


def test_a_task_that_does_nothing_is_not_shown(capsys: pytest.CaptureFixture[str]):
    with progress_bar("Download weights", "bytes"):
        pass
    assert capsys.readouterr().err == ""

    with progress_bar("Download weights", "bytes") as progress:
        progress(7, 7)
    assert capsys.readouterr().err.startswith("Download weights: 7 of 7 bytes, ")


def test_a_stage_of_more_than_two_seconds_says_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(output.time, "monotonic", lambda: now)
    with Stages() as stages:
        for now in (0.0, 1.0, 1.9, 2.1, 6.0, 7.0, 7.2, 12.3):
            stages.update("Verify erasure", "files", int(10 * now), None)
        stages.update("Verify erasure", "files", 130, None, finished=True)

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Verify erasure: {count} files" for count in (21, 72, 123, 130)]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_takes_one_line_of_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(output.sys.stderr, "isatty", lambda: True, raising=False)
    with output.Stages() as stages:
        stages.update("Embed images", "images", 1_050, 15_720)
        stages.update("Embed images", "images", 15_720, 15_720, finished=True)

    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip("\r") for line in capsys.readouterr().err.splitlines()]

    assert any("15,720/15,720 images" in line for line in lines)
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if line.strip() and "Embed images" not in line]


def test_without_a_terminal_no_rate_is_said_before_there_is_one(capsys):
    assert output._plain("Embed images", "images", 0, 67, 2.0, finished=False) == "Embed images: 0 of 67 images"


def test_a_stage_that_sends_no_figures_is_said_without_a_terminal_until_it_is_finished(capsys, monkeypatch):
    monkeypatch.setattr(output, "PLAIN_AFTER_SECONDS", 0.02)
    monkeypatch.setattr(output, "PLAIN_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(output, "PLAIN_TICK_SECONDS", 0.01)
    said = ""

    def lines():
        nonlocal said
        said += capsys.readouterr().err
        return said.splitlines() if said.count("\n") > 1 else []

    with Stages() as stages:
        stages.update("Start Spark", "steps", 0, None)
        stages.update("Start Spark", "steps", 0, None, finished=True)
        stages.update("Model and tables", "steps", 0, None)
        first, *others = wait_until(lines)

    assert re.fullmatch(r"Start Spark: 0\.\d s", first)
    assert set(others) == {"Model and tables: 0 s so far"}


@pytest.mark.parametrize(
    ("done", "total", "finished", "said"),
    [
        (1, None, True, "Find: 1 image, 1.0 s"),
        (1, 1, True, "Find: 1 of 1 image, 1.0 s"),
        (1, 3, False, "Find: 1 of 3 images, 1 image/s, 2 s left"),
        (2, 2_000, False, "Find: 2 of 2,000 images, 2 images/s, 999 s left"),
    ],
)
def test_one_is_not_a_plural(done, total, finished, said):
    assert output._plain("Find", "images", done, total, 1.0, finished) == said
