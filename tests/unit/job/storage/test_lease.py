"""One writer per OUTPUT, on the local disk, with real processes that race, die and are stopped. `tests/s3` does the same on S3."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from job.contract.errors import LeaseError, OutputError
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from tests.waiting import wait_until

HOLDER = """
import sys
from job.contract.errors import JobError
from job.storage.lease import Lease
from job.storage.folders import open_folder
from job.storage.object_store import Folder

uri, run_id, seconds = sys.argv[1:]
try:
    lease = Lease.acquire(open_folder(uri), run_id, float(seconds))
    print("holds", lease.taken_over, flush=True)
    for command in sys.stdin:
        getattr(lease, command.strip())()
        print("ok", flush=True)
except JobError as error:
    print(type(error).__name__, error, flush=True)
"""


class Holder:
    """A separate process that takes the lease and then does as it is told: `check` or `release`."""

    def __init__(self, uri: str, run_id: str, seconds: float) -> None:
        command = [sys.executable, "-c", HOLDER, uri, run_id, str(seconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer = self._line()

    def tell(self, command: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def holding(uri: str, run_id: str, seconds: float) -> Iterator[Holder]:
    holder = Holder(uri, run_id, seconds)
    try:
        yield holder
    finally:
        holder.process.kill()
        holder.process.communicate()


def acquire_when_free(uri: str, run_id: str, seconds: float) -> Lease:
    def attempt() -> Lease | None:
        with suppress(LeaseError):
            return Lease.acquire(open_folder(uri), run_id, seconds)
        return None

    return wait_until(attempt)


def written(folder: Folder) -> dict[str, object]:
    stored = folder.read("lease.json")
    assert stored is not None
    values: dict[str, object] = json.loads(stored.content)
    return values


def race(uri: str, racer: int, rounds: int, together: Barrier, results: Queue[tuple[int, str]]) -> None:
    for number in range(rounds):
        folder = open_folder(f"{uri}/{number // 2}")  # even rounds: no lease yet; odd rounds: a released one
        together.wait()
        try:
            lease = Lease.acquire(folder, f"run-{racer}")
        except LeaseError:
            results.put((number, "refused"))
            together.wait()
            continue
        results.put((number, "holds"))
        together.wait()
        lease.check()
        lease.release()
        assert not lease.lost


def race_of_two(uri: str, rounds: int) -> dict[int, list[str]]:
    """What became of the two processes in each round, sorted."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(2), context.Queue()
    racers = [context.Process(target=race, args=(uri, racer, rounds, together, results)) for racer in range(2)]
    for racer in racers:
        racer.start()
    ends = [results.get() for _ in range(2 * rounds)]
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0]
    return {number: sorted(end for of, end in ends if of == number) for number in range(rounds)}


def test_exactly_one_of_two_racing_processes_gets_the_lease(tmp_path: Path):
    assert race_of_two(f"file://{tmp_path}", 100) == {number: ["holds", "refused"] for number in range(100)}


def test_a_lease_says_who_holds_it_and_its_generation_grows(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}/out")

    with Lease.acquire(folder, "run-a") as first:
        assert (first.generation > 1_700_000_000, first.taken_over, first.lost) == (True, False, False)  # seconds: see Lease.acquire
        assert written(folder)["run_id"] == "run-a"
        assert written(folder)["released"] is False
    assert written(folder)["released"] is True
    with Lease.acquire(folder, "run-b") as second:
        assert (second.generation, second.taken_over) == (first.generation + 1, False)


def test_a_second_run_is_refused_with_what_it_must_know(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    noon = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC

    with Lease.acquire(folder, "run-a", seconds=90, now=lambda: noon) as lease:
        os.utime(tmp_path / "lease.json", (time.time() + 60, time.time() + 60))  # so that its age is 0
        with pytest.raises(LeaseError) as raised:
            Lease.acquire(folder, "run-b", now=lambda: noon + 3600)

    assert f"run `run-a` (process {os.getpid()} on " in str(raised.value)
    assert str(raised.value).endswith(f"has been writing to `{tmp_path}` since 2026-01-01 12:00:00 UTC; its lease expires at 13:01:30 UTC")
    assert raised.value.hint == "wait until that run has finished, then run the command again"
    assert raised.value.code == 3
    assert lease.lost is False


def test_a_new_attempt_of_the_same_run_enters_at_once_and_the_old_one_is_out(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "run-a") as first, Lease.acquire(folder, "run-a") as second:
        assert (second.generation, second.taken_over) == (first.generation + 1, True)
        second.check()
        with pytest.raises(LeaseError, match="is lost: run `run-a` took over"):
            first.check()
        assert first.lost is True
        second.check()


def test_the_owner_on_another_machine_is_believed_until_the_lease_expires(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    Lease.acquire(folder, "run-a").release()
    elsewhere = {"host": "elsewhere", "machine": "another boot", "pid": 2**22 + 1, "started": "1"}  # no such process here
    folder.write("lease.json", json.dumps(written(folder) | {"owner": elsewhere, "released": False}).encode())

    with pytest.raises(LeaseError, match="run `run-a` \\(process 4194305 on elsewhere\\)"):
        Lease.acquire(folder, "run-b")
    os.utime(tmp_path / "lease.json", (time.time() - 61, time.time() - 61))
    with Lease.acquire(folder, "run-b") as lease:
        assert lease.taken_over is True


def test_a_run_whose_clock_is_an_hour_slow_keeps_its_lease(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "run-a", now=lambda: time.time() - 3600), pytest.raises(LeaseError):
        Lease.acquire(folder, "run-b")


def test_a_killed_owner_on_this_machine_is_followed_at_once(tmp_path: Path):
    uri = f"file://{tmp_path}"
    with holding(uri, "run-a", 3600) as holder:
        assert holder.answer == "holds False"
        with pytest.raises(LeaseError):
            Lease.acquire(open_folder(uri), "run-b")
        holder.process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the process table

        with Lease.acquire(open_folder(uri), "run-b") as lease:
            assert lease.taken_over is True


def test_another_process_with_the_number_of_the_dead_owner_is_not_taken_for_it(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "run-a", 3600):
        record = written(folder)
    owner = record["owner"]
    assert isinstance(owner, dict)
    folder.write("lease.json", json.dumps(record | {"released": False, "owner": owner | {"started": "1"}}).encode())

    with Lease.acquire(folder, "run-b") as lease:
        assert lease.taken_over is True


def test_an_owner_that_slept_past_expiry_finds_out_and_overwrites_nothing(tmp_path: Path):
    uri = f"file://{tmp_path}"
    with holding(uri, "run-a", 1) as holder:
        holder.process.send_signal(signal.SIGSTOP)
        with acquire_when_free(uri, "run-b", 60) as lease:
            assert lease.taken_over is True
            before = (tmp_path / "lease.json").read_bytes()

            holder.process.send_signal(signal.SIGCONT)
            said = holder.tell("check")

            assert said == f"LeaseError the lease of `{tmp_path}` is lost: run `run-b` took over"
            assert (tmp_path / "lease.json").read_bytes() == before
            lease.check()


def test_the_background_thread_keeps_a_lease_that_is_never_checked(tmp_path: Path):
    """The age of a lease is that of its file: each renewal starts it again, however slow the machine is."""
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "run-a", seconds=0.4) as lease:
        began = (tmp_path / "lease.json").stat().st_mtime
        wait_until(lambda: (tmp_path / "lease.json").stat().st_mtime >= began + 2 * 0.4)
        assert lease.lost is False


def test_the_background_thread_remembers_that_the_lease_was_taken(tmp_path: Path):
    folder = open_folder(f"file://{tmp_path}")
    with Lease.acquire(folder, "run-a", seconds=0.4) as first, Lease.acquire(folder, "run-a"):
        wait_until(lambda: first.lost)
        with pytest.raises(LeaseError):
            first.check()


def lead(link: Path, target: Path) -> None:
    """`link` leads to `target` from now on, at one stroke."""
    new = link.with_name("new link")
    new.symlink_to(target)
    new.replace(link)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A link to a folder; led to `broken`, every access fails as on a disk that went away."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "broken").touch()
    lead(tmp_path / "out", tmp_path / "disk")
    return tmp_path / "out"


def test_a_store_that_is_away_for_a_moment_does_not_cost_the_lease(tmp_path: Path, out: Path):
    with Lease.acquire(open_folder(f"file://{out}"), "run-a", seconds=30) as lease:
        lead(out, tmp_path / "broken")
        threading.Timer(0.5, lead, (out, tmp_path / "disk")).start()
        lease.check()
        assert lease.lost is False


def test_a_store_that_is_away_past_expiry_costs_the_lease(tmp_path: Path, out: Path):
    with Lease.acquire(open_folder(f"file://{out}"), "run-a", seconds=0.5) as lease:
        lead(out, tmp_path / "broken")
        with pytest.raises(LeaseError, match="is lost: renewal failed: `"):
            lease.check()
        assert lease.lost is True


def test_a_lease_that_was_deleted_is_lost_and_not_made_again(tmp_path: Path):
    with Lease.acquire(open_folder(f"file://{tmp_path}"), "run-a") as lease:
        (tmp_path / "lease.json").unlink()
        with pytest.raises(LeaseError, match=r"is lost: `lease.json` was deleted"):
            lease.check()
    assert not (tmp_path / "lease.json").exists()


def test_no_commit_is_made_under_a_released_lease(tmp_path: Path):
    lease = Lease.acquire(open_folder(f"file://{tmp_path}"), "run-a")
    lease.release()

    with pytest.raises(LeaseError, match="is lost: it was released"):
        lease.check()


def test_a_file_that_is_no_lease_is_not_replaced(tmp_path: Path):
    (tmp_path / "lease.json").write_text("rent: 900")

    with pytest.raises(OutputError, match=r"lease\.json` is not a lease that this version of fruitsctl can read"):
        Lease.acquire(open_folder(f"file://{tmp_path}"), "run-a")
    assert (tmp_path / "lease.json").read_text() == "rent: 900"


def test_a_lease_of_a_newer_version_is_kept_to(tmp_path: Path):
    """It has fields that this version does not know."""
    folder = open_folder(f"file://{tmp_path}")
    Lease.acquire(folder, "newer")
    content = json.loads((tmp_path / "lease.json").read_text())
    content["owner"]["container"] = "abc"
    (tmp_path / "lease.json").write_text(json.dumps(content | {"schema_version": 2}))

    with pytest.raises(LeaseError, match="run `newer`"):
        Lease.acquire(folder, "older")
