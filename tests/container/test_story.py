"""The whole way as docs/how-to/aws.md goes it, offline: from an empty account to a result and back to nothing, with the real image."""

import json
import os
import secrets
import subprocess
import sys
from types import SimpleNamespace

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

import tests.aws.moto_repairs  # noqa: F401 - changes moto
from cli.container.pushed import PushedImage, save_pushed
from tests.aws import session
from tests.aws.standin.image_runner import ImageRunner
from tests.aws.standin.server import ACCOUNT, REGION, Standin
from tests.registry.conftest import open_registry  # noqa: F401 - a fixture
from tests.s3.proxy import Proxy
from tests.s3.server import versitygw

BUCKET = f"fruitsctl-{ACCOUNT}-{REGION}"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fruitsctl"


@pytest.fixture
def account(image, tmp_path, monkeypatch):
    """An empty account on this machine: moto, the stand-in that runs `image`, an S3 server, a proxy that sees what the job asks of it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FRUITS_INPUT", "FRUITS_OUTPUT"))]:
        monkeypatch.delenv(name)
    (tmp_path / "s3").mkdir()
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    url = "http://{}:{}".format(*moto.get_host_and_port())
    requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()
    secret = secrets.token_hex(16)
    with versitygw(tmp_path / "s3") as s3, Proxy(s3.endpoint) as proxy:
        s3.create_user(ACCOUNT, secret)  # versitygw takes a user's access key for the account that owns a bucket
        with Standin(url, ImageRunner(image, proxy.url, ACCOUNT, secret), s3=s3.client(ACCOUNT, secret)) as standin:
            standin.emr.image_facts = standin.runner.facts
            settings = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION}
            settings |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
            settings |= {"FRUITS_STATE": str(tmp_path / "state"), "FRUITS_CACHE": str(tmp_path / "cache"), **standin.environment()}
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            yield SimpleNamespace(standin=standin, s3=s3.client(ACCOUNT, secret), job_asked=proxy.heads, state=tmp_path / "state")
    moto.stop()


@pytest.fixture
def photos(sample, tmp_path):
    """20 real ones of 4 labels."""
    for folder in sorted((sample / "Test").iterdir())[:4]:
        (tmp_path / "photos" / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:5]:
            (tmp_path / "photos" / folder.name / path.name).write_bytes(path.read_bytes())
    return tmp_path / "photos"


def fruitsctl(*words, code=0):
    """What the command printed on stdout and on stderr."""
    done = subprocess.run([sys.executable, "-m", "cli", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def objects(s3, prefix):
    return [
        item["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        for item in page.get("Contents", [])
    ]


def push(image, registry, state):
    """
    The image into a real registry. Docker cannot be led to an ECR on this machine, so what a push to it leaves behind, the digest under
    the repository's name, is written here; logins and repositories of ECR have separate tests.
    """
    pushed = json.loads(fruitsctl("image", "push", f"{registry.host}/fruitsctl", "--image", image, "--json")[0])
    assert registry.digest("fruitsctl", pushed["tag"]) == pushed["digest"]
    save_pushed(state, PushedImage(f"{REPOSITORY}@{pushed['digest']}", pushed["digest"], pushed["tag"], REPOSITORY))
    return pushed["digest"]


def test_from_an_empty_account_to_a_result_and_back_to_nothing(account, image, registry, photos):
    s3, standin = account.s3, account.standin

    planned = fruitsctl("infra", "plan")[0]
    assert "AWS::S3::Bucket" in planned
    assert s3.list_buckets()["Buckets"] == []

    fruitsctl("infra", "up")
    assert "nothing to change" in fruitsctl("infra", "up")[0]
    digest = push(image, registry, account.state)
    standin.emr.digests = lambda repository, reference: digest
    fruitsctl("infra", "up")

    fruitsctl("data", "push", photos, f"s3://{BUCKET}/photos")
    assert len(objects(s3, "photos/")) == 20

    rehearsed = json.loads(fruitsctl("run", "--serverless", "--variance", "0.9", "--max-cost", "2", "--dry-run", "--json")[0])
    assert rehearsed["worst_case_usd"] <= 2
    assert objects(s3, "out/") == []

    account.job_asked.clear()
    manifest = json.loads(fruitsctl("run", "--serverless", "--variance", "0.9", "--max-cost", "2", "--json")[0])
    assert (manifest["counts"]["embedded"], manifest["counts"]["rows"], manifest["counts"]["labels"]) == (20, 20, 4)
    assert manifest["variance"] >= 0.9
    run_id = manifest["run_id"]
    assert f"out/runs/{run_id}/manifest.json" in objects(s3, "out/")
    refused = refused_requests(standin, account.job_asked)
    assert refused == []

    status = json.loads(fruitsctl("status", "--json")[0])
    assert (status["run_id"], status["state"]) == (run_id, "SUCCESS")
    assert "Embed images" in fruitsctl("logs")[0] or "embed" in fruitsctl("logs")[0]
    assert fruitsctl("ui")[0].startswith("https://")
    assert run_id in fruitsctl("cost")[0] or "2026" in fruitsctl("cost")[0]

    going = json.loads(fruitsctl("run", "--serverless", "--detach", "--json")[0])
    fruitsctl("cancel", going["run_id"])
    assert json.loads(fruitsctl("status", going["run_id"], "--json")[0])["state"] == "CANCELLED"

    assert "all resources are removed" in fruitsctl("infra", "down", "--yes")[0]
    assert s3.list_buckets()["Buckets"] == []
    assert boto3.client("ecr", region_name=REGION).describe_repositories()["repositories"] == []
    states = {found["state"] for found in boto3.client("emr-serverless", region_name=REGION).list_applications()["applications"]}
    assert states <= {"TERMINATED"}
    assert boto3.client("cloudformation", region_name=REGION).describe_stacks()["Stacks"] == []


def refused_requests(standin, heads):
    """
    What the job asked of S3 that the policy in its own request does not allow; each once. What only later runs ask, such as deletions,
    is in tests/s3/test_policy.py.
    """
    policy = next(call.params for call in standin.calls if call.operation == "StartJobRun")["executionIamPolicy"]["policy"]
    asked = {need for head in heads for need in session.needs(head)}
    assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket"} <= {action for action, _, _ in asked}
    return sorted(need for need in asked if not session.allows(policy, *need))
