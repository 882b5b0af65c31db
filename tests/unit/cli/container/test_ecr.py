"""ECR's API, served by moto; botocore holds every request to the service's own model."""

import json
import os
import re

import boto3
import pytest
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from cli.aws import errors as aws
from cli.container import ecr
from cli.errors import FruitsError, UsageError

REGISTRY = "123456789012.dkr.ecr.eu-west-3.amazonaws.com"  # moto's account


@pytest.fixture(autouse=True)
def no_aws(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def session():
    with mock_aws():
        yield boto3.session.Session()  # without a Region: each client gets its own


@pytest.fixture
def client(session):
    return aws.client(session, "ecr", "eu-west-3")


def keys(access_key, secret_key):
    session = boto3.session.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key)
    session.events.register("before-parse.ecr", as_ecr_says_it)
    return session


def as_ecr_says_it(response_dict, **_):
    """Moto's IAM answers in XML whatever the service: here in ECR's protocol, as the service itself does."""
    code = re.search(rb"<Code>(.*?)</Code><Message>(.*?)</Message>", response_dict["body"])
    if code:
        kind = {"AccessDenied": "AccessDeniedException", "InvalidClientTokenId": "UnrecognizedClientException"}[code[1].decode()]
        response_dict["body"] = json.dumps({"__type": kind, "message": code[2].decode()}).encode()


def user_who_may(*actions):
    """A session of a moto user with this policy. Three calls of the IAM API."""
    iam = boto3.client("iam", region_name="us-east-1")
    iam.create_user(UserName="alice")
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    return keys(key["AccessKeyId"], key["SecretAccessKey"])


def test_the_default_registry_is_that_of_the_callers_account(session):
    assert ecr.own_registry(session, "eu-west-3") == "123456789012.dkr.ecr.eu-west-3.amazonaws.com"


def test_the_sovereign_cloud_has_its_own_domain():
    assert ecr.dns_suffix("eusc-de-east-1") == "amazonaws.eu"


def test_the_client_is_of_the_region_that_was_asked_for_whatever_the_environment_says(session, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert aws.client(session, "ecr", "eu-south-2").meta.region_name == "eu-south-2"


def test_the_token_is_a_user_name_and_a_password_that_its_repr_does_not_show(client):
    login = ecr.login(client)

    assert (login.username, login.password) == ("AWS", "123456789012-auth-token")
    assert repr(login) == "Login(username='AWS')"


def test_a_repository_is_there_once_it_was_created(client):
    assert not ecr.has_repository(client, REGISTRY, "fruitsctl")

    ecr.create_repository(client, "fruitsctl")

    assert ecr.has_repository(client, REGISTRY, "fruitsctl")


def test_a_repository_is_created_scanned_immutable_and_encrypted(client):
    ecr.create_repository(client, "fruitsctl")

    [made] = client.describe_repositories()["repositories"]
    assert made["repositoryUri"] == "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}


def test_a_repository_is_encrypted_with_the_users_key_if_one_is_given(client):
    key = "arn:aws:kms:eu-west-3:123456789012:key/0a1b"

    ecr.create_repository(client, "fruitsctl", key)

    assert client.describe_repositories()["repositories"][0]["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}


def test_only_untagged_images_expire(client):
    ecr.create_repository(client, "fruitsctl")

    policy = json.loads(client.get_lifecycle_policy(repositoryName="fruitsctl")["lifecyclePolicyText"])
    assert policy == {
        "rules": [
            {
                "rulePriority": 1,
                "description": "untagged images, after 14 days",
                "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
                "action": {"type": "expire"},
            }
        ]
    }


def test_no_credentials_is_one_clear_error():
    for ask in (
        lambda session: ecr.own_registry(session, "eu-west-3"),
        lambda session: ecr.login(aws.client(session, "ecr", "eu-west-3")),
        lambda session: ecr.has_repository(aws.client(session, "ecr", "eu-west-3"), REGISTRY, "fruitsctl"),
    ):
        with pytest.raises(UsageError, match="no AWS credentials found") as error:
            ask(boto3.session.Session())
        assert error.value.hint == "set AWS_PROFILE, or run `aws configure`"


@pytest.mark.parametrize(
    ("action", "ask"),
    [
        ("ecr:GetAuthorizationToken", ecr.login),
        ("ecr:DescribeRepositories", lambda client: ecr.has_repository(client, REGISTRY, "fruitsctl")),
        ("ecr:CreateRepository", lambda client: ecr.create_repository(client, "fruitsctl")),
    ],
)
def test_a_refusal_names_the_action_that_is_missing(action, ask):
    @mock_aws
    @set_initial_no_auth_action_count(3)
    def refused():
        with pytest.raises(FruitsError, match=f"access denied for `{action}`") as error:
            ask(aws.client(user_who_may("s3:GetObject"), "ecr", "eu-west-3"))
        return error.value

    error = refused()
    assert (error.exit_code, error.hint) == (1, f"add `{action}` to your IAM policy")


def test_a_repository_whose_lifecycle_rule_is_refused_does_not_stay_without_one():
    @mock_aws
    @set_initial_no_auth_action_count(3)
    def refused():
        client = aws.client(user_who_may("ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:DeleteRepository"), "ecr", "eu-west-3")
        with pytest.raises(FruitsError, match="access denied for `ecr:PutLifecyclePolicy`"):
            ecr.create_repository(client, "fruitsctl")
        return ecr.has_repository(client, REGISTRY, "fruitsctl")

    assert refused() is False


def test_keys_that_aws_does_not_know_say_so():
    @mock_aws
    @set_initial_no_auth_action_count(0)
    def refused():
        session = keys("AKIAIOSFODNN7EXAMPLE", "wrong")
        with pytest.raises(UsageError, match="AWS rejected the credentials for `ecr:GetAuthorizationToken`") as error:
            ecr.login(aws.client(session, "ecr", "eu-west-3"))
        return error.value.hint

    assert refused() == "log in again, for example by `aws sso login`"
