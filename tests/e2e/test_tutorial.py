"""The tutorial's commands, block by block in one folder, as a reader types them; those that wait for a person or need Docker are read."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, FRENCH = ((DOCS / name).read_text(encoding="utf-8") for name in ("tutorial.md", "tutorial.fr.md"))


def blocks(text, name):
    """The fenced blocks that stand after the comment `name`."""
    return re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", text, re.S)


def commands(text):
    """Lines of a block without their comments."""
    return [re.split(r"\s{2,}#", line)[0].strip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def shell(cache, short_jvm, tmp_path_factory):
    """A shell in an otherwise empty folder, `fruitsctl` on its PATH; `BROWSER` is a browser that opens nothing."""
    folder = tmp_path_factory.mktemp("tutorial")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **short_jvm, "PATH": path, "FRUITS_CACHE": str(cache), "BROWSER": "true"}

    def run(script):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)

    return run


def test_the_commands_work_in_their_order_and_the_summary_says_what_the_page_says(shell):
    said = []
    for block in blocks(ENGLISH, "commands"):
        done = shell(block)
        assert done.returncode == 0, block + done.stdout[-1000:] + done.stderr[-3000:]
        said.append(done.stdout)

    assert "100 listed, 100 embedded now, 100 in the result, 10 labels" in said[1]
    assert "10 embedded now, 110 in the result, 10 labels" in said[4]
    assert "uri,label,pc1,pc2," in said[4]


def options():
    lines = [line for block in blocks(ENGLISH, "options") for line in commands(block)]
    return [shlex.split(line) for line in lines if line.startswith("fruitsctl ")]


@pytest.mark.parametrize("words", options(), ids=" ".join)
def test_each_command_that_waits_for_somebody_exists_with_its_options(words):
    done = CliRunner().invoke(app, [*words[1:], "--help"])

    assert done.exit_code == 0, done.output


def test_the_french_tutorial_has_the_same_commands_in_the_same_order():
    found = [[commands(block) for block in re.findall(r"```sh\n(.*?)```", text, re.S)] for text in (ENGLISH, FRENCH)]

    assert found[0] == found[1]
    assert len(found[0]) == 12


def test_every_command_is_run_or_read():
    marked = sum(len(blocks(ENGLISH, name)) for name in ("commands", "options", "docker", "rehearsal"))

    assert marked == len(re.findall(r"```sh\n", ENGLISH)) - 1  # the installation itself
