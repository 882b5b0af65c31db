"""Get the login of a registry from `docker login`, or use a token that is on disk only while docker needs it."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.container.docker import docker
from cli.settings.config import environment
from cli.settings.user import expand_home

DOCKER_HUB = "https://index.docker.io/v1/"  # docker's name of docker.io in its files


@dataclass(frozen=True)
class Login:
    """User name and password of a registry."""

    username: str
    password: str = field(repr=False)


@contextmanager
def logged_in(registry: str, login: Login | None) -> Iterator[dict[str, str]]:
    """
    Yield variables for docker commands that talk to `registry`: a temporary configuration, or none without `login`.

    Raises:
        UsageError: there is no docker, or no response from its engine.
        FruitsError: the registry refuses the login, or gives no response.
    """
    if login is None:
        yield {}
        return
    # A temporary configuration has no contexts, by which Docker Desktop, colima and rootless engines are reached.
    engine = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()
    with tempfile.TemporaryDirectory(prefix="fruitsctl-") as folder:
        variables = {"DOCKER_CONFIG": folder, "DOCKER_HOST": engine}
        docker("login", "--username", login.username, "--password-stdin", registry, input=login.password, env=variables)
        yield variables


def stored_login(registry: str, folder: Path | None = None) -> Login | None:
    """
    Return the login that `docker login` stored for `registry`, in its file or in a credential helper, or None.

    https://docs.docker.com/reference/cli/docker/login/#credential-stores
    """
    folder = folder or expand_home(environment().get("DOCKER_CONFIG") or "~/.docker")
    name = DOCKER_HUB if registry == "docker.io" else registry
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        helper = config.get("credHelpers", {}).get(name) or config.get("credsStore")
        return _from_helper(helper, name) if helper else _from_file(config.get("auths", {}), name)
    except (OSError, ValueError):  # no file or no such program; not JSON or not base64
        return None


def _from_file(auths: Mapping[str, Mapping[str, str]], name: str) -> Login | None:
    for known, entry in auths.items():
        if entry.get("auth") and name in (known, known.removeprefix("https://").rstrip("/")):
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            return Login(username, password)
    return None


def _from_helper(helper: str, name: str) -> Login | None:
    """
    Return the login from a credential helper.

    https://github.com/docker/docker-credential-helpers#development
    """
    done = subprocess.run([f"docker-credential-{helper}", "get"], input=name, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    return Login(said["Username"], said["Secret"]) if said.get("Secret") and said.get("Username") != "<token>" else None
