"""What an account does to a run: no credentials, old ones, refusals of each call, quotas, stacks and applications that others touched."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError
from tests.aws.account import BUCKET, RUN, an_account, ended, leave, nobody_waits, only_application, pushed, started  # noqa: F401
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner
from tests.waiting import wait_until

COMMANDS = (RUN, ("status",), ("logs",), ("cancel",), ("ui",), ("cost",))


@pytest.fixture
def everything(account, monkeypatch):
    """All calls but those of S3 go by way of the stand-in, where they can fail."""
    for name, value in account.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    return account


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_without_credentials_every_command_says_so(aws, monkeypatch, tmp_path, words):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    ended(words, 2, "no AWS credentials found", "hint: set AWS_PROFILE")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_credentials_that_have_expired_are_told_at_once(everything, monkeypatch, tmp_path, words):
    everything.fail("*", "ExpiredTokenException")

    found = ended(words, 2, "AWS rejected the credentials for", "ExpiredTokenException", "hint: log in again")
    assert "Traceback" not in found.stderr


# Every action of a run that takes a newer image, but S3's: the command's exit code when it is refused.
REFUSALS = {
    "cloudformation:DescribeStacks": 1,
    "emr-serverless:GetApplication": 1,
    "emr-serverless:GetJobRun": 1,
    "emr-serverless:ListJobRuns": 1,
    "emr-serverless:StartApplication": 1,
    "emr-serverless:StartJobRun": 1,
    "emr-serverless:StopApplication": 1,
    "emr-serverless:UpdateApplication": 1,
    "logs:DescribeLogStreams": 0,
    "logs:FilterLogEvents": 0,
    "pricing:GetProducts": 0,
    "servicequotas:GetServiceQuota": 0,
}


@pytest.fixture
def newer_image(everything, aws, tmp_path):
    """A run has to stop the application first, and to give it the image."""
    aws("emr-serverless").start_application(applicationId=only_application(aws)["id"])
    wait_until(lambda: only_application(aws)["state"] == "STARTED")
    pushed(aws, tmp_path, "2")
    everything.calls.clear()
    return everything


def test_these_are_all_calls_of_a_run(newer_image):
    ended(RUN, 0)

    assert {call.action for call in newer_image.calls} == set(REFUSALS)


@pytest.mark.parametrize("action", REFUSALS)
def test_a_refusal_of_any_call_names_the_missing_action(newer_image, action):
    newer_image.fail(action, "AccessDeniedException")

    found = ended(RUN, REFUSALS[action], f"access denied for `{action}`")
    if REFUSALS[action]:
        assert f"hint: add `{action}` to your IAM policy" in found.stderr
    else:
        assert "note: " in found.stderr


@pytest.mark.parametrize(("action", "words"), [("CancelJobRun", "cancel"), ("GetDashboardForJobRun", "ui")])
def test_a_refusal_after_the_start_names_the_missing_action(account, action, words):
    account.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")
    account.fail(action, "AccessDeniedException")

    ended((words, "r1"), 1, f"access denied for `emr-serverless:{action}`", f"hint: add `emr-serverless:{action}` to your IAM policy")


def test_who_may_not_read_the_log_still_sees_the_state(everything):
    everything.runner = ScriptedRunner(seconds=30)
    done(*RUN, "--detach")
    everything.fail("DescribeLogStreams", "AccessDeniedException")

    ended(("status", "r1"), 0, "Run r1: ", "note: progress is not available: access denied for `logs:DescribeLogStreams`")


@pytest.mark.parametrize(("action", "code"), [("s3:GetObject", 1), ("s3:PutObject", 0)])
def test_a_refusal_of_s3_names_the_missing_action(account, aws, monkeypatch, action, code):
    def refuse(bucket, asked, resource):
        return PermissionResult.DENIED if asked == action and "/out/" in resource else None

    def then_refuse(request, context):
        leave(aws)(request, context)
        monkeypatch.setattr(FakeBucket, "get_permission", refuse)

    account.runner = ScriptedRunner(meanwhile=then_refuse)

    ended(RUN, code, f"access denied for `{action}`")


def test_a_call_that_needs_another_action_too_names_that_one():
    from botocore.exceptions import ClientError

    said = (
        "User: arn:aws:iam::111122223333:user/me is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/x"
    )
    with (
        pytest.raises(FruitsError, match="access denied for `emr-serverless:StartJobRun`") as refused,
        translate_aws_errors("emr-serverless:StartJobRun"),
    ):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "StartJobRun")

    assert refused.value.hint == "add `iam:PassRole` to your IAM policy"


def test_something_else_than_aws_at_the_other_end_is_one_clear_error(aws, monkeypatch):
    class LoginPage(BaseHTTPRequestHandler):
        def do_POST(self):
            page = b"<html><br>Log in to the network"
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), LoginPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://127.0.0.1:{server.server_port}")
        ended(RUN, 1, "the response to `cloudformation:DescribeStacks` is not from AWS", "hint: check for a proxy")
        server.shutdown()


def test_a_quota_that_is_not_told_is_taken_for_a_new_accounts(everything):
    everything.fail("GetServiceQuota", "AccessDeniedException")

    ended((*RUN, "--dry-run"), 0, "assuming 16 vCPUs as in a new account", "16 vCPUs at")
    ended((*RUN, "--executors", "4"), 2, "the quota is 16", "use --executors 3")


def test_a_run_for_which_others_left_no_room_names_the_quota(account):
    account.runner = ScriptedRunner()
    account.emr.quota_vcpu = 8  # all other runs of the account have the rest; Service Quotas still says 16

    ended(RUN, 1, "the quota of the service is exhausted: Job failed as account has reached the service limit", "L-D05C8A75")


def test_a_limit_that_was_put_on_the_application_by_hand_is_kept(account, aws):
    aws("emr-serverless").update_application(
        applicationId=only_application(aws)["id"], maximumCapacity={"cpu": "8 vCPU", "memory": "64 GB", "disk": "400 GB"}
    )

    ended((*RUN, "--executors", "3"), 2, "the quota is 8", "use --executors 1")
    ended(RUN, 0, "10 listed")


def test_a_release_that_was_changed_by_hand_is_named(account, aws):
    aws("emr-serverless").update_application(applicationId=only_application(aws)["id"], releaseLabel="emr-7.12.0")

    ended(RUN, 2, "the application has release `emr-7.12.0`, not emr-7.13.0", "hint: run `fruitsctl infra up` to update it")
    assert started(account) == []


def test_an_image_that_was_changed_by_hand_is_put_back(account, aws, tmp_path):
    emr, ecr = aws("emr-serverless"), aws("ecr")
    ours = emr.get_application(applicationId=only_application(aws)["id"])["application"]["imageConfiguration"]["imageUri"]
    remembered = (tmp_path / "state" / "pushed.json").read_text()
    pushed(aws, tmp_path, "somebody's")
    (tmp_path / "state" / "pushed.json").write_text(remembered)
    other = next(
        one["imageDigest"] for one in ecr.describe_images(repositoryName="fruitsctl")["imageDetails"] if one["imageDigest"] not in ours
    )
    emr.update_application(applicationId=only_application(aws)["id"], imageConfiguration={"imageUri": f"{ours.split('@')[0]}@{other}"})

    ended(RUN, 0, "Updating the image of the application to", "10 listed")
    assert emr.get_application(applicationId=only_application(aws)["id"])["application"]["imageConfiguration"]["imageUri"] == ours


def test_an_application_that_is_stopped_is_started(account, aws):
    emr, identifier = aws("emr-serverless"), only_application(aws)["id"]
    emr.start_application(applicationId=identifier)
    wait_until(lambda: only_application(aws)["state"] != "STARTING")
    emr.stop_application(applicationId=identifier)

    ended(RUN, 0, "10 listed")
    assert only_application(aws)["state"] == "STARTED"


def test_an_application_that_is_just_being_started_is_waited_for(account, aws):
    account.durations.starting = 3.0  # longer than the command takes to look
    aws("emr-serverless").start_application(applicationId=only_application(aws)["id"])
    account.calls.clear()

    ended(RUN, 0, "Application: starting", "10 listed")
    assert "StartApplication" not in {call.operation for call in account.calls}


def test_a_stack_whose_creation_was_rolled_back_is_named_to_who_runs(account):
    stacks = get_backend("cloudformation")[DEFAULT_ACCOUNT_ID]["eu-west-3"].stacks
    base = next(stack for stack in stacks.values() if stack.name == "fruitsctl-base")
    base.status = "ROLLBACK_COMPLETE"
    base.output_map._output_json_map = {}  # as CloudFormation has it: nothing of such a stack is there

    ended(RUN, 2, "no complete stack `fruitsctl-base` in eu-west-3", "hint: run `fruitsctl infra up`")


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "DELETE_FAILED"])
def test_a_stack_that_others_change_or_that_is_stuck_does_not_keep_runs_from_what_is_there(account, status):
    stacks = get_backend("cloudformation")[DEFAULT_ACCOUNT_ID]["eu-west-3"].stacks
    next(stack for stack in stacks.values() if stack.name == "fruitsctl-base").status = status

    ended(RUN, 0, "10 listed")


def test_a_cost_that_was_not_known_is_filled_in_later(account, aws):
    done(*RUN, "--detach")
    wait_until(lambda: done("status", "r1")["state"] == "SUCCESS")
    aws("s3").delete_object(Bucket=BUCKET, Key="out/costs/r1.json")  # not asked again since

    (run,) = done("cost")["runs"]
    assert (run["run_id"], run["state"]) == ("r1", "SUCCESS")
    assert json.loads(aws("s3").get_object(Bucket=BUCKET, Key="out/costs/r1.json")["Body"].read())["usd"] == run["usd"] > 0


def test_a_run_that_the_service_has_forgotten_spoils_no_sum(account):
    done(*RUN, "--detach")
    account.fail("GetJobRun", "ResourceNotFoundException")

    found = fruitsctl("cost", "--json")
    assert (found.returncode, json.loads(found.stdout)["runs"]) == (0, [])
    assert "note: the cost of `r1` is not available" in found.stderr
