"""A real registry, Debian's docker-registry, on a free port; a real Docker engine; small images of incompressible layers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
# `AWS` with the password in the authorization token that moto gives its account 123456789012: bcrypt, by Python's `crypt`
HTPASSWD = "AWS:$2b$04$VqRXnUaBdg1ELnrgV7H1EOH8doHS./WR.wdJgR5mKSBIKdCAs/bci\n"


@pytest.fixture(scope="session", autouse=True)
def engine():
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.fail("there is no `docker`: docker/engine.sh installs and starts one", pytrace=False)
    if done.returncode:
        pytest.fail(f"there is no Docker engine, docker/engine.sh starts one: {done.stderr.strip()}", pytrace=False)


@dataclass
class Registry:
    program: str
    folder: Path
    port: int
    password: bool = False  # whether it wants AWS and moto's token
    process: subprocess.Popen | None = field(default=None)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        config = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": self.host},
        }
        if self.password:
            (self.folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "fruits", "path": str(self.folder / "htpasswd")}}
        (self.folder / "config.json").write_text(json.dumps(config))  # JSON is YAML
        with open(self.log, "ab") as log:
            command = [self.program, "serve", str(self.folder / "config.json")]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while True:
            if self.process.poll() is not None:
                pytest.fail(f"docker-registry ended with {self.process.returncode}: {self.log.read_text()}", pytrace=False)
            try:
                return requests.get(f"http://{self.host}/v2/", timeout=5) and None
            except requests.ConnectionError:
                time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def digest(self, repository: str, tag: str, **options) -> str:
        answer = requests.head(f"http://{self.host}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS}, timeout=5, **options)
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]

    def layers(self, repository: str) -> list[str]:
        """Digests of the layers that have arrived whole, and of image configurations."""
        folder = self.folder / "data/docker/registry/v2/repositories" / repository / "_layers/sha256"
        return sorted(path.parent.name for path in folder.glob("*/link"))

    def arriving(self, repository: str) -> int:
        """Bytes of layers on their way."""
        folder = self.folder / "data/docker/registry/v2/repositories" / repository / "_uploads"
        sizes = []
        for path in folder.glob("*/data"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:  # has arrived meanwhile
                continue
        return sum(sizes)

    def writes(self) -> int:
        """How many layers, configurations and manifests were sent until now."""
        return len(re.findall(r'"(POST /v2/\S+/blobs/uploads/|PUT /v2/\S+/manifests/)', self.log.read_text(errors="replace")))

    def blobs_read(self) -> int:
        """How many layers and configurations were fetched until now."""
        return len(re.findall(r'"GET /v2/\S+/blobs/', self.log.read_text(errors="replace")))


def make_registry(folder: Path, password: bool = False) -> Registry:
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        pytest.fail("there is no docker-registry, the registry of these tests: apt-get install docker-registry", pytrace=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Registry(program, folder, probe.getsockname()[1], password)


@pytest.fixture(name="registry")
def open_registry(tmp_path_factory):
    server = make_registry(tmp_path_factory.mktemp("registry"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def closed_registry(tmp_path_factory):
    """Lets in `AWS` with the password in moto's authorization token, as ECR would."""
    server = make_registry(tmp_path_factory.mktemp("registry"), password=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_image():
    """Loads an image with a layer of random bytes for each size, under a name; all of its names are gone after the test."""
    made = []

    def make(name: str, *sizes: int, seed: int = 0) -> str:
        layers = []
        for position, size in enumerate(sizes):
            content = random.Random(f"{name} {seed} {position}").randbytes(size)
            layers.append(_tar({f"layer-{position}": content}))
        diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        names = [f"{position}.tar" for position in range(len(layers))]
        files = {"config.json": json.dumps(config).encode(), **dict(zip(names, layers, strict=True))}
        files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": names}]).encode()
        subprocess.run(["docker", "load", "--quiet"], input=_tar(files), check=True, capture_output=True)
        made.append(_id(name))
        return name

    yield make
    for image in made:
        subprocess.run(["docker", "image", "rm", "--force", image], check=True, capture_output=True)


def _id(name: str) -> str:
    return subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", name], check=True, capture_output=True, text=True
    ).stdout.strip()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without AWS or docker logins; in this process and in its children."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("HOME", "FRUITS_STATE", "DOCKER_CONFIG", "TMPDIR"):
        (tmp_path / name.lower()).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.fixture
def push(home):
    """Runs `fruitsctl image push` to its end, or starts it in a separate process group."""

    def run(*words, wait=True, **variables):
        command = [sys.executable, "-m", "cli", "image", "push", *words]
        options = {"cwd": ROOT, "env": {**os.environ, **variables}, "text": True}
        if wait:
            return subprocess.run(command, capture_output=True, check=False, **options)

        def heed():  # as from a terminal, also where the tests were started in the background, which ignores SIGINT
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, start_new_session=True, preexec_fn=heed, **pipes, **options)

    return run
