"""The command as `cli.commands.app` runs it, in this process."""

import json
from dataclasses import dataclass

from typer.testing import CliRunner

from cli.commands.app import app
from cli.errors import FruitsError


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


def fruitsctl(*words, **options):
    """Any other error than a FruitsError is the test's."""
    result = CliRunner().invoke(app, words, **options)
    if isinstance(result.exception, FruitsError):
        return Ended(
            result.exception.exit_code, result.stdout, f"{result.stderr}error: {result.exception}\nhint: {result.exception.hint}\n"
        )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def done(*words):
    ended = fruitsctl(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
