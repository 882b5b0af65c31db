"""What the processes below one process take at most, by their part in it. In: a process id. Out: peaks in MB, sampled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

from job.spark.session import SETTINGS

DAEMONS = {"pyspark.daemon", SETTINGS["spark.python.daemon.module"]}  # the notebook's, and ours
INTERVAL_SECONDS = 0.25
MB = 1_000_000


@dataclass(frozen=True)
class Sample:
    """One process at one moment. RSS counts shared pages in every process, USS only what the process alone would free."""

    at: float  # time.monotonic()
    kind: str
    pid: int
    rss_mb: float
    uss_mb: float


@dataclass(frozen=True)
class Peak:
    """Of one kind of process: the largest single process, and the most processes at one time."""

    rss_mb: float
    uss_mb: float
    processes: int


def kind_of(cmdline: Sequence[str], parent_cmdline: Sequence[str]) -> str:
    """`jvm`, `daemon` (forks the workers), `worker` (a Python worker), `cli`, `driver` (the job's or the notebook's Python) or `other`."""
    if not cmdline:
        return "other"
    if cmdline[0].rsplit("/", 1)[-1] == "java":
        return "jvm"
    if DAEMONS.intersection(cmdline):
        return "worker" if DAEMONS.intersection(parent_cmdline) else "daemon"
    if "python" not in cmdline[0].rsplit("/", 1)[-1]:
        return "other"
    return "cli" if list(cmdline[1:3]) == ["-m", "cli"] else "driver"


def peaks(samples: Iterable[Sample], since: float, until: float) -> dict[str, Peak]:
    """The peak of each kind between two moments."""
    by_kind: dict[str, list[Sample]] = {}
    for sample in samples:
        if since <= sample.at <= until:
            by_kind.setdefault(sample.kind, []).append(sample)
    return {kind: _peak(found) for kind, found in by_kind.items()}


def _peak(samples: Sequence[Sample]) -> Peak:
    moments = [sample.at for sample in samples]
    return Peak(
        rss_mb=max(sample.rss_mb for sample in samples),
        uss_mb=max(sample.uss_mb for sample in samples),
        processes=max(moments.count(at) for at in set(moments)),
    )


class Sampler:
    """Samples `pid` and all below it in a thread until the context ends. Each sample walks all their pages: a long run needs few."""

    def __init__(self, pid: int, every: float = INTERVAL_SECONDS) -> None:
        self.samples: list[Sample] = []
        self._every = every
        self._root = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            at = time.monotonic()
            try:
                processes = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in processes:
                try:
                    parent = process.parent()
                    kind = kind_of(process.cmdline(), parent.cmdline() if parent else [])
                    memory = process.memory_full_info()
                except psutil.Error:  # it ended, or became a zombie, in between
                    continue
                self.samples.append(Sample(at, kind, process.pid, memory.rss / MB, memory.uss / MB))
