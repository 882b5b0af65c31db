"""Peers and ours in turn, each in a separate process. In: who, and which photos. Out: seconds, and what each one wrote, checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deltalake import DeltaTable

from benchmarks.peers import environments
from benchmarks.peers.check import COSINE, Check, check
from benchmarks.peers.report import OURS, OURS_WHOLE, Timed, faster, table
from benchmarks.peers.task import Features
from benchmarks.runs import CHECKOUT, Bench, say

AFTER_FEATURES = ("fit", "project", "publish", "report")


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    environment: str
    engine: str


PEERS = (
    Peer("LiteRT in a process pool", "litert_pool", environments.OURS, "litert"),
    Peer("Keras with tf.data", "tf_data", environments.OURS, "keras"),
    Peer("Spark's predict_batch_udf, Keras", "predict_batch_udf", environments.OURS, "keras"),
    Peer("Spark's predict_batch_udf, LiteRT", "predict_batch_udf", environments.OURS, "litert"),
    Peer("Ray Data, Keras", "ray_data", "ray", "keras"),
    Peer("Ray Data, LiteRT", "ray_data", "ray", "litert"),
    Peer("Daft, Keras", "daft_frame", "daft", "keras"),
    Peer("Daft, LiteRT", "daft_frame", "daft", "litert"),
)
NOTEBOOK = "the notebook"


@dataclass(frozen=True)
class Source:
    name: str
    images: str  # a folder, or an s3:// address
    photos: int
    bench: Bench  # its environment leads there
    least: float = COSINE  # of every photo's features with Keras's


class Race:
    """Runs everybody in turn and keeps what came of it."""

    def __init__(self, expected: dict[str, Features], flatbuffer: Path, out: Path, machine: dict[str, str]) -> None:
        self.results: dict[tuple[str, str], Timed] = {}
        self._expected, self._flatbuffer, self._out, self._machine = expected, flatbuffer, out, machine

    def ours(self, source: Source) -> None:
        output = source.bench.work / "out-ours"
        run = source.bench.ours(source.images, output)
        after = sum(run.stages[stage].seconds for stage in AFTER_FEATURES)
        files = [str(name).removeprefix("file://") for name in DeltaTable(str(output / "features")).file_uris()]
        self._keep(source, OURS, run.seconds - after, check(files, self._expected, source.least))
        self._keep(source, OURS_WHOLE, run.seconds, None)
        shutil.rmtree(output)

    def notebook(self, source: Source) -> None:
        output = source.bench.work / "out-notebook"
        run = source.bench.notebook(source.images, "B1", str(output))
        after = sum(run.stages[stage].seconds for stage in ("pca", "write"))
        self._keep(source, NOTEBOOK, run.seconds - after, check(parquet_files(output / "features"), self._expected, source.least))
        shutil.rmtree(output)

    def peer(self, peer: Peer, source: Source) -> None:
        output = source.bench.work / f"out-{peer.module}"
        python = environments.python_of(peer.environment)
        command = [str(python), "-m", f"benchmarks.peers.{peer.module}", f"--images={source.images}", f"--output={output}"]
        command += [f"--weights={source.bench.weights}", f"--flatbuffer={self._flatbuffer}", f"--engine={peer.engine}"]
        environment = os.environ | source.bench.environment | {"JAVA_HOME": str(source.bench.java_home)}
        began = time.monotonic()
        with source.bench.log.open("a") as log:
            log.write(f"--- {peer.name}, {source.name}\n")
            log.flush()
            done = subprocess.run(
                [*command, f"--cores={source.bench.cores}"], cwd=CHECKOUT, env=environment, stdout=log, stderr=log, check=False
            )
        seconds = time.monotonic() - began
        if done.returncode:
            self._fail(source, peer.name, f"exit code {done.returncode}, see {source.bench.log.name}")
        else:
            self._keep(source, peer.name, seconds, check(parquet_files(output), self._expected, source.least))
        shutil.rmtree(output, ignore_errors=True)

    def _keep(self, source: Source, name: str, seconds: float, found: Check | None) -> None:
        before = self._of(source, name)
        self._store(replace(before, seconds=[*before.seconds, seconds], check=found))
        cosine = f", worst cosine {found.worst_cosine:.6f}, {found.rows:,} rows" if found else ""
        say(f"{source.name}: {name}: {seconds:.1f} s, {source.photos / seconds:.0f} photos/s{cosine}")

    def _fail(self, source: Source, name: str, why: str) -> None:
        self._store(replace(self._of(source, name), failed=why))
        say(f"{source.name}: {name}: FAILED, {why}")

    def _of(self, source: Source, name: str) -> Timed:
        return self.results.get((source.name, name), Timed(name, source.name, source.photos))

    def _store(self, timed: Timed) -> None:
        self.results[timed.source, timed.peer] = timed
        results = list(self.results.values())
        content = {"machine": self._machine, "results": [asdict(one) for one in results], "faster than fruitsctl": faster(results)}
        self._out.write_text(json.dumps(content, indent=2) + "\n")
        self._out.with_suffix(".md").write_text(table(results) + "\n")


def parquet_files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*.parquet"))
