"""The real command on more and more real-sized photos. In: sizes. Out: seconds of each stage, memory, files and bytes, per size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.memory import Sampler, peaks
from benchmarks.runs import CHECKOUT, Bench, BenchmarkError
from benchmarks.scale.files import Written, written
from benchmarks.scale.photos import make_photos


@dataclass(frozen=True)
class Grown:
    """One run on `images` photos, all of them new."""

    images: int
    photo_bytes: int
    stages: dict[str, float]  # seconds
    driver_mb: float  # peak RSS of the job's Python driver
    jvm_mb: float  # peak RSS of its JVM, which has the executors in it too; its heap is 2 GB
    worker_mb: float  # peak RSS of one Python worker
    files: dict[str, Written]

    @property
    def images_per_second(self) -> float:
        """Of the embed stage."""
        return self.images / self.stages["embed"]


def grow(bench: Bench, sizes: Sequence[int]) -> Iterator[Grown]:
    """
    One run per size, smallest first, each into a separate OUTPUT, which is removed after it.

    Raises:
        BenchmarkError: a run failed.
    """
    photos, output = bench.work / "photos", bench.work / "grown"
    have, photo_bytes = 0, 0
    for size in sorted(sizes):
        photo_bytes += make_photos(bench.assets / "fruits-360-sample", photos, have, size, bench.cores)
        have = size
        yield _measured(bench, photos, output, size, photo_bytes)
        shutil.rmtree(output)
    shutil.rmtree(photos)


def _measured(bench: Bench, photos: Path, output: Path, size: int, photo_bytes: int) -> Grown:
    environment = job_environment(bench, f"local[{bench.cores}]")
    told, sampler = run_command(["-m", "cli", "run", str(photos), str(output), "--local", "--json"], environment, bench.log)
    found = peaks(sampler.samples, 0, float("inf"))
    if told["counts"]["rows"] != size:
        raise BenchmarkError(f"of {size} photos the run has {told['counts']['rows']}, see `{bench.log}`")
    stages = {name: stage["seconds"] for name, stage in told["stages"].items()}
    driver, jvm, worker = (found[kind].rss_mb for kind in ("driver", "jvm", "worker"))
    return Grown(size, photo_bytes, stages, driver, jvm, worker, written(output))


def job_environment(bench: Bench, master: str) -> dict[str, str]:
    """The environment of a run."""
    fixed = {"FRUITS_ASSETS": str(bench.assets), "FRUITS_CACHE": str(bench.work / "cache"), "JAVA_HOME": str(bench.java_home)}
    return os.environ | bench.environment | fixed | {"FRUITS_MASTER": master}


def run_command(arguments: Sequence[str], environment: dict[str, str], log: Path) -> tuple[dict[str, Any], Sampler]:
    """
    The JSON object that this Python prints with `arguments`, and the memory of all its processes. Its stderr goes to `log`, line by line.

    Raises:
        BenchmarkError: it failed.
    """
    command = [sys.executable, *arguments]
    with log.open("a") as errors, subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=PIPE, stderr=errors) as process:
        assert process.stdout is not None
        with Sampler(process.pid, every=1.0) as sampler:
            printed = process.stdout.read().decode()
    if process.returncode:
        raise BenchmarkError(f"`{' '.join(arguments)}` ended with code {process.returncode}, see `{log}`")
    told: dict[str, Any] = json.loads(printed[printed.index("{") :])
    return told, sampler
