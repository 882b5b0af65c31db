"""Save the runs that were started or sent from this machine as runs/<run_id>.json in the state folder, before a request is sent."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from cli.errors import UsageError
from cli.settings.private import owner_only, write_private
from cli.settings.waiting import wait_until
from cli.targets.base import SubmittedRun

POLL_SECONDS = 0.2
LOCK_SECONDS = 0.5
STOP_SECONDS = 60.0  # for a run that is cancelled to end its Spark session


def save(state: Path, run: SubmittedRun) -> None:
    """
    Save a run in the state folder.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = state / "runs"
    try:
        write_private(folder / f"{run.run_id}.json", json.dumps(asdict(run), indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write `{folder}`: {error.strerror}", "set FRUITS_STATE to a writable folder") from error


def keep(state: Path, run: SubmittedRun) -> None:
    """Save a run that works without being saved: it can then not be found again."""
    with suppress(UsageError):
        save(state, run)


def load(state: Path, run_id: str | None) -> SubmittedRun | None:
    """Return the saved run of that id, the job's or the service's; without an id the last one."""
    return next((run for run in saved(state) if run_id in (None, run.run_id, run.job_run_id)), None)


def saved(state: Path) -> list[SubmittedRun]:
    """Return all saved runs, newest first."""
    return sorted(_all(state), key=lambda run: run.sent_at, reverse=True)


@contextmanager
def holding(state: Path, run_id: str) -> Iterator[None]:
    """
    Hold the lock that says that the command of this run is alive. The system releases it however the command ends.

    Without a writable state folder there is no lock, and the run cannot be found again; nothing else depends on it.

    Raises:
        UsageError: another command holds it.
    """
    file = _lock_of(state, run_id)
    with ExitStack() as stack:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(file, "w", opener=owner_only))
            if not _locked(lock):
                raise UsageError(f"run `{run_id}` is already active on this machine", f"run `fruitsctl status {run_id}`")
            stack.callback(file.unlink, missing_ok=True)
        yield


def is_held(state: Path, run_id: str) -> bool:
    """Tell whether a command that `holding` this run is alive."""
    try:
        with open(_lock_of(state, run_id), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def wait_until_released(state: Path, run_id: str) -> None:
    """
    Wait until the command of the run has ended.

    Raises:
        FruitsError: it has not after STOP_SECONDS.
    """
    wait_until(
        lambda: is_held(state, run_id),
        lambda held: not held,
        POLL_SECONDS,
        STOP_SECONDS,
        lambda _: f"run `{run_id}` has not stopped",
        "run the same command again, or end its process by hand",
    )


def _locked(lock: TextIO) -> bool:
    """Take the lock. `is_held` takes it for a moment, so that one attempt does not tell."""

    def taken() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return wait_until(taken, bool, POLL_SECONDS / 4, LOCK_SECONDS)


def _lock_of(state: Path, run_id: str) -> Path:
    return state / "runs" / f"{run_id}.lock"


def _all(state: Path) -> Iterator[SubmittedRun]:
    for file in (state / "runs").glob("*.json"):
        try:
            yield SubmittedRun(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # a damaged file counts as missing: the list of the service has the run
