"""A real S3 server, versitygw, on a free port of this machine, for as long as a `with` lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-3"


@dataclass(frozen=True)
class Server:
    """`folder` holds a folder per bucket, in it a file per object."""

    program: str
    folder: Path
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
        raise RuntimeError("there is no versitygw, the S3 server of the tests: `make s3-server` builds it")
    return program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def versitygw(folder: Path, versions: bool = False) -> Iterator[Server]:
    """
    The server, with its data and its users below `folder`, an existing one; `versions`: buckets can be versioned.

    Raises:
        RuntimeError: there is no versitygw, or it did not start.
    """
    port = free_port()
    for name in ("iam", "data", "versions"):
        (folder / name).mkdir()
    server = Server(find_versitygw(), folder / "data", f"http://127.0.0.1:{port}", "root", uuid.uuid4().hex)
    keys = {"ROOT_ACCESS_KEY": server.access_key, "ROOT_SECRET_KEY": server.secret_key}
    options = ["--quiet", "--port", f"127.0.0.1:{port}", "--region", REGION, "--iam-dir", str(folder / "iam"), "--iam-cache-disable"]
    with open(folder / "log", "wb") as log:
        older = ["--versioning-dir", str(folder / "versions")] if versions else []
        command = [server.program, *options, "posix", *older, str(server.folder)]
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
    raise RuntimeError(f"versitygw ended with {process.returncode}: {log.read_text()}")
