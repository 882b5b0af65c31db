"""
Run the job in a separate process and read its progress from stdout.

On this machine's Python (`plan`), or by spark-submit on the cluster of SPARK_CONF_DIR, as inside the image (`plan_submit`). The arguments
are the same everywhere.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cli.errors import UsageError
from cli.settings.private import owner_only
from cli.targets.local.environment import ROOT, for_spark, temporary_folder
from job.contract.params import Arguments, Params
from job.contract.records import Outcome, Progress, from_line

ENTRY_POINT = "/opt/fruits/run_job.py"  # in the image
OWN_ENTRY_POINT = str(ROOT / "job" / "__main__.py")  # of this installation, for a Spark outside the image
SCRATCH = "fruitsctl-job"  # begins the names of folders of temporary files
INTERRUPTED = 130  # the job's own exit code after SIGINT and SIGTERM
AGAIN = "run the same command again: it resumes from the last commit"
GRACE_SECONDS = 30  # for a job that was interrupted to end its Spark session


@dataclass(frozen=True)
class Plan:
    """What would be started: the exact command, what its environment adds, and where its log goes."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    isolated: bool = False  # from variables of another Spark, see cli/targets/local/environment.py

    def process_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the process."""
        return {**(for_spark(inherited) if self.isolated else inherited), **self.environment}

    def as_shell(self) -> str:
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        folder, log = shlex.quote(str(self.log.parent)), shlex.quote(str(self.log))
        return " ".join(["mkdir -p", folder, "&&", *variables, shlex.join(self.command), "2>>", log])


def plan(arguments: Arguments, java_home: Path, driver_memory: str, log: Path, jvm: Mapping[str, str], module: str = "job") -> Plan:
    """Plan the process. `jvm`: further variables for the JVM of Spark."""
    command = [sys.executable, "-m", module, *arguments.to_argv()]
    environment = {
        "JAVA_HOME": str(java_home),
        "FRUITS_DRIVER_MEMORY": driver_memory,
        **jvm,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # a `job` in the working directory is not ours
        # The workers inherit it: Spark owns the parallelism, one BLAS or OpenMP thread per worker.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if sys.platform == "darwin":  # Spark's Python workers are forked, which its Objective-C runtime otherwise ends
        environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"  # https://wefearchange.org/2018/11/forkmacos.rst.html
    return Plan(command, environment, log, isolated=True)


def plan_submit(params: Params, spark_home: str, log: Path) -> Plan:
    return Plan([f"{spark_home}/bin/spark-submit", ENTRY_POINT, *params.to_argv()], {"PYTHONUNBUFFERED": "1"}, log)


def start(todo: Plan, run_id: str, environment: Mapping[str, str], on_progress: Callable[[Progress], None]) -> Outcome:
    """
    Run the job to its end and return the outcome.

    SIGINT and SIGTERM reach the job too, which ends in good order; a second one kills it. The outcome's code is then 130 or 143, whatever
    became of the job.

    Other output of the job, and all of Spark's, goes to the log.

    Raises:
        UsageError: the log cannot be written.
    """
    with scratch_folder() as scratch, _opened(todo.log, scratch) as log:
        job = subprocess.Popen(
            todo.command,
            env={**todo.process_environment(environment), "TMPDIR": scratch, "SPARK_LOCAL_DIRS": scratch},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a terminal's Ctrl-C comes to us alone; we pass it on once
        )
        outcomes: list[Outcome] = []
        signals: list[int] = []

        def listen() -> None:
            """To the end, whatever a line holds: the job waits where nobody reads what it says."""
            assert job.stdout is not None
            for line in job.stdout:
                record = from_line(line)
                if isinstance(record, Outcome):
                    outcomes.append(_interrupted(record) if signals and record.code else record)
                    continue
                with suppress(OSError, ValueError):  # the terminal is gone or cannot show it, the disk of the log is full
                    if isinstance(record, Progress):
                        on_progress(record)
                    else:
                        log.write(line)

        listener = threading.Thread(target=listen, name="listener", daemon=True)
        with _interruptible(job, signals):
            listener.start()
            code = job.wait()
        # A JVM that was just starting when its Python ended stays behind, with our pipe open.
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        listener.join()
    outcome = outcomes[-1] if outcomes else None
    if signals and (outcome is None or outcome.code == INTERRUPTED):
        return Outcome(run_id, 128 + signals[0], "Interrupted", "interrupted", outcome.hint if outcome else AGAIN)
    if outcome is None:
        message = f"the job ended without an outcome, exit code `{code}`"
        return Outcome(run_id, 1, "Died", message, f"see the log {todo.log}")
    return outcome


def _interrupted(outcome: Outcome) -> Outcome:
    """Turn an error after a signal into an interruption: Spark ended under the job, or a call to it failed."""
    return outcome if outcome.code == INTERRUPTED else Outcome(outcome.run_id, INTERRUPTED, "Interrupted", "interrupted", AGAIN)


@contextmanager
def _opened(log: Path, scratch: str) -> Iterator[TextIO]:
    """
    Open `log` for appending. It names photos and may be in a shared folder, so only its owner can read it.

    One in the folder for temporary files is in `scratch` until the job has ended: if this command is killed, the next one removes it.
    """
    temporary = log.parent == Path(tempfile.gettempdir())
    place = Path(scratch, log.name) if temporary else log
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = open(place, "a", encoding="utf-8", errors="replace", opener=owner_only)  # noqa: SIM115 - closed below
    except OSError as error:
        hint = "make it writable, or choose another OUTPUT"
        raise UsageError(f"cannot write `{error.filename or place}`: {error.strerror}", hint) from error
    try:
        yield file
    finally:
        with suppress(OSError):  # the disk is full: how the job ended matters more than the last lines of its log
            file.close()
        if temporary:
            with suppress(OSError):
                shutil.move(place, log)


def growing(log: Path) -> Path:
    """Return where `log` is while its job runs, in this command or another one."""
    return next(temporary_folder().glob(f"{SCRATCH}-*/{log.name}"), log)


@contextmanager
def scratch_folder() -> Iterator[str]:
    """
    Yield a folder for temporary files of a job, which hold features and addresses. It is always removed.

    The folders of killed commands are removed by the next one, which can lock folders without a holder. With them it ends what still runs
    on them: a JVM that was about to start waits for ever. Process numbers cannot identify them, since containers that share a folder have
    their own.
    """
    root = temporary_folder()
    for left in root.glob(f"{SCRATCH}-*"):
        with suppress(OSError), open(left / "lock", "rb") as lock:  # held, or somebody else's
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end_processes_on(left)
            shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="fruitsctl-new-", dir=root))
    with open(new / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = new.rename(new.with_name(new.name.replace("fruitsctl-new", SCRATCH)))  # under its name it was never without its lock
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _end_processes_on(folder: Path) -> None:
    """End processes with an argument that ends with `folder`, such as the JVM; none without /proc."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if any(argument.endswith(os.fsencode(folder)) for argument in (process / "cmdline").read_bytes().split(b"\0")):
                os.kill(int(process.name), signal.SIGKILL)


@contextmanager
def _interruptible(job: subprocess.Popen[str], interrupted: list[int]) -> Iterator[None]:
    """
    Forward SIGINT and SIGTERM to the job and add their numbers to `interrupted`. After an error the job is ended.

    A signal that the parent process ignores stays ignored: https://www.gnu.org/software/bash/manual/html_node/Signals.html
    """

    def pass_on(number: int, frame: object) -> None:
        again = bool(interrupted)
        interrupted.append(number)
        if again:
            job.kill()
        elif driver := _driver_below(job):
            with suppress(ProcessLookupError):  # it has ended
                os.kill(driver, number)
        else:
            job.send_signal(number)

    heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if job.poll() is None:
            job.terminate()
            try:
                job.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                job.kill()


def _driver_below(job: subprocess.Popen[str]) -> int | None:
    """
    Return the job's Python if `job` is spark-submit: a child of the JVM, which then ends in good order.

    A JVM that gets the signal itself takes Spark away from it. None until it has started, and without /proc.
    """
    entries = {os.fsencode(ENTRY_POINT), os.fsencode(OWN_ENTRY_POINT)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            words = (process / "cmdline").read_bytes().split(b"\0")
            if set(words[1:2]) & entries and os.getpgid(int(process.name)) == job.pid != int(process.name):
                return int(process.name)
    return None
