"""The tutorial's commands exist, in both languages. tests/reference runs them, and tests/e2e those that need no download."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.commands.app import app

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, FRENCH = ((DOCS / name).read_text(encoding="utf-8") for name in ("tutorial.md", "tutorial.fr.md"))


def blocks(text, name):
    """The fenced blocks that stand after the comment `name`."""
    return re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", text, re.S)


def commands(text):
    """Lines of a block without their comments."""
    return [re.split(r"\s{2,}#", line)[0].strip() for line in text.splitlines()]


def options():
    lines = [line for block in blocks(ENGLISH, "options") for line in commands(block)]
    return [shlex.split(line) for line in lines if line.startswith("fruitsctl ")]


@pytest.mark.parametrize("words", options(), ids=" ".join)
def test_each_command_that_waits_for_an_account_exists_with_its_options(words):
    done = CliRunner().invoke(app, [*words[1:], "--help"])

    assert done.exit_code == 0, done.output


def test_the_french_tutorial_has_the_same_commands_in_the_same_order():
    found = [[commands(block) for block in re.findall(r"```sh\n(.*?)```", text, re.S)] for text in (ENGLISH, FRENCH)]

    assert found[0] == found[1]
    assert len(found[0]) == 13


def test_every_command_is_run_or_read():
    marked = sum(len(blocks(ENGLISH, name)) for name in ("commands", "offline", "options", "docker", "rehearsal"))

    assert marked == len(re.findall(r"```sh\n", ENGLISH)) - 1  # the installation itself
