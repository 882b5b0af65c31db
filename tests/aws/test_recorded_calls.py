"""The whole story with every request recorded: the operator's policy allows what was asked and no more, NEEDS is what a run asks."""

from pathlib import Path

import boto3
import pytest

from cli.infra import policies
from cli.infra.policies import Scope
from cli.targets.emr_serverless.prepare import NEEDS
from tests.aws.account import PROGRESS, RUN, leave, nobody_waits, pushed  # noqa: F401
from tests.aws.fruitsctl import fruitsctl
from tests.aws.standin.runner import ScriptedRunner

SECURITY = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
SCOPE = Scope("aws", "eu-west-3", "123456789012", "fruitsctl", own_key=True)
# Operations that go by the name of another action: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
ACTIONS = {
    "s3:DeleteObjects": "s3:DeleteObjectVersion",  # each with its version
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
    "tagging:GetResources": "tag:GetResources",
}
FREE = {"sts:GetCallerIdentity"}  # no policy can refuse it: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
# What the policy allows and no request of the story shows.
UNSEEN = {
    "cloudformation:TagResource": "CreateChangeSet with tags",
    "emr-serverless:TagResource": "StartJobRun with tags",
    "iam:PassRole": "StartJobRun, and CreateChangeSet with --deployer",
    "emr-serverless:DeleteApplication": "`infra down`, of one whose stack was deleted by hand",
    "ecr:DeleteRepository": "`infra down`, of one whose stack was deleted by hand",
    "ecr:ListTagsForResource": "`infra down`, of one whose stack was deleted by hand",
    "ecr:CreateRepository": "`image push --create-repository`",
    "ecr:PutLifecyclePolicy": "`image push --create-repository`",
    "ecr:TagResource": "`image push --create-repository`",
    "ecr:GetAuthorizationToken": "`image push`, which needs a Docker engine",
    "ecr:BatchCheckLayerAvailability": "docker push",
    "ecr:InitiateLayerUpload": "docker push",
    "ecr:UploadLayerPart": "docker push",
    "ecr:CompleteLayerUpload": "docker push",
    "ecr:PutImage": "docker push",
    "ecr:BatchGetImage": "docker push, and the user who gives the application its image",
    "ecr:GetDownloadUrlForLayer": "the user who gives the application its image",
    "kms:Decrypt": "S3, for every reader",
    "kms:GenerateDataKey": "S3, for every writer",
    "s3:DeleteObject": "`run --local` into the bucket",
    "s3:GetObjectVersion": "`forget`, which needs Spark",
    "s3:ListMultipartUploadParts": "`run --local` into the bucket",
    "s3:GetBucketLocation": "where HeadBucket does not tell the Region",
}


@pytest.fixture
def recorded(standin, moto, aws, monkeypatch, tmp_path):
    """Actions by command, from an empty account to an empty account. What is done beside the commands goes to moto itself."""
    for name, value in standin.environment(everything=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", standin.url)
    for name in ("STATE", "CACHE"):
        monkeypatch.setenv(f"FRUITS_{name}", str(tmp_path / name.lower()))
    photo = tmp_path / "photos" / "Apple" / "a.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"fruit")
    found = {}

    def beside(service):
        return boto3.client(service, region_name="eu-west-3", endpoint_url=moto)

    def record(*words):
        standin.calls.clear()
        ended = fruitsctl(*words)
        assert ended.returncode == 0, ended.stderr
        found.setdefault(words[0], set()).update(ACTIONS.get(call.action, call.action) for call in standin.calls)

    record("infra", "plan")
    record("infra", "up", "--own-key")
    pushed(beside, tmp_path, "1")
    record("infra", "up")
    (bucket,) = (one["Name"] for one in beside("s3").list_buckets()["Buckets"])
    record("data", "push", str(tmp_path / "photos"), f"s3://{bucket}/photos")
    standin.runner = ScriptedRunner(PROGRESS, meanwhile=leave(beside))
    record(*RUN)
    pushed(beside, tmp_path, "2")
    record("run", "--serverless", "--run-id", "r2", "--detach")  # stops the application, and gives it the image
    for words in (("status", "r1"), ("logs", "r1", "--stderr"), ("ui", "r1"), ("cost",), ("infra", "status"), ("doctor", "--aws")):
        record(*words)
    standin.runner = ScriptedRunner(seconds=30)
    record("run", "--serverless", "--run-id", "r3", "--detach")
    record("cancel", "r3")
    beside("s3").create_multipart_upload(Bucket=bucket, Key="half")
    record("infra", "down", "--yes")
    return found


def test_the_policies_and_the_pages_name_exactly_what_is_asked(recorded):
    asked = set().union(*recorded.values()) - FREE
    allowed = {action for statement in policies.operator(SCOPE) for action in statement.actions}
    page = SECURITY.read_text()

    assert sorted(asked - allowed) == []
    assert sorted(allowed - asked - UNSEEN.keys()) == []
    assert sorted(UNSEEN.keys() - allowed) == []
    assert sorted(UNSEEN.keys() & asked) == []
    assert all(UNSEEN.values())
    assert [action for action in sorted(asked) if f"`{action}`" not in page] == []
    run = {"ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "emr-serverless:TagResource", "iam:PassRole"}
    run |= {"emr-serverless:CancelJobRun"}  # of a run that got another image
    assert recorded["run"] | run == set(NEEDS)
    assert sorted(NEEDS) == list(NEEDS)
