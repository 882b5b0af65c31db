"""`fruitsctl run --serverless` and what follows it, against the stand-in; the job's part is a script, all else is the command itself."""

import json
import os
import re
import time

import boto3
import pytest

from cli.targets.emr_serverless import application, follow
from job.contract.records import Outcome
from tests.aws.account import BUCKET, DONE, PROGRESS, REPOSITORY, RUN, an_account, ended, leave, nobody_waits, pushed, started  # noqa: F401
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner
from tests.terminal import on_a_terminal

URL = "https://b.s3.amazonaws.com/x?X-Amz-Signature=planted0signature"


def elsewhere(name, region):
    boto3.client("s3", region_name=region).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})


def test_a_run_takes_input_and_output_from_the_stack_and_ends_with_manifest_and_cost(account, aws):
    found = ended((*RUN, "--json"), 0, "running", "Embed images: 10 of 10 images")

    assert json.loads(found.stdout)["counts"]["embedded"] == 10
    (request,) = started(account)
    assert f"--input=s3://{BUCKET}/photos" in request["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert json.loads(aws("s3").get_object(Bucket=BUCKET, Key="out/costs/r1.json")["Body"].read())["run_id"] == "r1"
    assert done("status", "r1")["outcome"]["message"] == "10 rows, k = 2"


def test_a_dry_run_shows_the_request_its_worst_case_and_what_it_needs_and_sends_nothing(account):
    shown = done(*RUN, "--dry-run", "--timeout", "60")

    assert shown["request"]["executionTimeoutMinutes"] == 60
    assert shown["worst_case_usd"] > 0
    assert "emr-serverless:StartJobRun" in shown["needs"]
    assert started(account) == []
    assert not any(call.operation in ("StartApplication", "UpdateApplication") for call in account.calls)


def test_a_limit_on_cost_shortens_the_time_or_refuses_the_run(account):
    limited = done(*RUN, "--dry-run", "--max-cost", "0.5")
    assert limited["worst_case_usd"] <= 0.5
    assert 5 <= limited["request"]["executionTimeoutMinutes"] < 180

    ended((*RUN, "--max-cost", "0.5", "--timeout", "600"), 3, "more than $0.5", "--timeout")
    assert started(account) == []


def test_more_executors_than_the_quota_are_refused_with_the_most_that_fit(account):
    account.quota(12)

    ended((*RUN, "--executors", "3"), 2, "the quota is 12", "use --executors 2")


def test_detached_a_run_continues_and_is_found_again_from_another_machine(account, monkeypatch, tmp_path):
    assert done(*RUN, "--detach")["detached"] is True
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "elsewhere"))

    assert done("status", "r1")["run_id"] == "r1"
    assert done("status")["output"] == f"s3://{BUCKET}/out"


def test_what_was_accepted_without_an_answer_is_one_run(account):
    account.lose_answer("StartJobRun", 3)

    ended((*RUN, "--detach"), 0, "so that the run starts once")
    assert len({request["clientToken"] for request in started(account)}) == 1
    assert len(started(account)) == 4
    assert done("status", "r1")["job_run_id"]
    assert len(account.runner.requests) == 1


def test_the_same_run_sent_twice_is_one_run(account):
    first, second = done(*RUN, "--detach"), done(*RUN, "--detach")

    assert first["job_run_id"] == second["job_run_id"]


def test_what_is_sent_is_written_down_before(account, tmp_path):
    account.fail("StartJobRun", "AccessDeniedException", 1)

    ended(RUN, 1, "access denied for `emr-serverless:StartJobRun`", "add `emr-serverless:StartJobRun` to your IAM policy")
    kept = json.loads((tmp_path / "state" / "runs" / "r1.json").read_text())
    assert (kept["request"]["clientToken"], kept["job_run_id"]) == ("r1", None)


def test_a_newer_image_goes_onto_an_idle_application(account, aws, tmp_path):
    ended(RUN, 0)
    before = aws("ecr").describe_images(repositoryName="fruitsctl")["imageDetails"][0]["imageDigest"]
    digest = pushed(aws, tmp_path, "2")
    assert digest != before

    job_run = done("run", "--serverless", "--run-id", "r2", "--detach")
    emr = aws("emr-serverless")
    found = emr.get_job_run(applicationId=job_run["application_id"], jobRunId=job_run["job_run_id"])["jobRun"]
    assert found["imageConfiguration"]["resolvedImageDigest"] == digest


def test_a_newer_image_waits_while_other_runs_are_active(account, aws, tmp_path):
    account.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")
    pushed(aws, tmp_path, "2")

    ended(("run", "--serverless", "--run-id", "r2"), 3, "1` active run uses the old one: r1")


def test_a_run_that_got_another_image_is_cancelled(account, aws, monkeypatch, tmp_path):
    account.runner = ScriptedRunner(seconds=30)
    monkeypatch.setattr(application, "put_image", lambda *_: None)
    pushed(aws, tmp_path, "2")

    ended(RUN, 1, "EMR used image `sha256:", "the run is cancelled")
    assert [call.operation for call in account.calls if call.operation == "CancelJobRun"] == ["CancelJobRun"]


def test_an_image_that_the_service_may_not_read_names_the_policy(account, aws):
    aws("ecr").delete_repository_policy(repositoryName="fruitsctl")

    ended(RUN, 1, "not authorized to perform", "run `fruitsctl infra up` to restore the policy of the repository")
    assert started(account) == []


def test_an_image_of_another_architecture_or_none_is_named(account, aws):
    account.image(architecture="ARM64")
    ended(RUN, 1, "architecture doesn't match", "build the image for the architecture of the application")

    account.image()
    digest = aws("ecr").describe_images(repositoryName="fruitsctl")["imageDetails"][0]["imageDigest"]
    aws("ecr").batch_delete_image(repositoryName="fruitsctl", imageIds=[{"imageDigest": digest}])
    ended(RUN, 1, "does not exist", "run `fruitsctl image push`")


def test_an_application_deleted_by_hand_is_named(account, aws):
    emr = aws("emr-serverless")
    (only,) = emr.list_applications()["applications"]
    emr.stop_application(applicationId=only["id"])
    emr.delete_application(applicationId=only["id"])

    ended(RUN, 2, f"application `{only['id']}` does not exist", "run `fruitsctl infra up`")


def test_the_jobs_own_end_is_the_commands(account, aws):
    account.runner = ScriptedRunner(code=2, meanwhile=leave(aws, Outcome("r1", 2, "InputError", "there is no photo", "check INPUT")))

    ended(RUN, 2, "there is no photo", "hint: check INPUT")


def test_a_job_that_died_shows_the_end_of_its_traceback_without_secrets(account):
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', f"ValueError: see {URL}"]
    account.runner = ScriptedRunner(code=1, stderr=lines)

    found = ended(RUN, 1, "ValueError: see https://b.s3.amazonaws.com/x?***", "fruitsctl logs r1 --stderr")
    assert "planted0signature" not in found.stderr + found.stdout
    assert "planted0signature" not in fruitsctl("logs", "r1", "--stderr").stdout


def test_without_a_log_group_the_traceback_comes_from_the_bucket(account, aws):
    aws("logs").delete_log_group(logGroupName="/aws/emr-serverless/fruitsctl")
    account.runner = ScriptedRunner(code=1, stderr=["Traceback (most recent call last):", "KeyError: 'label'"])

    ended(RUN, 1, "KeyError: 'label'")
    assert "KeyError: 'label'" in fruitsctl("logs", "r1", "--stderr").stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [("ThrottlingException", "AWS throttles requests"), ("ExpiredTokenException", "the credentials have expired: log in again")],
)
def test_what_passes_by_itself_or_by_a_login_only_delays(account, code, said):
    write = account.runner.meanwhile

    def trouble(request, context):
        account.fail("GetJobRun", code, 6)
        time.sleep(0.5)
        write(request, context)

    account.runner = ScriptedRunner(PROGRESS, meanwhile=trouble)
    found = ended(RUN, 0, said, "AWS is reachable again", "10 listed")
    assert found.stderr.count(said) == 1


def test_without_credentials_the_command_says_so(account, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    ended(RUN, 2, "no AWS credentials found")


@pytest.mark.parametrize("operation", ["GetApplication", "StartApplication", "StartJobRun", "GetJobRun"])
def test_access_denied_names_the_missing_action(account, operation):
    account.fail(operation, "AccessDeniedException")

    ended(RUN, 1, f"access denied for `emr-serverless:{operation}`", f"add `emr-serverless:{operation}` to your IAM policy")


def test_who_may_not_read_logs_still_sees_the_end(account, monkeypatch):
    for name, value in account.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    account.fail("DescribeLogStreams", "AccessDeniedException")

    found = ended(RUN, 0, "note: progress is not available: access denied for `logs:DescribeLogStreams`", "10 listed")
    assert found.stderr.count("progress is not available") == 1


def test_ctrl_c_detaches_and_the_run_continues(account, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "follow", interrupt)

    ended(RUN, 0, "Detached from run r1, which continues", "fruitsctl cancel r1", "fruitsctl status r1")
    assert done("status", "r1")["state"] in ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "SUCCESS")


def test_ctrl_c_while_the_cost_is_waited_for_leaves_the_exit_code_of_the_run(aws, account, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "wait_until_billed", interrupt)
    account.runner = ScriptedRunner(code=2, meanwhile=leave(aws, Outcome("r1", 2, "InputError", "there is no photo", "check INPUT")))

    ended(RUN, 2, "there is no photo", "the cost was not waited for: fruitsctl status r1")


def test_the_command_for_the_next_run_keeps_what_was_asked_for(account):
    found = ended((*RUN, "--max-cost", "2", "--executors", "3"), 0, "10 listed")

    assert "--serverless --max-cost 2 --executors 3" in found.stdout


def test_cancel_waits_until_the_workers_are_gone(account):
    account.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")

    assert done("cancel")["state"] == "CANCELLED"
    ended(("status", "r1"), 0, "cancelled")


def test_a_run_killed_for_memory_names_the_setting(account):
    account.runner = ScriptedRunner(code=137, stderr=["java.lang.OutOfMemoryError: Java heap space"])

    ended(RUN, 1, "the run ran out of memory", "raise --executor-memory")


def test_a_run_over_its_time_says_which_flag(account):
    account.durations.minute = 0.05
    account.runner = ScriptedRunner(seconds=30)

    ended((*RUN, "--timeout", "5"), 1, "reached its timeout of `5` minutes", "--timeout")


def test_the_link_to_the_spark_ui_is_printed_and_nothing_else_is(account, tmp_path):
    done(*RUN, "--detach")
    found = ended(("ui", "r1"), 0)

    assert re.fullmatch(r"https://\S+\n", found.stdout)
    assert found.stderr == ""
    kept = "".join(path.read_text() for folder, _, files in os.walk(tmp_path / "state") for path in [tmp_path / folder / f for f in files])
    assert found.stdout.strip() not in kept


def test_a_bucket_in_london_is_refused(account, aws):
    elsewhere("london", "eu-west-2")

    ended(("run", "s3://london/photos", "--serverless"), 3, "eu-west-2", "(London)")


def test_a_bucket_in_another_region_of_the_union_is_refused(account, aws):
    elsewhere("dublin", "eu-west-1")

    ended(("run", "s3://dublin/photos", "--serverless"), 3, "bucket `dublin` is in eu-west-1, the application in eu-west-3")


def test_without_an_application_and_a_terminal_to_ask_the_way_to_one_is_named(standin, aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    ended(RUN, 2, "no complete stack", "`fruitsctl infra up`")

    done("infra", "up")
    ended(RUN, 2, "there is no application yet, and no image for it", "image push")
    pushed(aws, tmp_path, "1")
    ended(RUN, 2, "there is no application yet", "--yes")
    standin.runner = ScriptedRunner(meanwhile=leave(aws))
    ended((*RUN, "--yes"), 0, "10 listed")


def test_a_deadline_takes_the_number_of_photos_from_the_newest_run(account, aws):
    words = ("run", "--serverless", "--deadline", "30", "--dry-run")
    ended(words, 2, "hint: add --images")
    leave(aws)(None, None)
    aws("s3").put_object(Bucket=BUCKET, Key="out/latest.json", Body=b'{"run_id": "r1"}')

    ended(words, 0, "spark.dynamicAllocation.maxExecutors=1 ")


def test_a_deadline_counts_on_the_time_that_large_photos_take(account, aws):
    words = ("run", "--serverless", "--deadline", "15", "--images", "130000", "--dry-run")
    ended(words, 0, "spark.dynamicAllocation.maxExecutors=1 ")
    aws("s3").put_object(Bucket=BUCKET, Key="photos/Kiwi/large.jpg", Body=bytes(2_500_000))

    ended(words, 0, "spark.dynamicAllocation.maxExecutors=3 ")  # 18.2 + 30.2 ms of a vCPU for each


def test_on_a_terminal_an_application_is_made_only_if_the_user_agrees(account, aws):
    aws("cloudformation").delete_stack(StackName="fruitsctl-app")
    before = len(account.calls)

    asked = on_a_terminal(*RUN, typed="n\n")

    assert asked.returncode == 2
    assert f"There is no application yet. Create it with image {REPOSITORY}@sha256:" in asked.terminal
    assert "run `fruitsctl infra up`, or add --yes" in asked.terminal
    assert [call.operation for call in account.calls[before:] if call.operation in ("CreateApplication", "StartJobRun")] == []
