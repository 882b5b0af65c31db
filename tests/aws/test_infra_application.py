"""The application's stack: added once there is an image, changed only at rest, made again, and gone after `down`; on the stand-in."""

import os
from pathlib import Path

import boto3
import pytest

from cli.aws import emr_serverless as application
from cli.container.pushed import PushedImage, save_pushed
from cli.errors import RefusedError, UsageError
from cli.infra import deploy, stacks
from tests.aws.emr import run as emr_run
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner

REPOSITORY = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl"
IMAGE, OTHER = (f"{REPOSITORY}@sha256:{letter * 64}" for letter in "ab")
BUCKET = "fruitsctl-123456789012-eu-west-3"


@pytest.fixture(autouse=True)
def quick(standin, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(application, "POLL_SECONDS", 0.02)


def push(image=IMAGE):
    """As `image push` leaves it."""
    save_pushed(Path(os.environ["FRUITS_STATE"]), PushedImage(image, image.split("@")[1], "t", REPOSITORY))


def deployed():
    return deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl")


def put(image):
    return deploy.put_application(boto3.Session(), "eu-west-3", "fruitsctl", image, lambda _: None)


def start_run(aws):
    emr, there = aws("emr-serverless"), deployed()
    spark = {"entryPoint": "local:///opt/fruits/run_job.py", "sparkSubmitParameters": "--conf spark.dynamicAllocation.maxExecutors=3"}
    made = emr.start_job_run(applicationId=there.application_id, executionRoleArn=there.role_arn, jobDriver={"sparkSubmit": spark})
    found = emr_run(emr, there.application_id, made["jobRunId"], "RUNNING", "FAILED", "SUCCESS")
    assert found["state"] == "RUNNING", found["stateDetails"]
    return there.application_id, made["jobRunId"]


def test_up_adds_the_application_once_there_is_an_image(aws):
    before = fruitsctl("infra", "up")
    assert "push an image first with `fruitsctl image push`" in before.stdout
    assert (deployed().application_id, deployed().image) == (None, None)

    push()
    assert "fruitsctl-app: make Application (AWS::EMRServerless::Application)" in fruitsctl("infra", "plan").stdout
    assert deployed().application_id is None
    assert done("infra", "up")["application"] is True

    there = deployed()
    assert (there.bucket, there.repository_uri, there.image) == (BUCKET, REPOSITORY, IMAGE)
    assert there.role_arn == "arn:aws:iam::123456789012:role/fruitsctl-eu-west-3"
    assert (there.log_group, there.key_arn) == ("/aws/emr-serverless/fruitsctl", None)
    made = aws("emr-serverless").get_application(applicationId=there.application_id)["application"]
    assert (made["releaseLabel"], made["architecture"], made["autoStopConfiguration"]["idleTimeoutMinutes"]) == ("emr-7.13.0", "X86_64", 5)
    assert made["maximumCapacity"] == {"cpu": "16 vCPU", "memory": "128 GB", "disk": "800 GB"}
    assert "initialCapacity" not in made
    assert made["monitoringConfiguration"]["managedPersistenceMonitoringConfiguration"] == {"enabled": False}
    assert set(map(len, done("infra", "up")["stacks"].values())) == {0}


def test_another_image_changes_the_application_and_nothing_else(aws):
    done("infra", "up", "--max-vcpu", "32", "--image", IMAGE)
    aws("emr-serverless").start_application(applicationId=deployed().application_id)

    there = put(OTHER)

    made = aws("emr-serverless").get_application(applicationId=there.application_id)["application"]
    assert (there.image, made["imageConfiguration"]["imageUri"]) == (OTHER, OTHER)
    assert (made["state"], made["maximumCapacity"]["cpu"]) == ("STOPPED", "32 vCPU")


def test_the_application_is_not_changed_under_a_run(aws, standin):
    standin.runner = ScriptedRunner(seconds=30)
    standin.emr.digests = lambda repository, reference: reference  # every image is in the registry
    done("infra", "up", "--image", IMAGE)
    identity, run = start_run(aws)

    with pytest.raises(RefusedError, match=f"`1` active run on application `{identity}`: {run}"):
        put(OTHER)

    assert deployed().image == IMAGE
    assert aws("emr-serverless").get_job_run(applicationId=identity, jobRunId=run)["jobRun"]["state"] == "RUNNING"


def test_down_with_a_run_in_progress_cancels_it_waits_and_leaves_nothing(aws, standin):
    standin.runner = ScriptedRunner(seconds=30)
    standin.emr.digests = lambda repository, reference: reference  # every image is in the registry
    done("infra", "up", "--image", IMAGE)
    identity, _ = start_run(aws)

    said = fruitsctl("infra", "down", "--yes")

    assert (said.returncode, said.stdout) == (0, "all resources are removed\n"), said.stderr
    order = [call.operation for call in standin.calls if call.operation in ("CancelJobRun", "StopApplication", "DeleteStack")]
    assert order[:3] == ["CancelJobRun", "StopApplication", "DeleteStack"]
    assert f"{identity}: waiting for 1 cancelled run" in said.stderr
    assert aws("s3").list_buckets()["Buckets"] == []
    assert aws("ecr").describe_repositories()["repositories"] == []
    assert [item["state"] for item in aws("emr-serverless").list_applications()["applications"] if item["state"] != "TERMINATED"] == []


def test_an_application_deleted_by_hand_is_made_again(aws):
    done("infra", "up", "--image", IMAGE)
    first = deployed().application_id
    aws("emr-serverless").delete_application(applicationId=first)

    done("infra", "up")

    assert deployed().application_id not in (None, first)
    assert deployed().image == IMAGE


def test_down_after_an_application_deleted_by_hand_and_with_one_made_by_hand(aws):
    done("infra", "up", "--image", IMAGE)
    emr = aws("emr-serverless")
    emr.delete_application(applicationId=deployed().application_id)
    made = emr.create_application(name="fruitsctl", releaseLabel="emr-7.13.0", type="SPARK", tags={"fruitsctl": "fruitsctl"})
    other = emr.create_application(name="fruitsctl", releaseLabel="emr-7.13.0", type="SPARK")  # without our tag: somebody else's
    emr.start_application(applicationId=made["applicationId"])

    said = fruitsctl("infra", "down", "--yes")

    assert (said.returncode, said.stdout) == (0, "all resources are removed\n"), said.stderr
    assert emr.get_application(applicationId=made["applicationId"])["application"]["state"] == "TERMINATED"
    assert emr.get_application(applicationId=other["applicationId"])["application"]["state"] == "CREATED"


def test_without_infrastructure_the_error_says_how_to_make_it(aws):
    with pytest.raises(UsageError, match="no complete stack `fruitsctl-data` in eu-west-3") as refused:
        deployed()

    assert refused.value.hint == "run `fruitsctl infra up`"


def test_in_a_private_network_the_application_is_in_its_subnets_and_out_of_them_again(aws):
    done("infra", "up", "--vpc", "--image", IMAGE)
    made = aws("emr-serverless").get_application(applicationId=deployed().application_id)["application"]
    (vpc,) = aws("ec2").describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.87.0.0/16"]}])["Vpcs"]
    mine = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = {subnet["SubnetId"] for subnet in aws("ec2").describe_subnets(Filters=mine)["Subnets"]}

    assert (set(made["networkConfiguration"]["subnetIds"]), len(subnets)) == (subnets, 2)
    assert {point["VpcEndpointType"] for point in aws("ec2").describe_vpc_endpoints(Filters=mine)["VpcEndpoints"]} == {
        "Gateway",
        "Interface",
    }
    assert aws("ec2").describe_nat_gateways(Filters=mine)["NatGateways"] == []
    assert "networkConfiguration" in aws("emr-serverless").get_application(applicationId=put(OTHER).application_id)["application"]
