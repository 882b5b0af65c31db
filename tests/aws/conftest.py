"""moto's server, the stand-in for what moto lacks, and an environment that leads every AWS client there."""

import functools
import os
import uuid

import boto3
import pytest
import requests
from botocore.loaders import JSONFileLoader, Loader
from moto.server import ThreadedMotoServer

import tests.aws.moto_repairs
import tests.aws.moto_schedule  # noqa: F401 - both change moto
from tests.aws.standin.runner import ScriptedRunner
from tests.aws.standin.server import Standin

REGION = "eu-west-3"


@pytest.fixture(scope="session")
def moto():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        # What boto3 knows of services is listed and parsed once, not by every session: half the time of these tests.
        services, parse = Loader.list_available_services, JSONFileLoader.load_file
        listed = functools.cache(lambda kind: services(Loader(), kind))
        parsed = functools.cache(lambda path: parse(JSONFileLoader(), path))
        patch.setattr(Loader, "list_available_services", lambda _, type_name: listed(type_name))
        # But for the operations of S3, which its client changes.
        patch.setattr(
            JSONFileLoader, "load_file", lambda self, path: parse(self, path) if "/s3/" in path and "service-2" in path else parsed(path)
        )
        yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def aws(moto, monkeypatch, tmp_path):
    """An empty account: makes clients of it, as this process and its children do by the environment alone."""
    requests.post(f"{moto}/moto-api/reset", timeout=30).raise_for_status()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"ACCESS_KEY_ID": f"key{uuid.uuid4().hex[:8]}", "SECRET_ACCESS_KEY": uuid.uuid4().hex, "ENDPOINT_URL": moto}
    settings |= {"CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull, "EC2_METADATA_DISABLED": "true"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the keys with which it was made, also for the tests that follow
    return lambda service: boto3.client(service, region_name=REGION)


@pytest.fixture
def standin(moto, aws, monkeypatch):
    """The account of `aws` with EMR Serverless and its application's stack, at once everywhere; its job runs end well and say nothing."""
    with Standin(moto, ScriptedRunner()) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server
