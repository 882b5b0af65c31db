"""SIGINT and SIGTERM at a command that runs the job here: both reach the job, and the exit code says which it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

# `fruitsctl run` from where the job is started; argv: the job's code, a file that says that it runs, a log.
COMMAND = """
import os, sys
from pathlib import Path
from cli.targets.local import process as local
code, log = sys.argv[1:]
outcome = local.start(local.Plan([sys.executable, "-c", code], {}, Path(log)), "r1", dict(os.environ), lambda _: None)
print(outcome.code, outcome.kind, outcome.message)
"""
HEEDS = """
import signal, time
from pathlib import Path
from job.contract.records import Outcome, to_line
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    Path({started!r}).touch()
    time.sleep(60)
except KeyboardInterrupt:
    print(to_line(Outcome("r1", 130, "Interrupted", "interrupted")))
"""
LOSES_SPARK = """
import signal, time
from pathlib import Path
from job.contract.records import Outcome, to_line
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    Path({started!r}).touch()
    time.sleep(60)
except KeyboardInterrupt:
    print(to_line(Outcome("r1", 1, "JobError", "Py4JJavaError: An error occurred while calling o42.collect")))
"""
STILL_IMPORTS = "import time; from pathlib import Path; Path({started!r}).touch(); time.sleep(60)"
DEAF = """
import signal, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
Path({started!r}).touch()
time.sleep(60)
"""


def start(code: str, folder: Path, ignored: bool = False) -> subprocess.Popen[str]:
    """Once it returns, the job runs. `ignored`: SIGINT is, as in `fruitsctl run … &` of a script."""
    started = folder / "started"
    handler = signal.SIG_IGN if ignored else signal.default_int_handler
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, code.format(started=str(started)), str(folder / "log")],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    wait_until(started.exists, lambda: command.poll() is None)
    return command


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "job", [HEEDS, STILL_IMPORTS, LOSES_SPARK], ids=["job that heeds it", "job that still imports", "job that loses Spark"]
)
def test_the_exit_code_is_that_of_the_signal(tmp_path, number, code, job):
    command = start(job, tmp_path)
    command.send_signal(number)

    assert command.communicate(timeout=30)[0].split() == [str(code), "Interrupted", "interrupted"]


def test_sigterm_ends_a_command_that_ignores_sigint(tmp_path):
    command = start(HEEDS, tmp_path, ignored=True)
    command.send_signal(signal.SIGINT)
    assert command.poll() is None
    command.send_signal(signal.SIGTERM)

    assert command.communicate(timeout=30)[0].split()[0] == "143"


def test_the_error_of_a_job_that_failed_before_the_signal_stands(tmp_path):
    """Its outcome is there, its JVM takes long to end."""
    fails = "from job.contract.records import Outcome, to_line; print(to_line(Outcome('r1', 1, 'RejectsError', 'too many')), flush=True);"
    fails += "import time; time.sleep(0.5);"  # until it is read
    command = start(fails + STILL_IMPORTS, tmp_path)
    command.send_signal(signal.SIGTERM)

    assert command.communicate(timeout=30)[0] == "1 RejectsError too many\n"


# As spark-submit: a JVM, here a shell, whose child is the job. The shell dies by SIGTERM, and takes what it had open with it.
SUBMITS = """
import os, sys
from pathlib import Path
from cli.targets.local import process as local
local.ENTRY_POINT, log = sys.argv[1:]
command = ["sh", "-c", f"{sys.executable} {local.ENTRY_POINT}; exit $?", "jvm"]
outcome = local.start(local.Plan(command, {}, Path(log)), "r1", dict(os.environ), lambda _: None)
print(outcome.code, outcome.kind, outcome.message, outcome.hint)
"""


def test_below_spark_submit_the_signal_reaches_the_job_and_not_its_jvm(tmp_path):
    started, entry_point = tmp_path / "started", tmp_path / "run_job.py"
    entry_point.write_text(HEEDS.format(started=str(started)).replace('"interrupted")', '"interrupted", "in good order")'))
    command = subprocess.Popen(
        [sys.executable, "-c", SUBMITS, str(entry_point), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[5])},
    )
    wait_until(started.exists, lambda: command.poll() is None)

    command.send_signal(signal.SIGTERM)

    assert command.communicate(timeout=30)[0] == "143 Interrupted interrupted in good order\n"


def test_a_second_signal_ends_a_job_that_does_not_end(tmp_path):
    command = start(DEAF, tmp_path)
    command.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(0.5)
    command.send_signal(signal.SIGINT)

    assert command.communicate(timeout=30)[0].split()[0] == "130"
