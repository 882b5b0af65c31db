"""Runs the real command in a process of its own, as a user does."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

CLI = [sys.executable, "-m", "cli"]


class Command:
    """`fruitsctl` with a cache of its own."""

    def __init__(self, cache: Path, more: dict[str, str]):
        self.env = {**os.environ, "FRUITS_CACHE": str(cache), **more}

    def __call__(self, *words, **options):
        return subprocess.run([*CLI, *map(str, words)], env=self.env, capture_output=True, text=True, check=False, **options)

    def start(self, *words, own_group=False):
        """It can be interrupted as from a terminal, also where the tests were started in the background, which ignores SIGINT."""
        command, heed = [*CLI, *map(str, words)], lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.env, preexec_fn=heed, start_new_session=own_group, **pipes)

    def run(self, source, output, *more):
        """A run that must succeed; its manifest."""
        done = self("run", source, output, "--local", "--json", *more)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def fruitsctl(cache, short_jvm):
    return Command(cache, short_jvm)


class Gallery(NamedTuple):
    """A run that several files of tests look at."""

    output: Path
    stdout: str
    stderr: str
    state: Path  # what the command remembered


@pytest.fixture(scope="session")
def gallery(fruitsctl, sample, cache, shared_folder):
    """10 labels, 20 images each of Training/, as a person runs them; once for all workers."""
    root = shared_folder / "gallery"
    said, state = root / "said.json", root / "state"
    root.mkdir(exist_ok=True)
    with open(root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            for label in ("Apple Golden 1", "Apple Red 1", "Banana", "Kiwi", "Lemon", "Limes", "Orange", "Pear", "Strawberry", "Tomato 1"):
                shutil.copytree(sample / "Training" / label, root / "photos" / label)
            done = Command(cache, {**fruitsctl.env, "FRUITS_STATE": str(state)})("run", root / "photos", root / "out", "--local")
            assert done.returncode == 0, done.stderr[-3000:]
            said.write_text(json.dumps([done.stdout, done.stderr]))
    return Gallery(root / "out", *json.loads(said.read_text()), state)


@pytest.fixture(scope="session")
def photos(sample, tmp_path_factory):
    """240 real photos: 24 labels, 10 each."""
    root = tmp_path_factory.mktemp("photos")
    for folder in sorted((sample / "Test").iterdir())[::5][:24]:
        (root / folder.name).mkdir()
        for path in folder.iterdir():
            (root / folder.name / path.name).write_bytes(path.read_bytes())
    return root
