"""What goes wrong between an empty account and an empty account: refusals, interruptions, others at work, things deleted by hand."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from cli.aws import emr_serverless as application
from cli.errors import FruitsError
from cli.infra import deploy, stacks, teardown
from cli.settings import waiting
from tests.aws.fruitsctl import done, fruitsctl

BUCKET = "fruitsctl-123456789012-eu-west-3"
IMAGE = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@sha256:" + "a" * 64
ASKING = ("Describe", "Get", "Head", "List")  # how operations begin that change nothing


@pytest.fixture(autouse=True)
def quick(standin, monkeypatch, tmp_path):
    for name, value in standin.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    standin.emr.digests = lambda repository, reference: reference  # every image is in the registry
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(application, "POLL_SECONDS", 0.02)


def in_moto(name):
    """The stack as moto holds it."""
    backend = get_backend("cloudformation")[DEFAULT_ACCOUNT_ID]["eu-west-3"]
    return next(stack for stack in backend.stacks.values() if stack.name == name)


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("cloudformation:CreateChangeSet", "up"),
        ("cloudformation:ExecuteChangeSet", "up"),
        ("cloudformation:DescribeStacks", "status"),
        ("cloudformation:DeleteStack", "down"),
        ("emr-serverless:ListApplications", "down"),
        ("ecr:DescribeRepositories", "up"),
        ("iam:GetRole", "up"),
        ("logs:DescribeLogGroups", "up"),
        ("tag:GetResources", "down"),
    ],
)
def test_a_refusal_names_the_missing_action(aws, standin, action, command):
    if command == "down":
        done("infra", "up")
    service = {"tag": "tagging"}.get(action.split(":")[0], action.split(":")[0])
    standin.fail(f"{service}:{action.split(':')[1]}", "AccessDenied")

    refused = fruitsctl("infra", command, *(["--yes"] if command == "down" else []))

    assert refused.returncode == 1
    assert f"access denied for `{action}`" in refused.stderr
    assert f"hint: add `{action}` to your IAM policy" in refused.stderr


@pytest.mark.parametrize(("limit", "what"), [("STACK_SECONDS", "stack `fruitsctl-app`"), ("CHANGE_SET_SECONDS", "the change set of stack")])
def test_a_stack_that_does_not_come_to_rest_is_not_waited_for_for_ever(aws, standin, monkeypatch, limit, what):
    monkeypatch.setattr(stacks, limit, 0.0)
    standin.durations.stack = 2.0
    if limit == "CHANGE_SET_SECONDS":
        ask = BaseClient._make_api_call
        pending = {"Status": "CREATE_IN_PROGRESS"}
        monkeypatch.setattr(
            BaseClient, "_make_api_call", lambda self, name, params: pending if name == "DescribeChangeSet" else ask(self, name, params)
        )

    found = fruitsctl("infra", "up", "--image", IMAGE)

    assert found.returncode == 1
    assert f"error: {what}" in found.stderr
    assert "_IN_PROGRESS after 0 minutes" in found.stderr
    assert "run the same command again: it continues" in found.stderr


def test_up_interrupted_after_any_step_continues(aws, standin, monkeypatch):
    ended, steps = interrupted_at_every_step(monkeypatch, "up", "--image", IMAGE)

    assert (ended.returncode, steps) == (0, ["ExecuteChangeSet", "ExecuteChangeSet", "ExecuteChangeSet"]), ended.stderr
    there = deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl")
    assert (there.bucket, there.image) == (BUCKET, IMAGE)
    assert set(map(len, done("infra", "up")["stacks"].values())) == {0}


def test_down_interrupted_after_any_step_continues(aws, standin, monkeypatch):
    done("infra", "up", "--image", IMAGE, "--own-key")
    aws("s3").put_object(Bucket=BUCKET, Key="photos/a.jpg", Body=b"fruit")
    aws("emr-serverless").start_application(applicationId=deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl").application_id)

    ended, steps = interrupted_at_every_step(monkeypatch, "down", "--yes")

    bucket = ["DeleteObjects", "DeleteBucket", "ScheduleKeyDeletion"]
    assert steps == ["StopApplication", "DeleteStack", "DeleteStack", *bucket, "DeleteStack"]
    assert (ended.returncode, ended.stdout) == (0, "all resources are removed\n"), ended.stderr
    assert aws("s3").list_buckets()["Buckets"] == []


def interrupted_at_every_step(monkeypatch, *command):
    """The command again and again, each time interrupted right after a request that changed something; its end, and those requests."""
    original, steps = BaseClient._make_api_call, []

    def call(client, operation, parameters):
        answer = original(client, operation, parameters)
        # Each attempt makes a new change set: interrupted there every time, it would never get further.
        if not operation.startswith(ASKING) and operation not in ("CreateChangeSet", "DeleteChangeSet"):
            steps.append(operation)
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        while (ended := fruitsctl("infra", *command)).returncode == 130:
            assert len(steps) < 20, steps
    return ended, steps


def test_a_stack_that_another_user_changes_is_left_alone(aws):
    done("infra", "up")
    in_moto("fruitsctl-base").status = "UPDATE_IN_PROGRESS"

    for command in (("plan",), ("up",), ("down", "--yes")):
        refused = fruitsctl("infra", *command)
        assert refused.returncode == 3, refused
        assert "stack `fruitsctl-base` is being changed" in refused.stderr
    assert aws("s3").list_buckets()["Buckets"][0]["Name"] == BUCKET


def test_what_an_earlier_call_of_ours_began_is_waited_for(aws, monkeypatch):
    done("infra", "up")
    stack = in_moto("fruitsctl-base")
    stack.status = "UPDATE_IN_PROGRESS"
    stack._add_stack_event("UPDATE_IN_PROGRESS")
    stack.events[-1].client_request_token = "fruitsctl-of-another-machine"
    monkeypatch.setattr(waiting, "pause", lambda seconds: setattr(stack, "status", "UPDATE_COMPLETE"))

    again = fruitsctl("infra", "up")

    assert (again.returncode, "fruitsctl-base: waiting for update in progress" in again.stderr) == (0, True), again.stderr


def test_a_first_creation_that_failed_is_deleted_and_made_again(aws):
    done("infra", "up")
    in_moto("fruitsctl-base").status = "ROLLBACK_COMPLETE"

    assert "fruitsctl-base: replace fruitsctl-base" in fruitsctl("infra", "plan").stdout
    done("infra", "up")

    assert in_moto("fruitsctl-base").status == "CREATE_COMPLETE"


def test_a_deletion_that_failed_is_finished_by_down(aws):
    done("infra", "up")
    in_moto("fruitsctl-base").status = "DELETE_FAILED"

    refused = fruitsctl("infra", "up")
    assert (refused.returncode, "is stuck in DELETE_FAILED" in refused.stderr) == (1, True)
    assert fruitsctl("infra", "down", "--yes").stdout == "all resources are removed\n"


class FailingDeletion:
    """CloudFormation as far as `stacks.delete` asks it: a deletion fails while `stuck` is not among what is to be retained."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, stuck):
        self.stuck, self.state, self.retained = stuck, "CREATE_COMPLETE", []

    def describe_stacks(self, **request):
        return {"Stacks": [{"StackId": "arn:stack", "StackStatus": self.state}]}

    def delete_stack(self, **request):
        self.retained.append(request.get("RetainResources", []))
        self.state = "DELETE_COMPLETE" if self.stuck in self.retained[-1] else "DELETE_FAILED"

    def get_paginator(self, operation):
        resource = {
            "LogicalResourceId": self.stuck,
            "ResourceType": "AWS::IAM::Role",
            "PhysicalResourceId": "r",
            "ResourceStatus": self.state,
        }
        return type("Pages", (), {"paginate": lambda _, **request: [{"StackResourceSummaries": [resource], "StackEvents": []}]})()


def test_only_what_is_really_gone_is_left_out_of_a_deletion_that_failed():
    gone, kept = FailingDeletion("Role"), FailingDeletion("Role")

    stacks.delete(gone, "fruitsctl-base", lambda _: None, gone=lambda resource: resource.logical == "Role")
    with pytest.raises(FruitsError, match="stack `fruitsctl-base` failed with DELETE_FAILED"):
        stacks.delete(kept, "fruitsctl-base", lambda _: None, gone=lambda resource: False)

    assert gone.retained == [[], ["Role"]]
    assert kept.retained == [[], []]


def test_what_was_deleted_by_hand_is_found_by_up_and_fixed_by_down_and_up(aws):
    done("infra", "up")
    aws("ecr").delete_repository(repositoryName="fruitsctl", force=True)

    refused = fruitsctl("infra", "up")
    assert refused.returncode == 1
    assert "AWS::ECR::Repository `fruitsctl` was deleted by hand" in refused.stderr
    assert "hint: run `fruitsctl infra down --keep-data`, then `fruitsctl infra up`" in refused.stderr

    assert fruitsctl("infra", "down", "--keep-data", "--yes").returncode == 0
    done("infra", "up")
    assert len(aws("ecr").describe_repositories()["repositories"]) == 1


def test_down_after_bucket_and_role_were_deleted_by_hand(aws):
    done("infra", "up")
    aws("s3").delete_bucket(Bucket=BUCKET)
    for name in aws("iam").list_role_policies(RoleName="fruitsctl-eu-west-3")["PolicyNames"]:
        aws("iam").delete_role_policy(RoleName="fruitsctl-eu-west-3", PolicyName=name)
    aws("iam").delete_role(RoleName="fruitsctl-eu-west-3")

    said = fruitsctl("infra", "down", "--yes")

    assert (said.returncode, said.stdout) == (0, "all resources are removed\n"), said.stderr


def test_a_bucket_of_the_same_name_that_the_stack_did_not_make_is_never_touched(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    s3.put_object(Bucket=BUCKET, Key="mine", Body=b"fruit")

    refused = fruitsctl("infra", "up")
    assert refused.returncode == 2
    assert f"the bucket `{BUCKET}` already exists and does not belong to this project" in refused.stderr
    assert fruitsctl("infra", "down", "--yes").stdout == "all resources are removed\n"

    assert s3.get_object(Bucket=BUCKET, Key="mine")["Body"].read() == b"fruit"


def test_a_bucket_that_made_the_first_creation_fail_is_not_one_of_the_stack(aws):
    """CloudFormation lists it, with its name, as CREATE_FAILED: taken at its word, `down` would empty somebody else's bucket."""

    class Listing:
        def describe_stacks(self, **request):
            return {"Stacks": [{"StackId": "arn:stack", "StackStatus": "ROLLBACK_COMPLETE"}]}

        def get_paginator(self, operation):
            found = [
                {"LogicalResourceId": name, "ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": BUCKET, "ResourceStatus": state}
                for name, state in (("Bucket", "CREATE_FAILED"), ("Other", "DELETE_COMPLETE"), ("Made", "CREATE_COMPLETE"))
            ]
            return type("Pages", (), {"paginate": lambda _, **request: [{"StackResourceSummaries": found}]})()

    assert [resource.logical for resource in stacks.resources(Listing(), "fruitsctl-data")] == ["Made"]


def test_an_object_that_s3_keeps_stops_down_and_is_named(aws, monkeypatch):
    done("infra", "up")
    s3 = aws("s3")
    s3.put_object(Bucket=BUCKET, Key="photos/a.jpg", Body=b"fruit")
    kept = {"Errors": [{"Key": "photos/a.jpg", "Code": "AccessDenied", "Message": "object is locked"}]}
    monkeypatch.setattr(s3, "delete_objects", lambda **_: kept)

    with pytest.raises(FruitsError, match=f"cannot delete `1` object of bucket `{BUCKET}`, first `photos/a.jpg`: AccessDenied"):
        teardown.delete_bucket(s3, BUCKET, DEFAULT_ACCOUNT_ID, lambda _: None)

    assert s3.list_buckets()["Buckets"][0]["Name"] == BUCKET


def test_nothing_is_left_is_said_only_if_it_is_true(aws):
    done("infra", "up")
    aws("s3").create_bucket(Bucket="another", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    aws("s3").put_bucket_tagging(Bucket="another", Tagging={"TagSet": [{"Key": "fruitsctl", "Value": "fruitsctl"}]})

    said = fruitsctl("infra", "down", "--yes")

    assert (said.returncode, said.stdout) == (1, "")
    assert "`1` resource still there: arn:aws:s3:::another" in said.stderr


def test_a_budget_where_cloudformation_has_none_and_a_key_for_a_registry_without_are_refused_before_anything_is_made(aws):
    refused = fruitsctl("infra", "up", "--region", "eu-north-1", "--budget-email", "a@example.org")
    assert (refused.returncode, "CloudFormation does not support budgets in `eu-north-1`" in refused.stderr) == (2, True)
    assert aws("s3").list_buckets()["Buckets"] == []

    done("infra", "up")
    refused = fruitsctl("infra", "up", "--own-key")
    assert (refused.returncode, "the key of an existing repository cannot be changed" in refused.stderr) == (2, True)


def test_a_repository_made_before_is_named_before_anything_is_made(aws):
    aws("ecr").create_repository(repositoryName="fruitsctl")

    refused = fruitsctl("infra", "up")

    assert (refused.returncode, "the repository `fruitsctl` already exists" in refused.stderr) == (2, True)
    assert aws("s3").list_buckets()["Buckets"] == []
    assert json.loads(fruitsctl("infra", "status", "--json").stdout)["outputs"] == {}
