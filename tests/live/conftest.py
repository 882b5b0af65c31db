"""
A real account, in which `fruitsctl infra up` has made everything, with an image. FRUITS_PROJECT and AWS_PROFILE say which.

Nothing here runs without FRUITS_LIVE=1: it asks AWS, and some of it is billed. Each file says how much that is.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.aws.clients import Clients
from cli.aws.regions import PARIS
from cli.aws.session import aws_session
from cli.infra import deploy
from cli.settings.config import settings

HERE = Path(__file__).parent
OVER = ("SUCCESS", "FAILED", "CANCELLED")


def pytest_collection_modifyitems(items):
    if os.environ.get("FRUITS_LIVE") == "1":
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="asks a real AWS account, some of it costs: set FRUITS_LIVE=1"))


@pytest.fixture(scope="session")
def clients():
    elsewhere = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]
    assert elsewhere == [], "this shell talks to a rehearsal"
    session = aws_session()
    return Clients(session, settings().region or session.region_name or PARIS)


@pytest.fixture(scope="session")
def deployed(clients):
    found = deploy.deployed(clients.session, clients.region, settings().project)
    assert found.application_id, "`fruitsctl image push`, then `fruitsctl infra up`"
    return found


@pytest.fixture(scope="session")
def fruitsctl():
    def call(*words, code=0, **options):
        done = subprocess.run([sys.executable, "-m", "cli", *map(str, words)], capture_output=True, text=True, check=False, **options)
        assert done.returncode == code, done.stderr[-3000:]
        return done.stdout

    return call


@pytest.fixture(scope="session")
def scratch(clients, deployed):
    """What the names of INPUT and OUTPUT below the stack's bucket begin with; all of it, with its versions, goes afterwards."""
    name = f"out-live-{int(time.time())}"
    yield f"s3://{deployed.bucket}/{name}"
    s3 = clients("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=deployed.bucket, Prefix=f"{name}/"):
        found = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if found:
            s3.delete_objects(Bucket=deployed.bucket, Delete={"Objects": found, "Quiet": True})


@pytest.fixture(scope="session")
def photos(sample, tmp_path_factory, fruitsctl, scratch):
    """s3:// URI of 40 real photos of 4 labels."""
    folder = tmp_path_factory.mktemp("photos")
    for label in sorted((sample / "Test").iterdir())[:4]:
        (folder / label.name).mkdir()
        for path in sorted(label.iterdir())[:10]:
            (folder / label.name / path.name).write_bytes(path.read_bytes())
    fruitsctl("data", "push", folder, f"{scratch}/photos")
    return f"{scratch}/photos"


@pytest.fixture(scope="session")
def watch(clients, deployed):
    """Follows a job run to its end; (seconds since it was sent, GetJobRun's answer) of every look."""

    def follow(job_run_id):
        looks, began = [], time.monotonic()
        while not looks or looks[-1][1]["state"] not in OVER:
            if looks:
                time.sleep(2)
            found = clients("emr-serverless").get_job_run(applicationId=deployed.application_id, jobRunId=job_run_id)["jobRun"]
            looks.append((time.monotonic() - began, found))
        return looks

    return follow


@pytest.fixture(scope="session")
def billed(clients, deployed):
    """`billedResourceUtilization` of a run that is over; AWS settles it about a minute later."""

    def ask(job_run_id):
        for _ in range(36):
            found = clients("emr-serverless").get_job_run(applicationId=deployed.application_id, jobRunId=job_run_id)["jobRun"]
            if "billedResourceUtilization" in found:
                return found["billedResourceUtilization"]
            time.sleep(5)
        raise AssertionError(f"AWS has not billed {job_run_id} within three minutes")

    return ask


@pytest.fixture(scope="session")
def sent(fruitsctl):
    """Sends a run by `fruitsctl run --serverless --detach`; the service's id for it."""

    def send(source, target, *more):
        said = fruitsctl("run", source, target, "--serverless", "--executors", 1, "--components", 2, *more, "--detach", "--json")
        return json.loads(said)["job_run_id"]

    return send


@pytest.fixture(scope="session")
def streams(clients, deployed):
    """Names of the CloudWatch streams of a job run, and their events."""

    def ask(job_run_id):
        logs, below = clients("logs"), f"applications/{deployed.application_id}/jobs/{job_run_id}/"
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=deployed.log_group, logStreamNamePrefix=below)
        names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        events = [
            event
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=deployed.log_group, logStreamNamePrefix=below)
            for event in page["events"]
        ]
        return sorted(name.removeprefix(below) for name in names), events

    return ask
