"""What happens to a run on its way: too many requests, lost answers, late logs, unwanted ends."""

import time

import pytest

from cli.aws import clients
from cli.aws.clients import THROTTLING
from cli.targets.emr import waits
from cli.targets.emr_serverless import application, job_runs
from tests.aws.account import PROGRESS, RUN, an_account, ended, leave, nobody_waits, started  # noqa: F401
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import Ended, ScriptedRunner


def test_two_minutes_of_throttling_are_waited_for():
    assert clients.RETRY_SECONDS >= 120


@pytest.mark.parametrize(
    ("command", "operation"), [("status", "GetJobRun"), ("logs", "GetJobRun"), ("cancel", "CancelJobRun"), ("ui", "GetDashboardForJobRun")]
)
def test_throttled_at_its_start_a_command_waits_and_says_so(account, command, operation):
    account.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")
    account.fail(operation, "ThrottlingException", 2)

    found = ended((command, "r1"), 0, THROTTLING, "AWS is reachable again")
    assert found.stderr.count(THROTTLING) == 1


def test_throttled_at_its_start_a_run_is_sent_once(account):
    account.fail("GetApplication", "ThrottlingException", 2)

    ended(RUN, 0, THROTTLING, "10 listed")
    assert len(account.runner.requests) == 1


def test_throttled_while_it_is_sent_a_run_is_sent_once(account):
    account.fail("StartJobRun", "ThrottlingException", 2)

    ended(RUN, 0, THROTTLING, "10 listed")
    assert len({request["clientToken"] for request in started(account)}) == 1


def test_throttled_for_longer_than_anybody_waits_is_an_error(account, monkeypatch):
    monkeypatch.setattr(clients, "RETRY_SECONDS", 0.2)
    account.fail("GetApplication", "ThrottlingException")

    ended(RUN, 1, "`emr-serverless:GetApplication` failed with ThrottlingException: Rate exceeded")


def test_a_run_whose_answer_never_came_is_found_again_and_not_doubled(account):
    account.lose_answer("StartJobRun", 5)
    ended(RUN, 1, "no response from AWS when starting run `r1`", "hint: check with `fruitsctl status r1` whether it was accepted")
    assert len(started(account)) == 5

    assert done("status", "r1")["run_id"] == "r1"
    ended(RUN, 0, "10 listed")
    assert len(account.runner.requests) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [("ExpiredTokenException", "the credentials have expired"), ("ThrottlingException", "AWS throttles requests")],
)
def test_a_run_is_not_followed_for_ever(account, monkeypatch, code, said):
    monkeypatch.setattr(clients, "FOLLOW_RETRY_SECONDS", 0.3)

    def run(request, context):
        account.fail("GetJobRun", code)
        context.stopping.wait()
        return Ended(143)

    account.runner = run

    found = ended(RUN, 2 if code == "ExpiredTokenException" else 1, said, "after 0 minutes of retries", "then run `fruitsctl status r1`")
    assert found.stderr.count(said) == 1


def test_a_cancelled_run_is_not_waited_for_for_ever(account, monkeypatch):
    monkeypatch.setattr(waits, "CANCEL_SECONDS", 0.3)
    account.runner, account.durations.cancelling = ScriptedRunner(seconds=30), 30.0
    done(*RUN, "--detach")

    ended(("cancel", "r1"), 1, "run `r1` is still `CANCELLING` after 0 minutes", "hint: run `fruitsctl status r1`: the run does not wait")


def test_a_log_is_not_followed_for_ever(account, monkeypatch):
    monkeypatch.setattr(waits, "FOLLOW_SECONDS", 0.3)
    account.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")

    ended(("logs", "-f", "r1"), 1, "the log of run `r1` has not ended after 0 minutes", "hint: run `fruitsctl logs r1`")


def test_a_run_that_does_not_end_is_not_followed_for_ever(account, monkeypatch):
    monkeypatch.setattr(waits, "FOLLOW_SECONDS", 0.3)
    account.runner = ScriptedRunner(seconds=30)

    ended(RUN, 1, "run `r1` is still `RUNNING` after 0 minutes", "hint: run `fruitsctl status r1`")


def test_an_application_that_does_not_start_is_not_waited_for_for_ever(account, monkeypatch):
    monkeypatch.setattr(application, "REST_SECONDS", 0.3)
    account.durations.starting = 30.0

    ended(RUN, 1, "is still `STARTING` after 0 minutes", "hint: run the same command again")


def test_a_log_that_is_late_is_no_log_yet(account):
    account.runner, account.durations.log = ScriptedRunner(["hello"], seconds=30), 30.0
    done(*RUN, "--detach")

    found = ended(("logs", "r1"), 0, "There is no log yet")
    assert found.stdout == ""


def test_a_log_that_is_followed_comes_to_its_last_line_though_it_is_late(account, monkeypatch):
    account.durations.log = 0.5
    account.runner = ScriptedRunner([f"line {number}" for number in range(5)], seconds=0.3)
    done(*RUN, "--detach")

    found = ended(("logs", "-f", "r1"), 0)
    assert found.stdout.splitlines() == ["line 0", "line 1", "line 2", "line 3", "line 4"]


def test_a_run_that_ends_just_before_it_is_cancelled_is_no_error(account, aws):
    account.runner = ScriptedRunner(seconds=0.5, meanwhile=leave(aws))
    done(*RUN, "--detach")
    account.fail("CancelJobRun", "ValidationException", 1)  # what the service says of a run that is over

    assert done("cancel", "r1")["state"] == "SUCCESS"


def test_a_traceback_shows_its_own_lines_and_not_the_services_words(account):
    lines = ["noise", "Traceback (most recent call last):", '  File "pca.py", line 3, in fit', "ZeroDivisionError: no rows", "more noise"]
    account.runner = lambda request, context: Ended(1, stderr=lines)

    found = ended(RUN, 1, 'File "pca.py", line 3, in fit', "ZeroDivisionError: no rows")
    assert "please check complete logs" not in found.stderr


def test_a_run_that_others_cancel_says_that_it_resumes_when_it_is_run_again(account):
    def cancelled(request, context):
        account.emr.job_runs.cancel(account.emr.job_runs.get(request["applicationId"], context.job_run_id), 0)
        context.stopping.wait()
        return Ended(143)

    account.runner = cancelled

    ended(RUN, 130, "the run was cancelled", "hint: run it again: it resumes from the last commit")


def test_a_laptop_that_was_closed_finds_its_run_over(account, aws, monkeypatch):
    """The network is away from the start to after the end: the command says so once, and shows the end."""
    write = leave(aws)

    def away(request, context):
        account.lose_answer("GetJobRun", 4)
        time.sleep(0.2)
        write(request, context)

    account.runner = ScriptedRunner(PROGRESS, meanwhile=away)

    found = ended(RUN, 0, "no response from AWS, check the network; the run continues", "AWS is reachable again", "10 listed")
    assert found.stderr.count("check the network") == 1


def test_ctrl_c_right_after_the_start_looks_away(account, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job_runs, "get_job_run", interrupt)
        ended(RUN, 0, "Detached from run r1, which continues", "fruitsctl cancel r1")
    assert fruitsctl("status", "r1").returncode == 0
