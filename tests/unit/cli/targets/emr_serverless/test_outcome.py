"""How a run ended, in words that help; and nothing in them that grants access."""

import pytest

from cli.aws.redact import redact
from cli.targets.emr_serverless.outcome import resolve_outcome
from job.contract.records import Outcome

STDERR = [
    "26/11/21 12:00:01 INFO SparkContext: Running Spark version 3.5.6-amzn-1",
    "Traceback (most recent call last):",
    '  File "/opt/fruits/app/job/pipeline.py", line 42, in run',
    "    fitted = fit_pca(features)",
    "job.contract.errors.InputError: there is no photo below `s3://bucket/photos`",
    "26/11/21 12:00:09 INFO ShutdownHookManager: Shutdown hook called",
]


def run(state, details="", **others):
    return {"state": state, "stateDetails": details, "executionTimeoutMinutes": 60, **others}


def test_the_jobs_own_outcome_is_the_commands():
    ended = resolve_outcome(run("FAILED", "ExitCode: 2"), "r", Outcome("r", 2, "InputError", "no photo", "check INPUT"), STDERR)

    assert (ended.code, ended.message, ended.hint) == (2, "no photo", "check INPUT")


def test_without_an_outcome_the_last_lines_of_the_traceback_are_shown():
    ended = resolve_outcome(run("FAILED", "ExitCode: 1"), "r", None, STDERR)

    assert ended.code == 1
    assert ended.message.splitlines()[0] == "Traceback (most recent call last):"
    assert ended.message.splitlines()[-1] == "job.contract.errors.InputError: there is no photo below `s3://bucket/photos`"


@pytest.mark.parametrize(
    ("details", "stderr"),
    [
        ("ExitCode: 137 (Worker has been killed as memory usage exceeded configured memory size).", []),
        ("Job failed", ["java.lang.OutOfMemoryError: Java heap space"]),
        ("Job failed", ["26/11/21 12:00:09 ERROR TaskSchedulerImpl: Lost executor 1: Container exited with exit code 137"]),
    ],
)
def test_a_run_killed_for_memory_names_the_setting_to_raise(details, stderr):
    ended = resolve_outcome(run("FAILED", details), "r", None, stderr)

    assert (ended.kind, ended.hint) == ("OutOfMemory", "raise --executor-memory")


def test_a_run_over_its_time_names_the_flag_even_when_the_job_wrote_that_it_was_interrupted():
    interrupted = Outcome("r", 130, "Interrupted", "interrupted")
    ended = resolve_outcome(run("CANCELLED", "Job run exceeded its execution timeout of 60 minutes"), "r", interrupted, [])

    assert ended.message == "the run reached its timeout of `60` minutes"
    assert "--timeout" in ended.hint


def test_a_run_that_used_all_its_time_was_ended_for_it_whatever_the_service_calls_it():
    assert resolve_outcome(run("FAILED", "x", totalExecutionDurationSeconds=3600), "r", None, []).kind == "TimedOut"
    assert resolve_outcome(run("FAILED", "x", totalExecutionDurationSeconds=3599), "r", None, []).kind == "Died"


def test_a_cancelled_run_is_no_failure_of_the_job():
    assert resolve_outcome(run("CANCELLED", totalExecutionDurationSeconds=5), "r", None, []).code == 130


def test_a_quota_that_is_used_up_is_told_with_its_number():
    ended = resolve_outcome(run("FAILED", "Job failed as account has reached the service limit on the maximum vCPU"), "r", None, [])

    assert ended.kind == "Quota"
    assert "L-D05C8A75" in ended.hint


def test_success_without_an_outcome_is_none():
    assert resolve_outcome(run("SUCCESS"), "r", None, []).code == 1


def test_presigned_urls_keys_and_tokens_are_taken_out():
    url = "https://bucket.s3.eu-west-3.amazonaws.com/logs/stderr.gz?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0123abcd"

    assert redact(f"see {url} for more") == "see https://bucket.s3.eu-west-3.amazonaws.com/logs/stderr.gz?*** for more"
    assert redact("key ASIAIOSFODNN7EXAMPLE, aws_session_token=FwoGZXIvYXdz") == "key ***, aws_session_token=***"
    assert redact("https://docs.aws.amazon.com/x?page=2") == "https://docs.aws.amazon.com/x?page=2"
    assert "0123abcd" not in resolve_outcome(run("FAILED", url), "r", None, []).message
