"""`fruitsctl doctor --aws`: each thing that a run needs of the account, present and missing, with its fix; on the simulator."""

import json
from pathlib import Path

import boto3
import pytest

from cli.container.pushed import PushedImage, save_pushed
from tests.aws import moto_repairs
from tests.aws.account import BUCKET, REPOSITORY, an_account, nobody_waits, only_application, pushed  # noqa: F401
from tests.aws.fruitsctl import done, fruitsctl

ACCOUNT = "123456789012"
GONE = f"sha256:{'0' * 64}"
NAMES = ["region", "credentials", "service", "quota", "service role", "data stack", "base stack", "app stack"]
PUSH = "fruitsctl image build && fruitsctl image check && fruitsctl image push"


@pytest.fixture(autouse=True)
def folders(standin, monkeypatch, tmp_path):
    """Nothing was ever pushed from here."""
    for name in ("STATE", "CACHE"):
        monkeypatch.setenv(f"FRUITS_{name}", str(tmp_path / name.lower()))


def push(folder: Path, digest: str) -> None:
    """What `image push` remembers."""
    save_pushed(folder / "state", PushedImage(f"{REPOSITORY}@{digest}", digest, "t", REPOSITORY))


def doctor():
    """Exit code, and check by name."""
    ended = fruitsctl("doctor", "--aws", "--json")
    return ended.returncode, {check["name"]: check for check in json.loads(ended.stdout)["checks"]}


def only_image(aws):
    (image,) = aws("ecr").describe_images(repositoryName="fruitsctl")["imageDetails"]
    return image["imageDigest"]


def failed(name):
    """(found, mend) of a check that failed, and made the command fail."""
    code, found = doctor()
    assert (code, found[name]["ok"]) == (1, False), found[name]
    return found[name]["found"], found[name]["mend"]


def noted(name):
    """What a check found that makes no command fail."""
    found = doctor()[1][name]
    assert found["ok"], found
    return found["found"]


def test_an_account_in_which_infra_up_has_been_is_fine(aws, tmp_path):
    done("infra", "up")
    digest = pushed(aws, tmp_path, "1")
    done("infra", "up")
    aws("iam").create_service_linked_role(AWSServiceName="ops.emr-serverless.amazonaws.com")

    code, found = doctor()

    assert (code, [check["name"] for check in found.values() if not check["ok"]]) == (0, [])
    assert list(found) == [*NAMES, "buckets", "application", "image", "prices"]
    arn = boto3.client("sts", region_name="eu-west-3").get_caller_identity()["Arn"]
    said = {name: check["found"] for name, check in found.items()}
    assert said["region"] == "eu-west-3 (Paris)"
    assert said["credentials"] == f"account {ACCOUNT}, {arn}"
    assert said["quota"] == "16 concurrent vCPUs (default of a new account); a driver and one executor need 8"
    assert (said["data stack"], said["base stack"], said["app stack"]) == ("CREATE_COMPLETE",) * 3
    assert said["buckets"] == f"{BUCKET} in eu-west-3"
    assert said["application"].endswith(", CREATED, emr-7.13.0")
    assert said["image"] == f"fruitsctl@{digest}"
    assert said["prices"].endswith(": $0.059 per vCPU-hour, $0.0065 per GB-hour")


def test_nothing_is_changed(standin, monkeypatch):
    for name, value in standin.environment(everything=True).items():
        monkeypatch.setenv(name, value)

    doctor()

    asked = {call.operation for call in standin.calls}
    assert {"GetCallerIdentity", "ListApplications", "GetServiceQuota", "GetRole", "DescribeStacks", "GetProducts"} == asked


def test_in_an_empty_account_the_stacks_are_missing_and_the_command_that_makes_them_is_named():
    ended = fruitsctl("doctor", "--aws")

    assert ended.returncode == 1
    assert "FAILED   data stack    not created\n         fix: fruitsctl infra up\n" in ended.stdout
    assert f"FAILED   app stack     not created\n         fix: {PUSH}, then fruitsctl infra up\n" in ended.stdout
    assert "error: missing: data stack, base stack, app stack\nhint: run the commands after `fix:`" in ended.stderr
    assert list(doctor()[1]) == [*NAMES, "prices"]  # what is in a stack is not asked for


def test_without_credentials_nothing_else_is_asked(standin, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert failed("credentials") == ("no AWS credentials found", "set AWS_PROFILE, or run `aws configure`")
    assert list(doctor()[1]) == ["region", "credentials"]
    assert standin.calls == []


def test_a_region_outside_the_union_is_refused_before_anything_is_asked(standin, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-2")

    ended = fruitsctl("doctor", "--aws")

    assert (ended.returncode, ended.stdout, standin.calls) == (3, "", [])
    assert "`eu-west-2` (London) is not on the list" in ended.stderr


def test_a_service_that_does_not_let_us_in_is_named_with_the_missing_action(standin):
    standin.fail("ListApplications", "AccessDeniedException")

    found, mend = failed("service")

    assert found.startswith("access denied for `emr-serverless:ListApplications`")
    assert mend == "add `emr-serverless:ListApplications` to your IAM policy"


def test_a_quota_too_small_for_a_driver_and_an_executor_comes_with_the_request_for_more(standin):
    standin.quota(4)

    found, mend = failed("quota")

    assert found == "4 concurrent vCPUs; a driver and one executor need 8"
    assert mend == (
        "aws service-quotas request-service-quota-increase --region eu-west-3 --service-code emr-serverless"
        " --quota-code L-D05C8A75 --desired-value 16"
    )


def test_a_quota_that_may_not_be_asked_for_is_named_with_the_missing_action(standin):
    standin.fail("GetServiceQuota", "AccessDeniedException")

    assert failed("quota")[1] == "add `servicequotas:GetServiceQuota` to your IAM policy"


def test_the_services_own_role_is_a_note_whether_missing_or_not_to_be_asked_for(standin, monkeypatch):
    create = "aws iam create-service-linked-role --aws-service-name ops.emr-serverless.amazonaws.com"
    assert noted("service role") == f"not created yet: created with the first application, or by `{create}`"

    for name, value in standin.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    standin.fail("GetRole", "AccessDenied")
    assert noted("service role").startswith("unknown: access denied for `iam:GetRole`")


def test_stacks_that_may_not_be_looked_at_are_one_check(standin):
    standin.fail("DescribeStacks", "AccessDenied")

    assert failed("stacks")[1] == "add `cloudformation:DescribeStacks` to your IAM policy"


@pytest.mark.parametrize(
    ("state", "mend"),
    [
        ("ROLLBACK_COMPLETE", "fruitsctl infra up"),
        ("DELETE_FAILED", "run `fruitsctl infra down` to resume the deletion"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "run `aws cloudformation continue-update-rollback --region eu-west-3 --stack-name fruitsctl-app`, then run the command again",
        ),
        ("UPDATE_IN_PROGRESS", "wait until it has finished"),
    ],
)
def test_a_stack_that_is_not_well_is_named_with_its_state(account, state, mend):
    (made,) = account.cloudformation._stacks.values()
    made.status = state

    assert failed("app stack") == (state, mend)


def test_a_stack_whose_update_was_undone_works_as_before(account):
    (made,) = account.cloudformation._stacks.values()
    made.status = "UPDATE_ROLLBACK_COMPLETE"

    assert noted("app stack") == "UPDATE_ROLLBACK_COMPLETE"


def test_a_bucket_of_another_region_is_named(account, monkeypatch):
    place = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3", region_name="eu-central-1").create_bucket(Bucket="photos-in-frankfurt", CreateBucketConfiguration=place)
    monkeypatch.setenv("FRUITS_INPUT", "s3://photos-in-frankfurt/photos")

    found, mend = failed("buckets")

    assert found == "bucket `photos-in-frankfurt` is in eu-central-1, the application in eu-west-3"
    assert mend == "copy the data to a bucket in the Region of the application"


def test_before_a_push_the_image_is_missing():
    done("infra", "up")

    assert failed("image") == ("no image was pushed from this machine", PUSH)


def test_an_image_that_was_removed_from_the_registry_is_missing(account, tmp_path):
    push(tmp_path, GONE)

    assert failed("image") == (f"{GONE} is no longer in the repository fruitsctl", "fruitsctl image push")


def test_on_another_machine_the_applications_own_image_is_looked_for(account, aws, tmp_path):
    (tmp_path / "state" / "pushed.json").unlink()

    assert noted("image") == f"fruitsctl@{only_image(aws)}"
    assert doctor()[0] == 0


def test_an_application_with_another_image_than_the_one_pushed_last_is_named(account, aws, tmp_path):
    push(tmp_path, GONE)

    assert failed("application") == (
        f"it uses {only_image(aws)}, the last push was {GONE}",
        "fruitsctl infra up, or start a run, which updates it",
    )


def test_an_application_deleted_by_hand_is_named(account, aws):
    identity = only_application(aws)["id"]
    aws("emr-serverless").delete_application(applicationId=identity)

    assert failed("application") == (f"application `{identity}` does not exist", "run `fruitsctl infra up` to recreate it")


def test_without_the_price_list_prices_are_an_estimate_and_that_is_a_note(standin):
    standin.prices(None)

    assert noted("prices") == "estimate of 2026-04: $0.06318 per vCPU-hour, $0.00689 per GB-hour"


def test_an_image_that_is_in_the_repository_without_a_push_is_found(aws, tmp_path, monkeypatch):
    """As in a rehearsal, which has no registry."""
    digest = f"sha256:{'1' * 64}"
    monkeypatch.setitem(moto_repairs.PUSHED, "fruitsctl", digest)
    push(tmp_path, digest)
    for _ in range(2):  # also in an account that was emptied
        done("infra", "up")

        assert noted("image") == f"fruitsctl@{digest}"
        assert only_image(aws) == digest
        assert fruitsctl("infra", "down", "--yes").returncode == 0
