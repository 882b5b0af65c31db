"""Runs the real command in a separate process, as a user does."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from job.contract.params import UNTRAINED as UNTRAINED_MODEL
from tests.conftest import made_once

CLI = [sys.executable, "-m", "cli"]
GALLERY = ("Apple Granny Smith", "Apple Red 1", "Banana", "Kiwi", "Lemon", "Limes", "Orange", "Pear", "Strawberry", "Tomato 1")
UNTRAINED = ("--model", UNTRAINED_MODEL)  # the whole network, without any download


class Command:
    """`fruitsctl` with a separate cache."""

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
def fruitsctl(model_cache, short_jvm):
    return Command(model_cache, short_jvm)


class Gallery(NamedTuple):
    """A run that several files of tests look at."""

    output: Path
    stdout: str
    stderr: str
    state: Path  # what the command remembered


@pytest.fixture(scope="session")
def gallery(fruitsctl, sample, cache, shared_folder):
    """Run the command on 10 labels of Training/, 20 photos each, as a person does; once for all workers."""
    root = shared_folder / "gallery"
    printed, state = root / "printed.json", root / "state"
    with made_once(root) as missing:
        if missing:
            for label in GALLERY:
                shutil.copytree(sample / "Training" / label, root / "photos" / label)
            command = Command(cache, {**fruitsctl.env, "FRUITS_STATE": str(state)})
            done = command("run", root / "photos", root / "out", "--local", *UNTRAINED)
            assert done.returncode == 0, done.stderr[-3000:]
            printed.write_text(json.dumps([done.stdout, done.stderr]))
    return Gallery(root / "out", *json.loads(printed.read_text()), state)


@pytest.fixture(scope="session")
def photos(sample, tmp_path_factory):
    """60 photos: 6 labels, 10 each."""
    root = tmp_path_factory.mktemp("photos")
    for folder in sorted((sample / "Test").iterdir())[::4][:6]:
        shutil.copytree(folder, root / folder.name)
    return root
