"""EMR Serverless asked by boto3, as the tests of the stand-in do: an application, a run, its image, and waiting for a state."""

import json

import pytest

from tests.waiting import wait_until

ROLE = "arn:aws:iam::123456789012:role/fruitsctl"
DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@{DIGEST}"
POLICY = {
    "Effect": "Allow",
    "Principal": {"Service": "emr-serverless.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"],
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:emr-serverless:eu-west-3:123456789012:/applications/*"}},
}
SMALL = "--conf spark.dynamicAllocation.maxExecutors=3"  # with the driver 16 vCPU


@pytest.fixture(name="emr")
def emr_serverless(aws, standin):
    return aws("emr-serverless")


def application(emr, state="CREATED", **settings):
    settings = {"name": "fruitsctl", "releaseLabel": "emr-7.13.0", "type": "SPARK"} | settings
    identifier = emr.create_application(**settings)["applicationId"]
    if state == "STARTED":
        emr.start_application(applicationId=identifier)
    wait(emr, identifier, state)
    return identifier


def wait(emr, identifier, *states):
    def look():
        found = emr.get_application(applicationId=identifier)["application"]
        return found if found["state"] in states else None

    return wait_until(look)


def submit(emr, identifier, spark=SMALL, **more):
    driver = {"sparkSubmit": {"entryPoint": "local:///opt/fruits/run_job.py", "sparkSubmitParameters": spark}}
    return emr.start_job_run(applicationId=identifier, executionRoleArn=ROLE, jobDriver=driver, **more)["jobRunId"]


def run(emr, identifier, job_run_id, *states):
    def look():
        found = emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"]
        return found if found["state"] in states else None

    return wait_until(look)


def ended(emr, identifier, job_run_id):
    return run(emr, identifier, job_run_id, "SUCCESS", "FAILED", "CANCELLED")


def repository(aws, statement=POLICY):
    aws("ecr").create_repository(repositoryName="fruitsctl")
    if statement:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws("ecr").set_repository_policy(repositoryName="fruitsctl", policyText=policy)


def put_image(aws):
    layers = [{"digest": "sha256:" + "c" * 64, "size": 1, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": layers})
    image = aws("ecr").put_image(repositoryName="fruitsctl", imageManifest=manifest, imageTag="1")["image"]
    return image["imageId"]["imageDigest"]
