"""The things that are measured, each in a separate process. In: images and where to write. Out: what they report about themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.memory import Sampler, peaks
from cli.targets.local import jvm_archive
from cli.targets.local.environment import JVM_OPTIONS
from cli.targets.local.java import find_java_home, in_words, supported
from job.contract.records import STAGES, Stage

CHECKOUT = Path(__file__).parents[1]  # where `-m` finds these modules
NO_TOP_WEIGHTS = "*no_top*.h5"


class BenchmarkError(Exception):
    """Something that was to be measured did not run to its end."""


@dataclass(frozen=True)
class Run:
    """Stages by their names, seconds from start to end of the process, the job's counts, and where it was sampled the peak memory by kind
    of process."""

    stages: dict[str, Stage]
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    lines: list[tuple[float, str]] = field(default_factory=list)  # of progress, each with its seconds since the start


@dataclass(frozen=True)
class Bench:
    """What all runs have in common."""

    assets: Path
    weights: Path
    work: Path
    java_home: Path
    cores: int
    log: Path  # stderr of all runs
    environment: dict[str, str] = field(default_factory=dict)  # over that of this process

    def notebook(self, images: Path | str, variant: str, output: str | None = None, memory: bool = False) -> Run:
        work = self.work / "notebook"
        command = ["benchmarks.notebook", f"--images={images}", f"--work={work}", f"--output={output or work}", f"--weights={self.weights}"]
        began = time.monotonic()
        told, sampler, _ = self._start([*command, f"--variant={variant}", f"--cores={self.cores}", "--json"], memory)
        return Run(_stages(told["stages"]), time.monotonic() - began, memory=_memory(sampler, 0, time.monotonic()))

    def ours(self, images: Path | str, output: Path | str, memory: bool = False) -> Run:
        """The real command. Memory is that of the embed stage."""
        began = time.monotonic()
        told, sampler, said = self._start(["cli", "run", str(images), str(output), "--local", "--json"], memory)
        seconds, lines = time.monotonic() - began, [(at - began, line) for at, line in said]
        return Run(_stages(told["stages"]), seconds, told["counts"], _memory(sampler, *embed_window(said)), lines)

    def reading(self, images: Path | str, fetch: bool) -> dict[str, Any]:
        """Our listing, and with `fetch` our fetching of everything: benchmarks.reading.Reading."""
        command = ["benchmarks.reading", f"--images={images}", f"--work={self.work / 'reading'}", "--json"]
        return self._start([*command, *(["--fetch"] if fetch else [])])[0]

    def limit(self, images: Path) -> float:
        """images/s"""
        command = ["benchmarks.limit", f"--images={images}", f"--weights={self.weights}", f"--cache={self.work / 'cache'}"]
        told, _, _ = self._start([*command, f"--cores={self.cores}", "--json"])
        return float(told["images_per_second"])

    def pca(self, rows: int, repeats: int) -> dict[str, Any]:
        command = ["benchmarks.pca", f"--rows={rows}", f"--work={self.work}", f"--cores={self.cores}", f"--repeats={repeats}", "--json"]
        return self._start(command)[0]

    def _start(self, module: Sequence[str], memory: bool = False) -> tuple[dict[str, Any], Sampler | None, list[tuple[float, str]]]:
        """
        The JSON object that `python -m module` prints, the memory samples, and its stderr lines with the moment of each.

        Raises:
            BenchmarkError: it failed.
        """
        environment = {
            **os.environ,
            **self.environment,
            "FRUITS_ASSETS": str(self.assets),
            "FRUITS_CACHE": str(self.work / "cache"),
            "FRUITS_MASTER": f"local[{self.cores}]",
            "JAVA_HOME": str(self.java_home),
        }
        command = [sys.executable, "-m", *module]
        said: list[tuple[float, str]] = []
        with (
            self.log.open("a") as log,
            subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=PIPE, stderr=PIPE, text=True, errors="replace") as process,
        ):
            listener = threading.Thread(target=_listen, args=(process, log, said))
            listener.start()
            assert process.stdout is not None
            sampler = Sampler(process.pid) if memory else None
            with sampler or nullcontext():
                printed = process.stdout.read()
            listener.join()
        if process.returncode:
            raise BenchmarkError(f"`{' '.join(module)}` ended with code {process.returncode}, see `{self.log}`")
        told: dict[str, Any] = json.loads(printed[printed.index("{") :])
        return told, sampler, said


def prepare(assets: Path | None, work: str, cores: int | None, out: Path) -> Bench:
    """
    What all runs have in common, from the command line's arguments; the log lies beside `out`.

    Our command runs as it does from its second time on: the archive for its JVM is made here.

    Raises:
        BenchmarkError: there are no weights, or no Java.
    """
    if assets is None:
        raise BenchmarkError("give --assets, or set FRUITS_ASSETS")
    weights = next(iter(sorted((assets / "weights").glob(NO_TOP_WEIGHTS))), None)
    if weights is None:
        raise BenchmarkError(f"there are no weights `{assets / 'weights' / NO_TOP_WEIGHTS}`")
    java = find_java_home(os.environ.get("JAVA_HOME"))
    if java is None:
        raise BenchmarkError(f"there is no Java {in_words(supported())}; install the extra [job], which has one")
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_suffix(".log").resolve()
    bench = Bench(assets.resolve(), weights.resolve(), Path(work).resolve(), java[0], cores or os.cpu_count() or 1, log)
    if JVM_OPTIONS not in os.environ:
        jvm_archive.make(jvm_archive.archive_of(bench.work / "cache", bench.java_home))
    return bench


def say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def embed_window(said: Sequence[tuple[float, str]]) -> tuple[float, float]:
    """When the embed stage began and ended, from the progress lines of `fruitsctl run` without a terminal."""
    ended = {title: at for title in (STAGES["new"], STAGES["embed"]) for at, line in said if line.startswith(title + ":")}
    try:
        return ended[STAGES["new"]], ended[STAGES["embed"]]
    except KeyError as missing:
        raise BenchmarkError(f"no progress line of stage {missing}") from missing


def _listen(process: subprocess.Popen[str], log: Any, said: list[tuple[float, str]]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append((time.monotonic(), line))
        log.write(line)


def _stages(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Stage]:
    return {name: Stage(stage["seconds"], stage["images"]) for name, stage in told.items()}


def _memory(sampler: Sampler | None, since: float, until: float) -> dict[str, dict[str, float]]:
    if sampler is None:
        return {}
    return {kind: vars(peak) for kind, peak in peaks(sampler.samples, since, until).items()}
