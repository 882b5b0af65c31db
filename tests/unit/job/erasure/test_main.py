"""`python -m job.erasure` with arguments that it does not take: an outcome, as of `python -m job`, and no traceback."""

from pathlib import Path

import pytest

from job.contract.records import from_line
from job.erasure.__main__ import main

WHOLE = ("--run-id=e1", "--targets=t.json", "--answer=a.json", "--by=alice")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--output=out", "--colour=red"], "unrecognized arguments: --colour=red"),
        (["--output=out", "--refit=perhaps"], "true or false, not `perhaps`"),
        ([], "required: --output"),
        (["--output="], "argument --output"),
    ],
    ids=["of another version", "no truth value", "missing", "empty"],
)
def test_arguments_that_it_does_not_take_end_with_an_outcome(more: list[str], said: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main([*WHOLE, *more]) == 2

    outcome = from_line(capsys.readouterr().out.strip())
    assert (outcome.run_id, outcome.code, outcome.kind) == ("e1", 2, "ArgumentsError")
    assert said in outcome.message
    assert "same version" in outcome.hint
    assert list(tmp_path.iterdir()) == []  # an erasure is no run: it leaves no outcome below `runs`
