"""Check with its own service whether a resource exists: CloudFormation still lists what was deleted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli.aws import errors as aws
from cli.aws.errors import translate_aws_errors

NOT_FOUND = {
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFound",
    "NotFoundException",
    "RepositoryNotFoundException",
    "ResourceNotFoundException",
}


def _log_group(client: Any, name: str) -> bool:
    return any(group["logGroupName"] == name for group in client.describe_log_groups(logGroupNamePrefix=name)["logGroups"])


def _key(client: Any, key: str) -> bool:
    return bool(client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion")


def _application(client: Any, identity: str) -> bool:
    return bool(client.get_application(applicationId=identity)["application"]["state"] != "TERMINATED")


# Type: service, the action it takes, the question.
QUESTIONS: dict[str, tuple[str, str, Callable[[Any, str], bool]]] = {
    "AWS::S3::Bucket": ("s3", "s3:ListBucket", lambda client, name: bool(client.head_bucket(Bucket=name))),
    "AWS::S3::BucketPolicy": ("s3", "s3:ListBucket", lambda client, bucket: bool(client.head_bucket(Bucket=bucket))),
    "AWS::KMS::Key": ("kms", "kms:DescribeKey", _key),
    "AWS::ECR::Repository": (
        "ecr",
        "ecr:DescribeRepositories",
        lambda client, name: bool(client.describe_repositories(repositoryNames=[name])["repositories"]),
    ),
    "AWS::Logs::LogGroup": ("logs", "logs:DescribeLogGroups", _log_group),
    "AWS::IAM::Role": ("iam", "iam:GetRole", lambda client, name: bool(client.get_role(RoleName=name))),
    "AWS::SNS::Topic": ("sns", "sns:GetTopicAttributes", lambda client, arn: bool(client.get_topic_attributes(TopicArn=arn))),
    "AWS::Events::Rule": ("events", "events:DescribeRule", lambda client, name: bool(client.describe_rule(Name=name))),
    "AWS::EMRServerless::Application": ("emr-serverless", "emr-serverless:GetApplication", _application),
}
# The beginning of the resource part of an ARN, by service: https://docs.aws.amazon.com/service-authorization/latest/reference/
ARNS = {
    "s3": ("AWS::S3::Bucket", ""),
    "kms": ("AWS::KMS::Key", "key/"),
    "ecr": ("AWS::ECR::Repository", "repository/"),
    "logs": ("AWS::Logs::LogGroup", "log-group:"),
    "iam": ("AWS::IAM::Role", "role/"),
    "sns": ("AWS::SNS::Topic", ""),
    "events": ("AWS::Events::Rule", "rule/"),
    "emr-serverless": ("AWS::EMRServerless::Application", "/applications/"),
}


def exists(session: Any, region: str, kind: str, physical: str) -> bool:
    """
    Return whether the resource exists.

    True also for a type that is not checked here, and for a bucket of another account. A key that is scheduled for deletion does not exist.

    Raises:
        FruitsError: AWS refuses.
    """
    if kind not in QUESTIONS:
        return True
    service, action, question = QUESTIONS[kind]
    client = aws.client(session, service, region)
    with translate_aws_errors(action):
        try:
            return question(client, physical)
        except client.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in NOT_FOUND:
                return False
            if kind.startswith("AWS::S3::") and code in ("403", "301"):  # a bucket's name is taken for all accounts
                return True
            raise


def arn_exists(session: Any, region: str, arn: str) -> bool:
    """Return whether the resource of an ARN exists. True also for a type that is not checked here."""
    _, _, service, _, _, resource = arn.split(":", 5)
    kind, prefix = ARNS.get(service, ("", ""))
    if not kind or not resource.startswith(prefix):
        return True
    return exists(session, region, kind, arn if service == "sns" else resource.removeprefix(prefix).removesuffix(":*"))
