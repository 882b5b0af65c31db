"""
Every target of the registry behaves alike: what `run`, `status`, `logs`, `cancel`, `ui`, `cost` and `runs` say of a run on it.

Runs on this machine are real, with a network of three numbers; the local stack is a `docker` that follows a script; the services are
the stand-in and moto.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cli.targets import registry
from cli.targets.options import declared
from job.contract.records import Outcome
from tests.aws.account import BUCKET, PROGRESS, an_account, leave, nobody_waits  # noqa: F401
from tests.aws.docker_standin import docker_standin
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner
from tests.aws.virtual_cluster import a_cluster_with_runs, a_virtual_cluster, clients_of_paris  # noqa: F401
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
REFUSED = Outcome("r1", 2, "InputError", "there is no photo", "check INPUT")
S3 = (f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out")
NAMES = [target.name for target in registry.TARGETS]


class OnThisMachine:
    """A run that is a process of its own command."""

    complaint = "there are no images below"

    def __init__(self, folder, environment, *flags):
        self.environment, self.flags = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}, flags
        self.source, self.output = folder / "photos", folder / "out"
        for label in ("Apple", "Lemon"):
            (self.source / label).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (80 * number, 200 - 50 * number**2, ord(label[0]))).save(self.source / label / f"{number}.png")
        (folder / "empty").mkdir()
        self.processes = []

    def words(self, source=None):
        return ("run", str(source or self.source), str(self.output), "--run-id", "r1", "--components", "2", *self.flags)

    def start(self, words):
        command = [sys.executable, "-m", "cli", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.processes.append(subprocess.Popen(command, env=self.environment, **pipes))
        return self.processes[-1]

    def finished(self, words):
        process = self.start(words)
        stdout, stderr = process.communicate(timeout=180)
        return process.returncode, stdout, stderr

    def succeeds(self):
        return self.finished((*self.words(), "--json"))

    def fails(self):
        return self.finished(self.words(self.source.parent / "empty"))

    def begins(self):
        """Start a run that is still active when this returns."""
        process = self.start(self.words())
        wait_until(lambda: fruitsctl("status", "r1", "--json").stdout.find('"RUNNING"') > 0, lambda: process.poll() is None)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


class InTheStack(OnThisMachine):
    """A run in a container of the stand-in."""

    complaint = REFUSED.message

    def __init__(self, folder, environment):
        super().__init__(folder, environment, "--compose", "--model", "mean_colour")
        self.folder, self.output = folder, S3[1]

    def words(self, source=None):
        return ("run", *S3, "--run-id", "r1", *self.flags)

    def script(self, seconds=0, code=0, stdout=""):
        (self.folder / "script.json").write_text(json.dumps({"seconds": seconds, "code": code, "stdout": stdout}))

    def succeeds(self):
        self.script(stdout='{"run_id": "r1", "k": 2}')
        return super().succeeds()

    def fails(self):
        self.script(code=REFUSED.code, stdout=REFUSED.message)
        return self.finished(self.words())

    def begins(self):
        self.script(seconds=60)
        super().begins()
        wait_until(lambda: list(self.folder.glob("*.running")))

    def close(self):
        for file in self.folder.glob("*.running"):
            os.kill(int(file.stem), signal.SIGKILL)
        super().close()


class OnServerless:
    """A job run of the stand-in."""

    output, complaint = S3[1], REFUSED.message

    def __init__(self, account, aws):
        self.account, self.aws = account, aws

    def words(self):
        return ("run", *S3, "--run-id", "r1", "--serverless")

    def run(self, *more):
        found = fruitsctl(*self.words(), *more)
        return found.returncode, found.stdout, found.stderr

    def succeeds(self):
        return self.run("--json")

    def fails(self):
        self.account.runner = ScriptedRunner(PROGRESS, code=REFUSED.code, meanwhile=leave(self.aws, REFUSED))
        return self.run()

    def begins(self):
        self.account.runner = ScriptedRunner(seconds=60)
        assert self.run("--detach")[0] == 0

    def close(self):
        pass


class OnEks(OnServerless):
    """A job run of moto's service."""

    def __init__(self, cluster):
        self.run_words, self.end = cluster

    def words(self):
        return self.run_words

    def succeeds(self):
        self.end("COMPLETED")
        return self.run("--json")

    def fails(self):
        self.end("FAILED", REFUSED)
        return self.run()

    def begins(self):
        assert self.run("--detach")[0] == 0


@pytest.fixture
def place(request, tmp_path, monkeypatch, short_jvm):
    """What runs on the target of this test: it succeeds, fails or stays active. Without an account of its own it has an empty one."""
    aws = request.getfixturevalue("aws")
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FRUITS_CACHE", str(tmp_path / "cache"))
    name, cheap = request.param, ("--model", "mean_colour")
    if name == "local":
        found = OnThisMachine(tmp_path, short_jvm, "--local", *cheap)
    elif name == "submit":
        found = OnThisMachine(tmp_path, short_jvm, "--submit", "--master", "local[1]", *cheap)
    elif name == "compose":
        monkeypatch.setenv("PATH", docker_standin(tmp_path))
        monkeypatch.chdir(tmp_path)
        found = InTheStack(tmp_path, {"PATH": os.environ["PATH"]})
    elif name == "serverless":
        found = OnServerless(request.getfixturevalue("account"), aws)
    else:
        found = OnEks(request.getfixturevalue("cluster"))
    found.name = name
    yield found
    found.close()


every_target = pytest.mark.parametrize("place", NAMES, indirect=True)


def test_each_target_of_the_registry_is_in_this_suite():
    assert NAMES == ["local", "compose", "submit", "serverless", "eks"]


@every_target
def test_a_dry_run_prints_what_would_be_started_or_sent_and_starts_nothing(place, tmp_path):
    shown = done(*place.words(), "--dry-run")

    assert "r1" in json.dumps(shown)
    assert not list((tmp_path / "state").glob("runs/*"))
    assert fruitsctl("status", "r1").returncode != 0


@every_target
def test_a_run_that_succeeds_is_found_described_and_listed(place):
    code, stdout, stderr = place.succeeds()
    assert code == 0, stderr
    assert json.loads(stdout[stdout.index("{") :])["run_id"] == "r1"

    found = done("status", "r1")
    assert (found["run_id"], found["target"], found["outcome"]["code"]) == ("r1", place.name, 0)
    assert done("status")["run_id"] == "r1"
    if place.name == "compose":
        return  # its OUTPUT is inside the stack
    (row,) = done("runs", "--output", str(place.output))["runs"]
    assert (row["run_id"], row["target"], row["state"], row["k"]) == ("r1", place.name, "succeeded", 2)
    assert row["photos"] == (6 if place.name in ("local", "submit") else 10)
    assert row["seconds"] > 0


@every_target
def test_a_run_that_fails_ends_the_command_with_the_jobs_code_and_is_failed_for_status(place):
    code, stdout, stderr = place.fails()

    assert code == REFUSED.code
    assert place.complaint in stdout + stderr
    found = fruitsctl("status", "r1", "--json")
    if place.name in ("local", "submit") and found.returncode:
        return  # refused before it was a run
    assert json.loads(found.stdout)["state"] == "FAILED"
    assert json.loads(found.stdout)["outcome"]["code"] == REFUSED.code


@every_target
def test_an_active_run_is_cancelled_from_elsewhere_and_stays_cancelled(place):
    place.begins()
    assert "outcome" not in done("status", "r1")

    assert done("cancel", "r1")["state"] == "CANCELLED"
    assert done("status", "r1")["state"] == "CANCELLED"
    assert done("cancel", "r1")["state"] == "CANCELLED"


@every_target
def test_logs_are_lines_or_the_reason_why_there_are_none(place):
    assert place.succeeds()[0] == 0
    found = fruitsctl("logs", "r1", "--json")

    if place.name == "compose":
        assert (found.returncode, "the container of run `r1` is removed" in found.stderr) == (2, True)
    elif place.name == "eks":
        assert "There is no log yet" in found.stderr  # moto's service writes none
    else:
        lines = [json.loads(line)["line"] for line in found.stdout.splitlines()]
        assert lines


@pytest.mark.parametrize("place", ["local", "compose"], indirect=True)
def test_the_log_of_an_active_run_is_followed_to_its_end(place):
    place.begins()
    following = subprocess.Popen(
        [sys.executable, "-m", "cli", "logs", "-f", "r1"], env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = following.stdout.readline()
    done("cancel", "r1")
    _, stderr = following.communicate(timeout=60)

    assert (following.returncode, bool(first)) == (0, True), stderr
    assert first == "the job begins\n" or place.name == "local"


@every_target
def test_the_spark_ui_is_an_address_or_the_reason_why_there_is_none(place):
    place.begins()
    found = fruitsctl("ui", "r1")

    if place.name in ("serverless", "compose"):
        assert re.fullmatch(r"https?://\S+\n", found.stdout)
    else:
        title = registry.named(place.name).title
        assert (found.returncode, found.stdout) == (2, "")
        assert f"error: `ui` is not available for runs on {title}\nhint: " in found.stderr


@every_target
def test_the_cost_is_stored_or_the_reason_why_there_is_none(place):
    assert place.succeeds()[0] == 0
    found = fruitsctl("cost", "r1")

    if place.name == "serverless":
        assert (found.returncode, found.stdout.startswith("Run r1: SUCCESS")) == (0, True)
    else:
        title = registry.named(place.name).title
        assert (found.returncode, found.stdout) == (2, "")
        assert f"error: `cost` is not available for runs on {title}\nhint: " in found.stderr


@every_target
def test_an_option_of_another_target_is_refused_and_nothing_starts(place):
    target = registry.named(place.name)
    own = {one.name for one in declared(target.options)}
    foreign = next(one for one in registry.options() if one.name not in own and one.flag not in place.words())

    found = fruitsctl(*place.words(), foreign.flag, *([] if foreign.type is bool else ["5"]))

    assert (found.returncode, found.stdout) == (2, "")
    assert f"`{foreign.flag}` cannot be used with `--{target.name}`" in found.stderr


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_the_same_run_is_not_started_twice_at_once(place):
    place.begins()
    code, _, stderr = place.finished(place.words())

    assert code == 2
    assert "run `r1` is already active on this machine" in stderr
    assert done("status", "r1")["state"] == "RUNNING"


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_run_whose_command_was_killed_is_not_taken_for_active(place):
    place.begins()
    place.processes[-1].kill()
    place.processes[-1].wait()

    found = done("status", "r1")
    assert (found["state"], found["outcome"]["kind"]) == ("FAILED", "Died")
