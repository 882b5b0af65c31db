"""A virtual cluster of moto, which starts runs as RUNNING and ends them only when they are cancelled; and what ends one as a job does."""

import threading

import boto3
import pytest
from moto.emrcontainers.models import emrcontainers_backends

from cli.aws.clients import Clients
from cli.targets.emr_eks import follow
from tests.aws.account import BUCKET, DONE, leave
from tests.image_registry import image_registry
from tests.waiting import wait_until

ROLE = "arn:aws:iam::123456789012:role/fruits-eks"  # moto's account


@pytest.fixture(name="clients")
def clients_of_paris(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    return Clients(boto3.session.Session(region_name="eu-west-3"), "eu-west-3")


@pytest.fixture(name="virtual_cluster")
def a_virtual_cluster(clients):
    clients("eks").create_cluster(name="shared", roleArn=ROLE, resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]}, version="1.31")
    provider = {"id": "shared", "type": "EKS", "info": {"eksInfo": {"namespace": "fruits"}}}
    return clients("emr-containers").create_virtual_cluster(name="fruits", containerProvider=provider, clientToken="t")["id"]


@pytest.fixture(name="cluster")
def a_cluster_with_runs(aws, clients, virtual_cluster):
    """Give the words of a run, and a function: the next run leaves `outcome` in OUTPUT and ends in `state`."""
    aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    runs = emrcontainers_backends["123456789012"]["eu-west-3"].job_runs
    jobs = []

    def end(state, outcome=DONE, details=None):
        def job():
            [run] = wait_until(lambda: list(runs.values()))
            if outcome is not None:
                leave(aws, outcome)(None, None)
            run.state_details, run.state = details, state

        jobs.append(threading.Thread(target=job))
        jobs[-1].start()

    with image_registry() as image:
        where = (f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out", "--run-id", "r1")
        target = ("--eks", "--virtual-cluster", virtual_cluster, "--execution-role", ROLE, "--image", image({"fruitsctl.target": "eks"}))
        yield ("run", *where, *target), end
    for job in jobs:
        job.join()
