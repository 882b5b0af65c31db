"""
Runs `fruitsctl run … --submit` inside the stack of docker-compose.yml: the command, its progress and its exit code are the container's.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from cli.container.docker import docker
from cli.errors import FruitsError, UsageError
from job.contract.params import Params, application
from job.contract.uris import is_s3, shown

# What the container has itself, or what INPUT and OUTPUT say as arguments.
NOT_PASSED = {"input", "output", "weights", "cache", "target"}


@dataclass(frozen=True)
class Plan:
    """What would be started."""

    command: list[str]

    def as_shell(self) -> str:
        return shlex.join(self.command)


def program() -> list[str]:
    """Return Docker's compose plugin, or the older separate program."""
    plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    return ["docker", "compose"] if plugin or not shutil.which("docker-compose") else ["docker-compose"]


def plan(params: Params, compose: list[str], as_json: bool, terminal: bool) -> Plan:
    """Return the command. Raise UsageError if `params` name a local file or folder, which the container cannot see."""
    for uri in (params.input, params.output):
        if not is_s3(uri):
            raise UsageError(
                f"`{shown(uri)}` is not accessible from the local stack", "use s3://fruits/photos and s3://fruits/out, or --local"
            )
    if params.weights:
        raise UsageError("`--weights` cannot be used with --compose", "remove it: the image contains the weights")
    if application(params.model):
        raise UsageError(f"`--model {params.model}` cannot be used with --compose: the image contains MobileNetV2", "run it with --local")
    options = [
        option for field in fields(params) if field.name not in NOT_PASSED for option in _option(field.name, getattr(params, field.name))
    ]
    inside = ["fruitsctl", "run", params.input, params.output, "--submit", *options, *(["--json"] if as_json else [])]
    return Plan([*compose, "run", "--rm", *([] if terminal else ["-T"]), "job", *inside])


def require_file() -> None:
    """Raise UsageError if there is no docker-compose.yml here."""
    if not any(Path(name).is_file() for name in ("docker-compose.yml", "compose.yaml")):
        raise UsageError(f"there is no docker-compose.yml in `{Path.cwd()}`", "run the command in the checkout")


def require_stack() -> None:
    """
    Raise UsageError without a stack. Compose itself prints a hundred lines if the engine gives no response.

    Raises:
        UsageError: there is no docker-compose.yml here, or no response from the Docker engine.
    """
    require_file()
    if shutil.which("docker"):  # docker-compose works without it
        docker("version")


def start(todo: Plan) -> int:
    """
    Run the command and return its exit code. Ctrl-C reaches docker and the job by the terminal; here it is only waited for.

    Raises:
        UsageError: there is no docker-compose.yml here, no docker, or no response from its engine.
    """
    require_stack()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(todo.command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return process.wait()
    except FileNotFoundError as error:
        raise UsageError("there is no `docker` on this machine", "install Docker, or use --local") from error
    finally:
        signal.signal(signal.SIGINT, before)


def container_of(run_id: str) -> str:
    """
    Return the id of the container that runs `run_id`, by its command line.

    Raises:
        FruitsError: there is none, or Docker refuses.
    """
    listed = docker("ps", "--no-trunc", "--filter=label=com.docker.compose.service=job", "--format={{.ID}} {{.Command}}")
    for line in listed.splitlines():
        identifier, _, command = line.partition(" ")
        if f"--run-id={run_id}" in command.strip('"').split():
            return identifier
    raise FruitsError(f"no container has run `{run_id}`", f"run `fruitsctl status {run_id}` again in a few seconds")


def _option(name: str, value: object) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None or value is False:
        return []
    return [flag] if value is True else [f"{flag}={value}"]
