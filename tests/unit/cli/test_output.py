"""Progress without a terminal: a line after two seconds, then one every five, and one at the end."""

from __future__ import annotations

import pytest

from cli import output
from cli.output import Stages


def test_a_stage_of_more_than_two_seconds_says_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(output.time, "monotonic", lambda: now)
    with Stages() as stages:
        for now in (0.0, 1.0, 1.9, 2.1, 6.0, 7.0, 7.2, 12.3):
            stages.update("Verify erasure", "files", int(10 * now), None)
        stages.update("Verify erasure", "files", 130, None, finished=True)

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Verify erasure: {count} files" for count in (21, 72, 123, 130)]
