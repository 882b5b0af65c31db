"""Where a soak takes place: a local disk, or the local stack of docker-compose.yml. Photos in; runs, files and addresses out."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import boto3
import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks.memory import Sampler, peaks
from benchmarks.runs import CHECKOUT, BenchmarkError, say
from benchmarks.stack import down
from cli.targets.compose.process import program
from cli.targets.local.java import find_java_home, in_words, supported

PARTS = ("jvm", "driver", "worker")  # of a local run
SERVICES = ("job", "spark-worker", "spark-master", "s3", "history")
PROJECT = "fruitsctl-soak"
ENDPOINT, REGION, BUCKET = "http://127.0.0.1:7070", "eu-west-3", "fruits"
STATS_SECONDS = 3.0
CGROUP = ("/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat")  # version 2 and 1, as a container sees its own

Memory = dict[str, float]  # part -> MB


class Place(ABC):
    """INPUT and OUTPUT, and what runs there."""

    def __init__(self, model: str, log: Path) -> None:
        self._model, self._log = model, log

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """A photo into INPUT, whole or not at all."""

    @abstractmethod
    def uri(self, name: str) -> str:
        """The address that the job has for it."""

    @abstractmethod
    def run(self) -> tuple[dict[str, Any], Memory]:
        """One run: its manifest, and the highest memory of each part. Raises BenchmarkError if it failed."""

    @abstractmethod
    def objects(self) -> dict[str, int]:
        """Names below OUTPUT and their bytes."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Of OUTPUT."""

    @abstractmethod
    def delta(self, table: str) -> DeltaTable: ...

    def live_files(self, table: str) -> int:
        return len(self.delta(table).file_uris())

    def feature_uris(self) -> list[str]:
        """Of every row of the newest snapshot."""
        names = [f"features/{str(uri).rpartition('/features/')[2]}" for uri in self.delta("features").file_uris()]
        return self._uris(names)

    def matrix_uris(self) -> list[str]:
        """Of every row that the newest run has published."""
        run_id = json.loads(self.read("latest.json"))["run_id"]
        return self._uris([name for name in self.objects() if name.startswith(f"runs/{run_id}/pca/") and name.endswith(".parquet")])

    def _uris(self, names: Sequence[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            found += pq.read_table(io.BytesIO(self.read(name)), columns=["uri"])["uri"].to_pylist()
        return found

    def _fruitsctl(self, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cli", "run", *words, "--json", f"--model={self._model}", "--components=5"]
        with self._log.open("a") as log:
            return subprocess.Popen(command, cwd=CHECKOUT, env=dict(environment), stdout=subprocess.PIPE, stderr=log, text=True)

    def _manifest(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        said, _ = process.communicate()
        if process.returncode:
            raise BenchmarkError(f"a run ended with code {process.returncode}, see `{self._log}`")
        manifest: dict[str, Any] = json.loads(said[said.index("{") :])
        return manifest


class LocalPlace(Place):
    """Below one folder. Files of `features` are merged from `merge` on."""

    def __init__(self, folder: Path, assets: Path, merge: int, model: str, log: Path) -> None:
        super().__init__(model, log)
        self._input, self._output, self._incoming = folder / "photos", folder / "out", folder / "incoming"
        self._incoming.mkdir()
        java = find_java_home(os.environ.get("JAVA_HOME"))
        if java is None:
            raise BenchmarkError(f"there is no Java {in_words(supported())}; install the extra [job], which has one")
        submit = f"--conf spark.fruits.filesToMerge={merge} {os.environ.get('FRUITS_SUBMIT_ARGS', 'pyspark-shell')}"
        own = {"FRUITS_ASSETS": str(assets), "FRUITS_STATE": str(folder / "state"), "JAVA_HOME": str(java[0])}
        self._environment = {"FRUITS_CACHE": str(folder / "cache"), **os.environ, **own, "FRUITS_SUBMIT_ARGS": submit}

    def put(self, name: str, content: bytes) -> None:
        target, partial = self._input / name, self._incoming / name.replace("/", "-")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)

    def uri(self, name: str) -> str:
        return f"file://{self._input / name}"

    def run(self) -> tuple[dict[str, Any], Memory]:
        process = self._fruitsctl([str(self._input), str(self._output), "--local"], self._environment)
        with Sampler(process.pid) as sampler:
            manifest = self._manifest(process)
        highest = peaks(sampler.samples, 0, float("inf"))
        return manifest, {part: round(highest[part].rss_mb, 1) for part in PARTS if part in highest}

    def objects(self) -> dict[str, int]:
        paths = (path for path in self._output.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {path.relative_to(self._output).as_posix(): path.stat().st_size for path in paths}

    def read(self, name: str) -> bytes:
        return (self._output / name).read_bytes()

    def delta(self, table: str) -> DeltaTable:
        return DeltaTable(str(self._output / table))


class StackPlace(Place):
    """The stack, up while inside; its image must be built. Files of `features` are merged as in real life."""

    def __init__(self, model: str, log: Path) -> None:
        super().__init__(model, log)
        self._folder = Path(tempfile.mkdtemp(prefix="soak-photos-"))
        self._folder.chmod(0o755)  # the containers' user is another one
        (self._folder / "README.txt").write_text("Photos come later.\n")  # an empty folder is an error
        self._environment = {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, "PHOTOS": str(self._folder)}
        self._compose = program()

    def __enter__(self) -> Self:
        say("starting the stack")
        down(self._compose, self._environment)
        self._call(*self._compose, "up", "--detach", "--no-build", "bucket", "history", "spark-worker")
        keys = dict(re.findall(r"^(\w+)=(\S+)$", self._call("docker", "exec", self._container("s3"), "cat", "/run/fruits/keys.env"), re.M))
        self._keys = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
        self._s3 = boto3.session.Session(region_name=REGION, **self._keys).client("s3", endpoint_url=ENDPOINT)
        self._s3.get_waiter("bucket_exists").wait(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        with self._log.open("a") as log:
            subprocess.run([*self._compose, "logs", "--no-color"], cwd=CHECKOUT, env=self._environment, stdout=log, stderr=log, check=False)
        down(self._compose, self._environment)
        shutil.rmtree(self._folder)

    def put(self, name: str, content: bytes) -> None:
        self._s3.put_object(Bucket=BUCKET, Key=f"photos/{name}", Body=content)

    def uri(self, name: str) -> str:
        return f"s3://{BUCKET}/photos/{name}"

    def run(self) -> tuple[dict[str, Any], Memory]:
        process = self._fruitsctl([f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out", "--compose"], self._environment)
        with Stats() as stats:
            return self._manifest(process), stats.highest

    def objects(self) -> dict[str, int]:
        """Spark's event logs too, as `events/…`."""
        found: dict[str, int] = {}
        for prefix, name in (("out/", ""), ("events/", "events/")):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
                found |= {name + item["Key"].removeprefix(prefix): item["Size"] for item in page.get("Contents", []) if item["Size"]}
        return found

    def read(self, name: str) -> bytes:
        content: bytes = self._s3.get_object(Bucket=BUCKET, Key=f"out/{name}")["Body"].read()
        return content

    def delta(self, table: str) -> DeltaTable:
        options = {name.upper(): value for name, value in self._keys.items()}
        options |= {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true"}
        return DeltaTable(f"s3://{BUCKET}/out/{table}", storage_options=options)

    def _container(self, service: str) -> str:
        own = ["--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", f"label=com.docker.compose.service={service}"]
        return self._call("docker", "ps", "--quiet", *own).split()[0]

    def _call(self, *command: str) -> str:
        done = subprocess.run(command, cwd=CHECKOUT, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"`{' '.join(command)}` failed: {done.stderr[-2000:]}")
        return done.stdout


class Stats:
    """What the stack's containers take, by service, sampled while inside. `highest`: MB, without the page cache."""

    def __init__(self) -> None:
        self.highest: Memory = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stats", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(STATS_SECONDS):
            own = f"label=com.docker.compose.project={PROJECT}"
            services = _docker("ps", "--format", '{{.ID}} {{.Label "com.docker.compose.service"}}', "--filter", own)
            for service, megabytes in memory_by_service(services, lambda name: _docker("exec", name, "cat", *CGROUP)).items():
                self.highest[service] = max(megabytes, self.highest.get(service, 0.0))


def memory_by_service(services: str, stat_of: Callable[[str], str]) -> Memory:
    """
    MB that processes have for themselves, from `docker ps` (id and service, a line each) and each container's own memory.stat.

    `docker stats` will not do: it counts files that were just read or written, which a container gives back when they are wanted.
    https://docs.docker.com/reference/cli/docker/container/stats/
    """
    found: Memory = {}
    for container, service in (line.split() for line in services.splitlines() if len(line.split()) == 2):
        amount = re.search(r"^(?:anon|total_rss) (\d+)$", stat_of(container), re.M) if service in SERVICES else None
        if amount:
            found[service] = round(found.get(service, 0.0) + int(amount[1]) / 1e6, 1)
    return found


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False).stdout
