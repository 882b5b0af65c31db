"""From an empty account to what a run needs, and back to nothing, as a user does it; on moto, which makes most of it for real."""

import json
import os
import subprocess
import sys

import pytest

from tests.aws.fruitsctl import done, fruitsctl
from tests.terminal import on_a_terminal

BUCKET = "fruitsctl-123456789012-eu-west-3"


@pytest.fixture(autouse=True)
def state(aws, monkeypatch, tmp_path):
    """Nothing was ever pushed from here."""
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))


def test_plan_says_what_up_does_and_changes_nothing(aws):
    planned = done("infra", "plan")

    assert aws("s3").list_buckets()["Buckets"] == []
    assert [stack for stack in aws("cloudformation").describe_stacks()["Stacks"] if stack["StackStatus"] != "DELETE_COMPLETE"] == []
    made = done("infra", "up")
    assert {change["resource"] for found in planned["stacks"].values() for change in found} == {
        change["resource"] for found in made["stacks"].values() for change in found
    }
    assert {change["action"] for found in made["stacks"].values() for change in found} == {"Add"}


def test_an_option_of_an_application_or_a_budget_that_is_not_made_is_refused(aws):
    for words, said in (
        (("--max-vcpu", "32"), "`--max-vcpu` needs an application"),
        (("--no-interactive",), "`--interactive` needs an application"),
        (("--architecture", "arm64"), "`--architecture` needs an application"),
        (("--budget-usd", "5"), "`--budget-usd` is given without `--budget-email`"),
    ):
        refused = fruitsctl("infra", "up", *words)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert aws("s3").list_buckets()["Buckets"] == []


def test_up_makes_a_private_bucket_and_a_role_that_only_the_service_takes(aws):
    done("infra", "up")
    (bucket,) = (found["Name"] for found in aws("s3").list_buckets()["Buckets"])
    s3 = aws("s3")

    assert bucket == BUCKET
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-3"
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (deny,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    # A peer's second key under the same Bool made the statement match never: its TLS was not enforced.
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})

    (role,) = aws("iam").list_roles()["Roles"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert trust["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:emr-serverless:eu-west-3:123456789012:/applications/*"}
    (repository,) = aws("ecr").describe_repositories()["repositories"]
    assert (repository["imageTagMutability"], repository["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    (allowed,) = json.loads(aws("ecr").get_repository_policy(repositoryName="fruitsctl")["policyText"])["Statement"]
    assert allowed["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert sorted(allowed["Action"]) == ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
    assert allowed["Condition"] == trust["Condition"]
    (group,) = aws("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/aws/emr-serverless/fruitsctl", 30)


def test_up_again_changes_nothing_and_a_changed_wish_only_that(aws):
    done("infra", "up")
    assert done("infra", "up")["stacks"] == {"fruitsctl-data": [], "fruitsctl-base": []}
    assert set(map(len, done("infra", "plan")["stacks"].values())) == {0}

    changed = done("infra", "up", "--log-days", "7")
    assert {change["action"] for found in changed["stacks"].values() for change in found} == {"Modify"}
    assert done("infra", "up")["stacks"] == {"fruitsctl-data": [], "fruitsctl-base": []}  # what is not said stays as it was
    (stack,) = aws("cloudformation").describe_stacks(StackName="fruitsctl-base")["Stacks"]
    assert {"ParameterKey": "LogDays", "ParameterValue": "7"} in stack["Parameters"]


def test_down_leaves_nothing_however_full_the_bucket(aws):
    done("infra", "up")
    s3, bucket = aws("s3"), BUCKET
    aws("s3").create_bucket(Bucket="somebody-elses", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    for key in ("photos/a.jpg", "photos/a.jpg", "out/latest.json"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"fruit")
    s3.delete_object(Bucket=bucket, Key="out/latest.json")
    s3.create_multipart_upload(Bucket=bucket, Key="half")

    said = fruitsctl("infra", "down", "--yes")

    assert said.returncode == 0, said.stderr
    assert said.stdout == "all resources are removed\n"
    assert [found["Name"] for found in s3.list_buckets()["Buckets"]] == ["somebody-elses"]
    assert aws("iam").list_roles()["Roles"] == []
    assert aws("ecr").describe_repositories()["repositories"] == []
    assert aws("logs").describe_log_groups()["logGroups"] == []
    assert fruitsctl("infra", "down", "--yes").stdout == "all resources are removed\n"  # of nothing


def test_down_asks_before_photos_go_and_a_dry_run_removes_nothing(aws):
    done("infra", "up")
    bucket = BUCKET

    refused = fruitsctl("infra", "down")
    assert refused.returncode == 2
    assert f"this deletes bucket `{bucket}` with all photos and results" in refused.stderr
    assert bucket in fruitsctl("infra", "down", "--dry-run").stdout
    assert done("infra", "status")["stacks"] == {
        "fruitsctl-data": "CREATE_COMPLETE",
        "fruitsctl-base": "CREATE_COMPLETE",
        "fruitsctl-app": None,
        "fruitsctl-budget": None,
        "fruitsctl-schedule": None,
        "fruitsctl-alarm": None,
    }


def test_down_asks_also_where_the_data_stay_or_are_gone(aws):
    done("infra", "up")
    gone = "this deletes the application, images and logs of project `fruitsctl`"

    refused = fruitsctl("infra", "down", "--keep-data")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{gone}\nhint: add --yes to confirm\n" in refused.stderr
    wrong = on_a_terminal("infra", "down", "--keep-data", typed=f"{BUCKET}\n")
    assert wrong.returncode == 2
    assert done("infra", "status")["stacks"]["fruitsctl-base"] == "CREATE_COMPLETE"

    assert on_a_terminal("infra", "down", "--keep-data", typed="fruitsctl\n").stdout.strip() == "the data stack is kept"
    assert fruitsctl("infra", "down", "--keep-data").returncode == 0  # nothing is there


def test_a_plan_lists_what_is_asked_for_and_no_more(aws):
    def paid(*words):
        changes = [change for stack in done("infra", "plan", *words)["stacks"].values() for change in stack]
        return sorted({change["kind"].split("::")[1] for change in changes} & {"EC2", "KMS"})

    assert paid() == []
    assert paid("--vpc") == ["EC2"]
    assert paid("--own-key") == ["KMS"]
    done("infra", "up")
    assert paid() == []
    assert paid("--vpc") == ["EC2"]


def test_on_a_terminal_down_goes_ahead_only_with_the_name_of_the_bucket(aws):
    done("infra", "up")

    wrong = on_a_terminal("infra", "down", typed="yes\n")
    assert wrong.returncode == 2
    assert f"This deletes bucket {BUCKET} with all photos and results. Type its name to continue" in wrong.terminal
    assert "the name does not match, nothing was removed" in wrong.terminal
    assert done("infra", "status")["stacks"]["fruitsctl-data"] == "CREATE_COMPLETE"

    assert on_a_terminal("infra", "down", typed=f"{BUCKET}\n").stdout.strip() == "all resources are removed"
    assert aws("s3").list_buckets()["Buckets"] == []


def test_data_that_was_kept_is_taken_up_again(aws):
    done("infra", "up")
    s3, bucket = aws("s3"), BUCKET
    s3.put_object(Bucket=bucket, Key="photos/a.jpg", Body=b"fruit")

    kept = fruitsctl("infra", "down", "--keep-data", "--yes")

    assert (kept.returncode, kept.stdout) == (0, "the data stack is kept\n")
    assert aws("iam").list_roles()["Roles"] == []
    again = done("infra", "up")
    assert (again["stacks"]["fruitsctl-data"], len(again["stacks"]["fruitsctl-base"]) > 0) == ([], True)
    assert s3.get_object(Bucket=bucket, Key="photos/a.jpg")["Body"].read() == b"fruit"


def test_a_key_of_ones_own_encrypts_everything_and_is_on_its_way_out_after_down(aws):
    done("infra", "up", "--own-key")
    (key,) = (found["KeyArn"] for found in aws("kms").list_keys()["Keys"])
    rule = aws("s3").get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key
    (policy,) = json.loads(aws("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"][1:2]
    assert policy["Principal"] == {"Service": "logs.eu-west-3.amazonaws.com"}
    assert "key" in aws("iam").list_role_policies(RoleName="fruitsctl-eu-west-3")["PolicyNames"]

    assert fruitsctl("infra", "down", "--yes").stdout == "all resources are removed\n"
    assert aws("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_region_outside_the_union_is_refused(aws):
    for words in (("plan",), ("up",), ("status",), ("down", "--yes")):
        assert fruitsctl("infra", *words, "--region", "eu-west-2").returncode == 3


def test_without_credentials_one_clear_error(aws, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(os.path.dirname(__file__))))

    refused = subprocess.run([sys.executable, "-m", "cli", "infra", "plan"], capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert "no AWS credentials found" in refused.stderr
    assert "hint: set AWS_PROFILE" in refused.stderr
