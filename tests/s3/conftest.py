"""A real S3 server, versitygw, on a free port for the session; a fresh bucket for each test, which the environment leads to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from job import s3

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-3"


@dataclass(frozen=True)
class Server:
    program: str
    endpoint: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The process's own, with static keys of the server's root user and nothing else of AWS."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return others | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, access_key: str | None = None, secret_key: str | None = None):
        keys = {"aws_access_key_id": access_key or self.access_key, "aws_secret_access_key": secret_key or self.secret_key}
        return boto3.session.Session(region_name=REGION, **keys).client("s3", endpoint_url=self.endpoint)

    def create_user(self, access_key: str, secret_key: str) -> None:
        self._admin("create-user", "--access", access_key, "--secret", secret_key, "--role", "admin")

    def delete_user(self, access_key: str) -> None:
        self._admin("delete-user", "--access", access_key)

    def _admin(self, *arguments: str) -> None:
        who = ["--access", self.access_key, "--secret", self.secret_key, "--region", REGION, "--endpoint-url", self.endpoint]
        subprocess.run([self.program, "admin", *who, *arguments], check=True, capture_output=True)


def find_versitygw() -> str:
    program = os.environ.get("FRUITS_VERSITYGW") or shutil.which(ROOT / ".tools/bin/versitygw") or shutil.which("versitygw")
    if program is None:
        pytest.fail("there is no versitygw, the S3 server of these tests: `make s3-server` builds it", pytrace=False)
    return program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("versitygw"), free_port()
    for name in ("iam", "data"):
        (folder / name).mkdir()
    server = Server(find_versitygw(), f"http://127.0.0.1:{port}", "root", uuid.uuid4().hex)
    keys = {"ROOT_ACCESS_KEY": server.access_key, "ROOT_SECRET_KEY": server.secret_key}
    options = ["--quiet", "--port", f"127.0.0.1:{port}", "--region", REGION, "--iam-dir", str(folder / "iam"), "--iam-cache-disable"]
    with open(folder / "log", "wb") as log:
        command = [server.program, *options, "posix", str(folder / "data")]
        process = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(process, port, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"versitygw ended with {process.returncode}: {log.read_text()}", pytrace=False)


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of an empty bucket; this process and its children reach it as the job does, by the environment alone."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    name = f"fruits-{uuid.uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.client.cache_clear()
    yield name
    s3.client.cache_clear()
