"""A run that is tried again: one that had ended well ends at once, any other goes on. INPUT is gone, so going on is seen by its error."""

import json
from dataclasses import replace

import pytest

from job.__main__ import main
from job.attempt import attempt
from job.params import Params
from job.records import Manifest, Outcome, from_line

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
    return Manifest("r1", "2026-11-21T12:00:00+00:00", 1, vars(params), "mean_colour-v1", {}, {}, {}, {}, {}, 2, 0.9, "r1").to_json()


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


@pytest.mark.parametrize("argv", [[], ["--output"], ["--run-id=r1"], ["--output=file:///proc/none", "--run-id=r1"]])
def test_arguments_that_tell_no_place_for_an_outcome_end_with_a_word(argv, capsys):
    assert main(argv) == 2
    assert from_line(capsys.readouterr().out.strip()).kind == "ArgumentsError"
