"""An account as `infra up` leaves it, with an application and an image pushed; a job that leaves what a job leaves; without waiting."""

import json

import boto3
import pytest

from cli.aws import clients
from cli.aws import emr_serverless as infra_application
from cli.container.pushed import PushedImage, save_pushed
from cli.infra import deploy, stacks
from cli.targets.emr import waits
from cli.targets.emr_serverless import application, follow, job_runs
from job.contract.records import Manifest, Outcome, Progress, Stage, to_line
from tests.aws.fruitsctl import fruitsctl
from tests.aws.standin.runner import ScriptedRunner

GROUP = "/aws/emr-serverless/fruitsctl"
BUCKET = "fruitsctl-123456789012-eu-west-3"
REPOSITORY = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl"
RUN = ("run", "--serverless", "--run-id", "r1")
PROGRESS = [to_line(Progress("embed", 5, 10)), "noise of somebody", to_line(Progress("embed", 10, 10, seconds=2.0, finished=True))]
DONE = Outcome("r1", 0, "done", "10 rows, k = 2")
READERS = {
    "Effect": "Allow",
    "Principal": {"Service": "emr-serverless.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"],
}
# What commands read of the two stacks, at a tenth of the time that they take; the application comes from its own template.
OUTPUTS = {
    "fruitsctl-data": {"Bucket": BUCKET},
    "fruitsctl-base": {"RepositoryUri": REPOSITORY, "RuntimeRoleArn": "arn:aws:iam::123456789012:role/fruitsctl", "LogGroup": GROUP},
}


@pytest.fixture(name="quick", autouse=True)
def nobody_waits(monkeypatch):
    for module, name in (
        (application, "POLL_SECONDS"),
        (clients, "PAUSE_SECONDS"),
        (waits, "POLL_SECONDS"),
        (infra_application, "POLL_SECONDS"),
        (stacks, "POLL_SECONDS"),
        (job_runs, "PAUSE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.05)
    monkeypatch.setattr(waits, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(follow, "BILLED_SECONDS", 0.2)
    monkeypatch.setattr(clients, "ATTEMPTS", 0)  # botocore's own, which would hide from us what we wait for


@pytest.fixture(name="account")
def an_account(standin, aws, monkeypatch, tmp_path):
    for name in ("STATE", "CACHE"):
        monkeypatch.setenv(f"FRUITS_{name}", str(tmp_path / name.lower()))
    for name, outputs in OUTPUTS.items():
        something = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}
        template = {"Resources": {"Something": something}, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
        aws("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    aws("logs").create_log_group(logGroupName=GROUP)
    aws("ecr").create_repository(repositoryName="fruitsctl")
    aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    aws("ecr").set_repository_policy(repositoryName="fruitsctl", policyText=json.dumps({"Version": "2012-10-17", "Statement": [READERS]}))
    digest = pushed(aws, tmp_path, "1")
    deploy.put_application(boto3.session.Session(), "eu-west-3", "fruitsctl", f"{REPOSITORY}@{digest}", lambda _: None)
    standin.runner = ScriptedRunner(PROGRESS, meanwhile=leave(aws))
    return standin


def pushed(aws, tmp_path, tag):
    """As `image push` leaves it; the digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": tag},
        "layers": [{"digest": tag}],  # from which moto makes the image's digest
    }
    made = aws("ecr").put_image(repositoryName="fruitsctl", imageManifest=json.dumps(manifest), imageTag=tag)
    digest = made["image"]["imageId"]["imageDigest"]
    save_pushed(tmp_path / "state", PushedImage(f"{REPOSITORY}@{digest}", digest, tag, REPOSITORY))
    return digest


def leave(aws, outcome=DONE):
    """What a job writes to OUTPUT before it ends."""

    def write(request, context):
        s3 = aws("s3")
        s3.put_object(Bucket=BUCKET, Key="out/runs/r1/outcome.json", Body=json.dumps(vars(outcome)))
        if outcome.code == 0:
            counts = {"listed": 10, "ignored": 0, "new": 10, "embedded": 10, "rejected": 0, "removed": 0, "rows": 10, "labels": 2}
            params = {"input": f"s3://{BUCKET}/photos"}
            stages = {"embed": Stage(2.0, 10)}
            manifest = Manifest("r1", "2026-11-21T12:00:00Z", 1, params, "m", {}, counts, {}, {}, stages, 2, 0.9, "r1")
            s3.put_object(Bucket=BUCKET, Key="out/runs/r1/manifest.json", Body=manifest.to_json())

    return write


def started(account):
    """Every StartJobRun's request."""
    return [call.params for call in account.calls if call.operation == "StartJobRun"]


def only_application(aws):
    (found,) = [one for one in aws("emr-serverless").list_applications()["applications"] if one["state"] != "TERMINATED"]
    return found


def ended(words, code, *said):
    found = fruitsctl(*words)
    assert found.returncode == code, found.stderr
    for text in said:
        assert text in found.stderr + found.stdout
    return found
