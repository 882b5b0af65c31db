"""What `--help` shows fits the terminal and names options that the command has."""

import re

import pytest
import typer.main
from typer.testing import CliRunner

from cli.commands.app import app
from tests.unit.cli.commands.test_help_defaults import COMMANDS


def groups(command, *words):
    if hasattr(command, "commands"):
        yield words, len(command.commands)
        for word, child in command.commands.items():
            yield from groups(child, *words, word)


GROUPS = dict(groups(typer.main.get_command(app)))


@pytest.mark.parametrize(("words", "commands"), GROUPS.items(), ids=str)
def test_a_list_of_commands_is_whole_at_80_columns(words, commands):
    shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=80).stdout

    _, *sections = shown.partition("  -h, --help ")[2].split(":\n")  # one for each panel of commands
    listed = [line for section in sections for line in section.splitlines() if line.startswith("  ")]
    assert len(listed) == commands
    assert [line for line in listed if line.endswith("...")] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_no_option_of_another_command(name):
    """But for whole commands, in backticks, and options of `docker` and the like there."""
    command = COMMANDS[name]
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]

    named = {option for text in texts for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub("`[^`]*`", "", text))}
    assert named - own == set()
