"""Temporary files of a job, real processes without Spark: they go away with it, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.targets.local import process as local
from job.contract.params import Params

WRITES = """
import os, pathlib, tempfile
pathlib.Path(tempfile.mkdtemp(), "features").write_text("x")
pathlib.Path(os.environ["TOLD"]).write_text(os.environ["TMPDIR"])
"""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def start(tmp_path, code):
    todo = local.Plan([sys.executable, "-c", code], {"TOLD": str(tmp_path / "told")}, tmp_path / "log")
    return local.start(todo, "run", dict(os.environ), print)


@pytest.mark.parametrize("ending", ["", "os._exit(7)", "os.kill(os.getpid(), 9)"])
def test_they_are_gone_after_success_failure_and_kill(ending, scratch, tmp_path):
    start(tmp_path, WRITES + ending)

    assert (tmp_path / "told").read_text().startswith(f"{scratch}/fruitsctl-job-")
    assert os.listdir(scratch) == []


def test_those_of_a_command_that_was_killed_go_with_the_next_and_those_of_a_living_one_stay(scratch, tmp_path):
    gone, other = scratch / "fruitsctl-job-gone", scratch / "fruitsctl-job-of-somebody-else"
    for folder in (gone, other):
        folder.mkdir()
        (folder / "features").write_text("x")
    (gone / "lock").touch()
    with local.scratch_folder() as living:
        start(tmp_path, "pass")

        assert sorted(os.listdir(scratch)) == sorted([os.path.basename(living), other.name])
    assert os.listdir(scratch) == [other.name]


def test_a_jvm_that_was_left_behind_ends_with_its_folder_and_no_other(scratch, tmp_path):
    gone, living = (scratch / f"fruitsctl-job-{name}" for name in ("gone", "gone-not"))
    for folder in (gone, living):
        folder.mkdir()
    (gone / "lock").touch()
    jvms = [
        subprocess.Popen([sys.executable, "-c", "input()", f"-Djava.io.tmpdir={folder}"], stdin=subprocess.PIPE)
        for folder in (gone, living)
    ]
    try:
        start(tmp_path, "pass")

        assert jvms[0].wait(10) == -9
        assert jvms[1].poll() is None
    finally:
        for jvm in jvms:
            jvm.kill()


def test_on_macos_forked_workers_are_allowed_and_elsewhere_the_variable_is_not_set(monkeypatch):
    arguments = Params("file:///in", "file:///out", "r1")
    plans = {}
    for platform in ("linux", "darwin"):
        monkeypatch.setattr("sys.platform", platform)
        plans[platform] = local.plan(arguments, Path("/java"), "2g", Path("/log"), {}).environment

    assert plans["darwin"] == plans["linux"] | {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}


SAYS = """
import sys
from job.contract.records import Outcome, Progress, to_line
sys.stdout.buffer.write(b"\\xff\\xfe from a library\\n@fruits \\xff\\n@fruits {\\n@fruits [1]\\n")
sys.stdout.buffer.flush()
for number in range(5000):  # more than a pipe holds
    print(to_line(Progress("embed", number, 5000)), flush=True)
print(to_line(Outcome("run", 0, "done")))
"""


def test_the_outcome_is_heard_whatever_else_the_job_says_and_wherever_its_progress_goes(scratch, tmp_path):
    def terminal_that_is_gone(_):
        raise OSError("input/output error")

    for watch in (lambda _: None, terminal_that_is_gone):
        todo = local.Plan([sys.executable, "-c", SAYS], {}, tmp_path / "log")

        assert local.start(todo, "run", dict(os.environ), watch).kind == "done"
    assert "from a library" in (tmp_path / "log").read_text()


def test_only_its_owner_can_read_a_log(scratch, tmp_path):
    before = os.umask(0)
    try:
        start(tmp_path, "import os; os.environ['TOLD']; import sys; sys.stderr.write('a photo')")
    finally:
        os.umask(before)

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_of_the_log_does_not_cost_the_outcome(scratch, tmp_path):
    todo = local.Plan([sys.executable, "-c", SAYS], {}, Path("/dev/full"))

    assert local.start(todo, "run", dict(os.environ), lambda _: None).kind == "done"


def test_a_log_in_the_temporary_folder_is_there_after_a_failure(scratch, tmp_path):
    todo = local.Plan([sys.executable, "-c", "import sys; sys.exit('a photo')"], {}, scratch / "fruitsctl-r1.log")

    outcome = local.start(todo, "r1", dict(os.environ), print)

    assert outcome.hint == f"see the log {scratch}/fruitsctl-r1.log"
    assert os.listdir(scratch) == ["fruitsctl-r1.log"]
    assert todo.log.read_text() == "a photo\n"
    assert todo.log.stat().st_mode & 0o777 == 0o600


KILLED = """
import os, signal, sys, tempfile
from pathlib import Path
from cli.targets.local import process as local
code = "import os, signal, sys; print('a photo', file=sys.stderr, flush=True); os.kill(os.getppid(), signal.SIGKILL)"
local.start(local.Plan([sys.executable, "-c", code], {}, Path(tempfile.gettempdir(), "fruitsctl-r1.log")), "r1", dict(os.environ), print)
"""


def test_a_log_in_the_temporary_folder_of_a_command_that_was_killed_goes_with_the_next(scratch, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(scratch)}, check=False)
    assert killed.returncode == -9
    assert "a photo\n" in [path.read_text() for path in scratch.rglob("*.log")]

    start(tmp_path, "pass")

    assert os.listdir(scratch) == []
