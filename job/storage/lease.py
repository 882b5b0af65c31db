"""
One writer per OUTPUT: `lease.json`, taken and renewed by compare-and-swap. In: a Folder and a run id; out: the right to commit.

No clock decides who may write: `check` succeeds only by replacing the very version this process wrote last. Clocks decide
only when somebody else may try, and the age of a lease is told by the store (S3's `Date` minus `Last-Modified`), so
machines whose clocks differ agree on it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from job.contract.errors import LeaseError, OutputError, SetupError
from job.contract.uris import join, shown
from job.storage.object_store import Conflict, Folder, Stored

NAME = "lease.json"
TRIES = 10  # to take a lease that others change meanwhile


@dataclass(frozen=True)
class Owner:
    """A process, so exactly that a later one with the same number is not taken for it."""

    host: str  # for people
    machine: str  # boot and process namespace: containers of one machine do not see each other's processes; "" if unknown
    pid: int
    started: str  # "" if unknown

    @classmethod
    def this_process(cls) -> Owner:
        pid = os.getpid()
        return cls(socket.gethostname(), _machine(), pid, _started(pid))

    def is_gone(self) -> bool:
        """True only if it ran on this machine and has ended. Elsewhere that is unknown."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # somebody else's process: it is there
        started = _started(self.pid)
        return started == "ended" or bool(started and self.started and started != self.started)


@dataclass(frozen=True)
class Record:
    """What `lease.json` says."""

    run_id: str
    generation: int  # higher at each acquisition
    owner: Owner
    acquired_at: float  # Unix seconds by the owner's clock, for people
    renewed_at: float
    seconds: float  # without a renewal for so long, others may take over
    released: bool = False

    @classmethod
    def from_json(cls, content: bytes) -> Record:
        """Fields of a newer version are left out. Raises ValueError, TypeError or KeyError if it is not a lease."""
        values = json.loads(content)
        record = cls(**_known(cls, {**values, "owner": Owner(**_known(Owner, values["owner"]))}))
        numbers = (record.generation, record.owner.pid, record.acquired_at, record.renewed_at, record.seconds)
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("a number is missing")
        return record

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


class Lease:
    """
    The right of one run to write into OUTPUT, renewed by a background thread until `release`. Made by `acquire`.

    `taken_over`: the previous owner did not release, so it may still be writing: fence the tables before the first commit.
    """

    def __init__(self, folder: Folder, record: Record, version: str, taken_over: bool, now: Callable[[], float]) -> None:
        self.taken_over = taken_over
        self._folder, self._record, self._version, self._now = folder, record, version, now
        self._lost = ""  # why
        self._lock = threading.Lock()
        self._released = threading.Event()
        threading.Thread(target=self._keep, name="lease", daemon=True).start()

    @classmethod
    def acquire(cls, folder: Folder, run_id: str, seconds: float = 60.0, now: Callable[[], float] = time.time) -> Lease:
        """
        Taken if there is no lease, if it was released or has expired, if this run holds it (a new attempt), or if its owner
        was a process of this machine that has ended.

        Raises:
            LeaseError: another run holds it.
            OutputError, CredentialsError: OUTPUT cannot be read or written.
        """
        mine: Record | None = None
        taken_over = False
        for _ in range(TRIES):
            stored = folder.read(NAME)
            previous = _record(stored, folder)
            if mine and stored and previous == mine:  # our own write, whose answer got lost on the way
                return cls(folder, mine, stored.version, taken_over, now)
            if stored and previous and not _is_free(stored, previous, run_id):
                raise _held(stored, previous, folder, now)
            taken_over = previous is not None and not previous.released
            # Begun with the clock, not with 1: should somebody delete `lease.json`, Delta would skip lower generations in silence.
            generation = previous.generation + 1 if previous else int(now())
            mine = Record(run_id, generation, Owner.this_process(), now(), now(), seconds)
            try:
                version = folder.swap(NAME, mine.to_json(), stored.version if stored else None)
            except Conflict:
                continue
            return cls(folder, mine, version, taken_over, now)
        raise LeaseError(f"the lease of `{shown(folder.uri)}` keeps changing", "stop other runs that write to this OUTPUT")

    @property
    def generation(self) -> int:
        return self._record.generation

    @property
    def lost(self) -> bool:
        """As far as is known here: only `check` asks."""
        return bool(self._lost)

    def check(self) -> None:
        """
        Renew, now. Called before every commit. Trouble with the store is tried again until the lease has expired.

        Raises:
            LeaseError: another run took over, the store was away too long, or the lease was released.
        """
        with self._lock:
            while not self._lost and not self._released.is_set():
                try:
                    self._renew()
                except SetupError as error:
                    if self._now() - self._record.renewed_at < self._record.seconds:
                        self._released.wait(min(1.0, self._record.seconds / 20))
                        continue
                    self._lost = f"renewal failed: {error}"
                if not self._lost:
                    return
            why = self._lost or "it was released"
            message = f"the lease of `{shown(self._folder.uri)}` is lost: {why}"
            raise LeaseError(message, "run the same command again: it resumes from the last commit")

    def release(self) -> None:
        """Let others in at once. Never raises: what cannot be released expires."""
        self._released.set()
        with self._lock:
            if self._lost:
                return
            with suppress(Conflict, SetupError):
                self._folder.swap(NAME, replace(self._record, released=True).to_json(), self._version)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _renew(self) -> None:
        """Sets `_lost` if another owner is found."""
        for _ in range(TRIES):
            renewed = replace(self._record, renewed_at=self._now())
            try:
                self._version = self._folder.swap(NAME, renewed.to_json(), self._version)
                self._record = renewed
                return
            except Conflict:
                stored = self._folder.read(NAME)
            present = _record(stored, self._folder)
            if stored is None or present is None:
                self._lost = f"`{NAME}` was deleted"
                return
            if (present.generation, present.owner) != (self.generation, self._record.owner):
                self._lost = f"run `{present.run_id}` took over"
                return
            self._version = stored.version  # our own write, whose answer got lost on the way
        raise OutputError(f"cannot replace `{shown(join(self._folder.uri, NAME))}`", "use a store that supports conditional writes")

    def _keep(self) -> None:
        while not self._released.wait(self._record.seconds / 4):
            try:
                self.check()
            except LeaseError:
                return


def _known(kind: type[Record] | type[Owner], values: dict[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


def _record(stored: Stored | None, folder: Folder) -> Record | None:
    try:
        return Record.from_json(stored.content) if stored else None
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(
            f"`{shown(join(folder.uri, NAME))}` is not a lease that this version of fruitsctl can read",
            "update fruitsctl, whose newer version may be writing to this OUTPUT, or choose another OUTPUT",
        ) from error


def _is_free(stored: Stored, previous: Record, run_id: str) -> bool:
    return previous.released or previous.run_id == run_id or stored.age >= previous.seconds or previous.owner.is_gone()


def _held(stored: Stored, previous: Record, folder: Folder, now: Callable[[], float]) -> LeaseError:
    owner, expires = previous.owner, now() + previous.seconds - stored.age
    since = datetime.fromtimestamp(previous.acquired_at, UTC)
    until = datetime.fromtimestamp(expires, UTC)
    message = (
        f"run `{previous.run_id}` (process {owner.pid} on {owner.host}) has been writing to `{shown(folder.uri)}` "
        f"since {since:%Y-%m-%d %H:%M:%S} UTC; its lease expires at {until:%H:%M:%S} UTC"
    )
    return LeaseError(message, "wait until that run has finished, then run the command again")


def _machine() -> str:
    """Two processes with the same value see each other by number."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _started(pid: int) -> str:
    """When the process began, in whatever unit; "ended" for one that only waits for its parent; "" if unknown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # a name in parentheses may hold anything
        return "ended" if fields[0] in "ZX" else fields[19]  # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    except OSError:
        return _output("ps", "-o", "lstart=", "-p", str(pid))


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
