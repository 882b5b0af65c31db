"""A job run of the stand-in is a run of the real image: it finds its photos on a real S3 server and leaves its results and logs there."""

import gzip
import json
import os
import time
import uuid

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from job.contract.records import Outcome, from_line
from tests.aws.standin.image_runner import ImageRunner
from tests.aws.standin.server import Standin
from tests.s3.server import REGION, versitygw
from tests.waiting import wait_until

PYTHON = "/opt/fruits/venv/bin/python"
SPARK = " ".join(
    f"--conf {setting}"
    for setting in (
        f"spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON={PYTHON}",
        f"spark.emr-serverless.driverEnv.PYSPARK_PYTHON={PYTHON}",
        f"spark.executorEnv.PYSPARK_PYTHON={PYTHON}",
        "spark.sql.shuffle.partitions=2",
        "spark.dynamicAllocation.maxExecutors=3",
    )
)


@pytest.fixture
def s3(tmp_path):
    with versitygw(tmp_path) as server:
        yield server


@pytest.fixture
def service(image, s3, monkeypatch):
    """EMR Serverless that runs the image, with `s3` as its S3; the environment leads there."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    url = "http://{}:{}".format(*moto.get_host_and_port())
    requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()
    runner = ImageRunner(image, s3.endpoint, s3.access_key, s3.secret_key)
    with Standin(url, runner, s3=s3.client()) as standin:
        for name, value in {**s3.environment(), **standin.environment()}.items():
            monkeypatch.setenv(name, value)
        yield boto3.client("emr-serverless", region_name=REGION)
    moto.stop()


def submit(service, *arguments, **more):
    application = service.create_application(name="fruitsctl", releaseLabel="emr-7.13.0", type="Spark")["applicationId"]
    driver = {"entryPoint": "local:///opt/fruits/run_job.py", "entryPointArguments": arguments, "sparkSubmitParameters": SPARK}
    role = "arn:aws:iam::123456789012:role/fruitsctl"
    made = service.start_job_run(applicationId=application, executionRoleArn=role, jobDriver={"sparkSubmit": driver}, **more)
    return application, made["jobRunId"]


def wait(service, application, job_run_id, *states):
    def look():
        found = service.get_job_run(applicationId=application, jobRunId=job_run_id)["jobRun"]
        return found if found["state"] in states else None

    return wait_until(look, seconds=300)


@pytest.fixture
def bucket(s3, sample):
    """With 12 photos of 3 labels."""
    name, client = f"fruits-{uuid.uuid4().hex[:8]}", s3.client()
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for folder in sorted((sample / "Test").iterdir())[:3]:
        for photo in sorted(folder.iterdir())[:4]:
            client.upload_file(str(photo), name, f"photos/{folder.name}/{photo.name}")
    return name


def test_the_run_embeds_the_photos_and_its_logs_are_where_the_service_puts_them(service, s3, bucket):
    arguments = (f"--input=s3://{bucket}/photos", f"--output=s3://{bucket}/out", "--run-id=first", "--model=mean_colour", "--components=2")
    monitoring = {"s3MonitoringConfiguration": {"logUri": f"s3://{bucket}/logs/"}}
    application, job_run_id = submit(service, *arguments, configurationOverrides={"monitoringConfiguration": monitoring})

    ended = wait(service, application, job_run_id, "SUCCESS", "FAILED")

    place = f"logs/applications/{application}/jobs/{job_run_id}/SPARK_DRIVER"
    said = {
        name: gzip.decompress(s3.client().get_object(Bucket=bucket, Key=f"{place}/{name}.gz")["Body"].read()).decode()
        for name in ("stdout", "stderr")
    }
    assert ended["state"] == "SUCCESS", said["stderr"][-3000:]
    manifest = json.loads(s3.client().get_object(Bucket=bucket, Key="out/runs/first/manifest.json")["Body"].read())
    assert (manifest["counts"]["embedded"], manifest["counts"]["rejected"], manifest["k"]) == (12, 0, 2)
    outcomes = [record for line in said["stdout"].splitlines() if isinstance(record := from_line(line), Outcome)]
    assert [(outcome.run_id, outcome.code) for outcome in outcomes] == [("first", 0)]
    assert s3.secret_key not in said["stdout"] + said["stderr"]


def test_a_cancelled_run_leaves_no_container(service, s3, bucket):
    arguments = (f"--input=s3://{bucket}/photos", f"--output=s3://{bucket}/out", "--run-id=second", "--model=mean_colour")
    application, job_run_id = submit(service, *arguments)
    wait(service, application, job_run_id, "RUNNING")
    time.sleep(2)

    service.cancel_job_run(applicationId=application, jobRunId=job_run_id)

    assert wait(service, application, job_run_id, "CANCELLED")["state"] == "CANCELLED"
    assert containers(job_run_id) == ""


def containers(job_run_id):
    from tests.container.conftest import docker

    return docker("ps", "--all", "--quiet", "--filter", f"name=fruitsctl-standin-{job_run_id}")
