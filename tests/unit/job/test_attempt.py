"""A run that is tried again: one that had ended well ends at once, any other continues. INPUT is gone, so its error shows that."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from job.__main__ import main
from job.attempt import attempt
from job.contract.params import Params
from job.contract.records import Manifest, Outcome, from_line
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]

DONE = Outcome("r1", 0, "done", "10 rows, k = 2")
FAILED = Outcome("r1", 1, "RejectsError", "`5` of 60 images were rejected", "see rejects")


@pytest.fixture
def params(tmp_path):
    return Params(f"file://{tmp_path}/gone", f"file://{tmp_path}/out", "r1", "mean_colour", variance=0.9)


@pytest.fixture
def leave(tmp_path, params):
    """What an earlier attempt left in OUTPUT."""
    folder = tmp_path / "out" / "runs" / "r1"
    folder.mkdir(parents=True)

    def write(outcome=None, manifest=None):
        if outcome:
            (folder / "outcome.json").write_text(outcome if isinstance(outcome, str) else json.dumps(vars(outcome)))
        if manifest:
            (folder / "manifest.json").write_text(manifest)

    return write


def published(params):
    return Manifest("r1", "2026-11-21T12:00:00+00:00", 1, vars(params), "mean_colour-v2", {}, {}, {}, {}, {}, 2, 0.9, "r1").to_json()


def assert_tried_again(outcome):
    assert (outcome.code, outcome.kind) == (2, "InputError")


def test_an_attempt_after_a_run_that_is_done_ends_at_once_with_its_outcome(params, leave, tmp_path):
    leave(DONE, published(params))

    assert attempt(params) == DONE
    assert not (tmp_path / "out" / "lease.json").exists()  # nothing was begun


@pytest.mark.parametrize("outcome", [None, FAILED, Outcome("r1", 130, "Interrupted", "interrupted")])
def test_an_attempt_after_one_that_failed_or_left_no_outcome_tries_again(params, leave, outcome):
    leave(outcome, published(params))

    assert_tried_again(attempt(params))


def test_an_outcome_without_a_manifest_is_not_the_end(params, leave):
    leave(DONE)

    assert_tried_again(attempt(params))


def test_the_same_run_id_with_other_arguments_is_not_the_same_run(params, leave):
    leave(DONE, published(params))

    assert_tried_again(attempt(replace(params, variance=0.8)))


@pytest.mark.parametrize(("outcome", "manifest"), [("{", None), ("[]", None), (DONE, "{}"), (DONE, "no JSON")])
def test_what_cannot_be_read_is_worth_no_more_than_nothing(params, leave, outcome, manifest):
    leave(outcome, manifest or published(params))

    assert_tried_again(attempt(params))


def test_an_output_that_cannot_be_read_is_left_to_what_comes_next(params, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "runs").write_text("no folder")

    assert_tried_again(attempt(params))


def test_an_input_that_is_not_there_is_the_outcome_of_the_run(params, tmp_path):
    ended = attempt(params)

    assert_tried_again(ended)
    assert Outcome.from_json((tmp_path / "out" / "runs" / "r1" / "outcome.json").read_text()) == ended
    assert not (tmp_path / "out" / "lease.json").exists()


def test_it_does_not_replace_the_outcome_of_a_run_that_was_done(params, leave, tmp_path):
    leave(DONE, published(replace(params, variance=0.8)))

    assert_tried_again(attempt(params))
    assert json.loads((tmp_path / "out" / "runs" / "r1" / "outcome.json").read_text()) == vars(DONE)


def test_arguments_of_another_version_leave_an_outcome_in_output(tmp_path, capsys):
    argv = [f"--input=file://{tmp_path}/in", f"--output=file://{tmp_path}/out", "--run-id=r1", "--colour=red"]

    assert main(argv) == 2

    outcome = Outcome.from_json((tmp_path / "out" / "runs" / "r1" / "outcome.json").read_text())
    assert (outcome.code, outcome.kind) == (2, "ArgumentsError")
    assert "unrecognized arguments: --colour=red" in outcome.message
    assert "same version" in outcome.hint
    assert from_line(capsys.readouterr().out.strip()) == outcome


def test_a_run_id_that_leads_out_of_output_is_refused_and_nothing_is_written(tmp_path, capsys):
    assert main([f"--input=file://{tmp_path}/in", f"--output=file://{tmp_path}/out", "--run-id=../../other"]) == 2

    assert "`../../other` is not a valid run id" in from_line(capsys.readouterr().out.strip()).message
    assert list(tmp_path.iterdir()) == []


def test_the_outcome_of_a_scheduled_run_with_wrong_arguments_is_where_its_commands_look(tmp_path):
    main([f"--output=file://{tmp_path}/out", "--run-id=2026-12-01T03:00:00Z", "--colour=red"])

    outcome = Outcome.from_json((tmp_path / "out" / "runs" / "20261201T030000Z-scheduled" / "outcome.json").read_text())
    assert (outcome.run_id, outcome.kind) == ("20261201T030000Z-scheduled", "ArgumentsError")


def test_a_second_attempt_at_the_same_scheduled_time_ends_at_once_with_the_first_outcome(tmp_path):
    """Whatever token a retry of the schedule has: the run is known by its time."""
    argv = [f"--input=file://{tmp_path}/gone", f"--output=file://{tmp_path}/out", "--model=mean_colour", "--run-id="]
    params = Params.from_argv([*argv[:-1], f"{argv[-1]}2026-12-01T03:00:00Z"])
    folder = tmp_path / "out" / "runs" / "20261201T030000Z-scheduled"
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(json.dumps(vars(DONE)))
    (folder / "manifest.json").write_text(published(params))

    assert attempt(Params.from_argv([*argv[:-1], f"{argv[-1]}2026-12-01T03:00:00Z"])) == DONE
    assert_tried_again(attempt(Params.from_argv([*argv[:-1], f"{argv[-1]}2026-12-02T03:00:00Z"])))


@pytest.mark.parametrize("argv", [[], ["--output"], ["--run-id=r1"], ["--output=file:///proc/none", "--run-id=r1"]])
def test_arguments_that_tell_no_place_for_an_outcome_end_with_a_word(argv, capsys):
    assert main(argv) == 2
    assert from_line(capsys.readouterr().out.strip()).kind == "ArgumentsError"


def left(tmp_path):
    """The outcome in OUTPUT."""
    return Outcome.from_json((tmp_path / "out" / "runs" / "r1" / "outcome.json").read_text())


@pytest.mark.parametrize("name", ["nul\0", "x" * 300, "fifo", "photos/label/file.jpg"])
def test_whatever_is_wrong_with_input_is_left_as_the_outcome(params, tmp_path, name):
    (tmp_path / "photos" / "label").mkdir(parents=True)
    (tmp_path / "photos" / "label" / "file.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")

    ended = attempt(replace(params, input=f"file://{tmp_path}/{name}"))

    assert ended.code in (1, 2)
    assert left(tmp_path) == ended


@pytest.mark.parametrize("content", [b"\xff", b"[]", b"{}", '{"seconds": "long"}', '{"generation": null}', '{"owner": {"pid": "one"}}'])
def test_a_lease_that_is_not_one_is_left_as_the_outcome(params, tmp_path, content):
    (tmp_path / "photos").mkdir()
    (tmp_path / "out").mkdir()
    if isinstance(content, str):
        owner = {"host": "h", "machine": "m", "pid": 1, "started": "s"}
        whole = {"run_id": "r0", "generation": 1, "owner": owner, "acquired_at": 1.0, "renewed_at": 1.0, "seconds": 60.0}
        changed = json.loads(content)
        content = json.dumps(whole | changed | {"owner": owner | changed.get("owner", {})}).encode()
    (tmp_path / "out" / "lease.json").write_bytes(content)

    ended = attempt(replace(params, input=f"file://{tmp_path}/photos"))

    assert (ended.code, ended.kind) == (2, "OutputError")
    assert left(tmp_path) == ended


def test_an_interruption_before_the_lease_is_the_outcome(params, tmp_path):
    """The job waits for the guard of the lease, which another process holds."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "out").mkdir()
    guard = tmp_path / "out" / ".guard"

    def waiting():
        return sum(os.path.realpath(f"/proc/self/fd/{number}") == str(guard) for number in os.listdir("/proc/self/fd")) == 2

    def interrupt():
        wait_until(waiting)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with open(guard, "wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            threading.Thread(target=interrupt).start()
            ended = attempt(replace(params, input=f"file://{tmp_path}/photos"))
    finally:
        signal.signal(signal.SIGINT, before)

    assert (ended.code, ended.kind) == (130, "Interrupted")
    assert left(tmp_path) == ended


@pytest.mark.parametrize(
    ("pyspark", "code", "kind"),
    [
        ("raise ImportError('no such library')", 1, "JobError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 130, "Interrupted"),
    ],
)
def test_a_job_that_does_not_get_through_its_imports_leaves_an_outcome(params, tmp_path, pyspark, code, kind):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pyspark.py").write_text(pyspark)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}/broken:{ROOT}"}

    done = subprocess.run([sys.executable, "-m", "job", *params.to_argv()], env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, left(tmp_path).kind) == (code, kind)
    assert from_line(done.stdout.strip()) == left(tmp_path)
