"""The job in processes of its own, as EMR starts it: arguments and environment in; exit code, outcome and log out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cli.targets.local.java import find_java_home
from job.contract.params import ForgetParams, Params
from job.contract.records import Manifest, Outcome, from_line
from tests.waiting import wait_until

DRIVER = Path(__file__).with_name("driver.py")
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    code: int
    outcome: Outcome | None  # None: it died without a word
    log: str
    seconds: float


@dataclass
class Running:
    process: subprocess.Popen[str]
    log: Path
    began: float = field(default_factory=time.monotonic)

    def end(self) -> Ended:
        said, _ = self.process.communicate()
        seconds = time.monotonic() - self.began
        self.kill()
        outcomes = [record for record in map(from_line, said.splitlines()) if isinstance(record, Outcome)]
        return Ended(self.process.returncode, outcomes[-1] if outcomes else None, self.log.read_text(errors="replace"), seconds)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until `condition` holds; fails when the job ends before."""
        wait_until(condition, lambda: self.process.poll() is None)

    def kill(self) -> None:
        """The driver and its JVM at one stroke; what is left of its family, too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def family(self, word: str) -> Iterator[psutil.Process]:
        """Its processes with `word` among their arguments."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    if word in process.cmdline():
                        yield process


@dataclass
class Jobs:
    """Starts them. All share the place of their logs and the environment."""

    folder: Path
    environment: Mapping[str, str]
    started: list[Running] = field(default_factory=list)

    def start(self, params: Params | ForgetParams, point: str = "", within: Sequence[str] = (), **environment: str) -> Running:
        """`point`: of driver.POINTS, where it dies. `within`: a command that starts it, as nsenter."""
        log = self.folder / f"{len(self.started):02}-{params.run_id}.log"
        command = [*within, sys.executable, str(DRIVER), point, *params.to_argv()]
        with log.open("w") as errors:
            process = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by what is started in the background
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def run(self, params: Params | ForgetParams, point: str = "", within: Sequence[str] = (), **environment: str) -> Ended:
        return self.start(params, point, within, **environment).end()

    def kill_all(self) -> None:
        for running in self.started:
            running.kill()


def environment(short_jvm: Mapping[str, str], cache: Path) -> dict[str, str]:
    """As cli/targets/local/process.py starts the job, with two cores and, as on a cluster, four attempts for each task."""
    java = find_java_home(os.environ.get("JAVA_HOME"))
    assert java, "no Java: run make install"
    ours = {
        "JAVA_HOME": str(java[0]),
        "FRUITS_MASTER": "local[2,4]",
        "FRUITS_DRIVER_MEMORY": "1g",
        "FRUITS_CACHE": str(cache),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return {**os.environ, **short_jvm, **ours}


def commits(output: Path) -> int:
    """Of features/, after the one that made the table."""
    return max(0, len(list((output / "features" / "_delta_log").glob("*.json"))) - 1)


def manifest_of(output: Path, run_id: str) -> Manifest:
    return Manifest.from_json((output / "runs" / run_id / "manifest.json").read_text())


def latest(output: Path) -> str | None:
    """run_id that a reader is led to."""
    path = output / "latest.json"
    return json.loads(path.read_text())["run_id"] if path.exists() else None
