"""A run id names a folder of OUTPUT: `run` and `notebook` refuse another text before anything starts."""

import json

import pytest
import typer.main

from cli.commands.app import app
from cli.errors import UsageError

ROOT = typer.main.get_command(app)


def run(*words):
    ROOT.main([str(word) for word in words], "fruitsctl", standalone_mode=False)


@pytest.mark.parametrize("text", ["a/b", "../other", "2026-12-01T03:00:00+01:00"])
def test_a_text_that_cannot_name_a_folder_is_refused(tmp_path, text):
    with pytest.raises(UsageError) as refused:
        run("run", tmp_path, tmp_path.parent / "out", "--local", "--run-id", text)

    assert str(refused.value) == f"`{text}` is not a valid run id"
    assert refused.value.hint == "use up to 64 letters, digits, `.`, `_` and `-`, no `.` first"


def test_the_time_of_a_schedule_becomes_the_run_id_that_the_job_makes_of_it(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"")

    run(
        "run",
        tmp_path,
        tmp_path.parent / "out",
        "--submit",
        "--master",
        "local[1]",
        "--run-id",
        "2026-12-01T03:00:00Z",
        "--dry-run",
        "--json",
    )

    assert "--run-id=20261201T030000Z-scheduled" in json.dumps(json.loads(capsys.readouterr().out))
