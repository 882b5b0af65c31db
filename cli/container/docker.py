"""Run the `docker` program, with the user's own engine, context and logins."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from cli.errors import FruitsError, UsageError
from cli.settings.config import environment

NO_ENGINE = re.compile(r"cannot connect to the docker daemon|failed to connect to the docker api|error during connect", re.I)
NOT_ALLOWED = re.compile(r"permission denied while trying to connect", re.I)
SAID_CHARACTERS = 600  # of the end of a failed command's stderr


def docker(
    *arguments: str,
    input: str | None = None,  # noqa: A002 - as in subprocess.run
    env: Mapping[str, str] | None = None,
    show: bool = False,
) -> str:
    """
    Run `docker ARGUMENTS` and return its stdout. `env` is added to this process's environment.

    `show` shows the output on stderr instead, with docker's progress bars, and returns "". `input` is never part of an error.

    Raises:
        UsageError: there is no docker, or no response from its engine.
        FruitsError: the command failed; the message has the end of its stderr.
    """
    stdout = 2 if show else subprocess.PIPE  # the file descriptor: docker sees whether it is a terminal
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=input,
            env={**environment(), **(env or {})},
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("there is no `docker` on this machine", "install Docker Engine 23 or newer") from error
    if done.returncode:
        raise _failure(arguments[0], done.returncode, " ".join(done.stderr.split())[-SAID_CHARACTERS:])
    return done.stdout or ""


def inspect_image(image: str) -> dict[str, Any]:
    """
    Return the output of `docker image inspect`.

    Raises:
        UsageError: there is no docker, no response from its engine, or no such image.
    """
    try:
        found: list[dict[str, Any]] = json.loads(docker("image", "inspect", image))
    except UsageError:
        raise
    except FruitsError as error:
        if "no such image" not in str(error).lower():
            raise
        raise UsageError(f"there is no image `{image}` on this machine", "build it with `fruitsctl image build`") from error
    return found[0]


def _failure(command: str, code: int, said: str) -> FruitsError:
    if NOT_ALLOWED.search(said):
        return UsageError(f"no permission to use the Docker engine: {said}", "run `sudo usermod -aG docker $USER`, then log in again")
    if NO_ENGINE.search(said):
        return UsageError(
            f"no response from the Docker engine: {said}", "start Docker (check with `docker info`), then run the command again"
        )
    return FruitsError(f"`docker {command}` failed with exit code `{code}`: {said}")
