"""The two notebooks, and JupyterLab with them: on this machine or in the local stack. A plan is what would be started; nothing is sent."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from types import FrameType
from typing import BinaryIO

from cli.errors import FruitsError, UsageError
from cli.settings.atomic_write import atomic_write
from cli.settings.config import Settings, environment
from cli.settings.user import require_name
from cli.targets.local.environment import for_spark
from cli.targets.local.java import java_for_spark, say_passed_over
from job.contract.uris import from_text, is_s3

NAMES = LOCAL, CLOUD = "local.ipynb", "cloud.ipynb"
PACKAGE = Path(__file__).parents[3]
PLACES = (PACKAGE / "notebooks", PACKAGE / "job" / "notebooks")  # of a checkout, of an installed package
PORT = 8888
TOKEN = "JUPYTER_TOKEN"  # noqa: S105 - the variable's name; the token itself is in no command line, which everybody here can read


@dataclass(frozen=True)
class Plan:
    """What would be started; the token comes with the environment when it is."""

    command: list[str]
    environment: dict[str, str]
    address: str | None = None  # None: nothing is opened, the notebook is executed
    isolated: bool = False  # from variables of another Spark, see cli/targets/local/environment.py

    def as_shell(self) -> str:
        return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in self.environment.items()), shlex.join(self.command)])


def copy(folder: Path) -> list[str]:
    """
    Copy the notebooks into `folder` and return the new names; existing files stay as they are.

    Raises:
        FruitsError: this installation has none, or `folder` cannot be written.
    """
    source = next((place for place in PLACES if (place / LOCAL).is_file()), None)
    if source is None:
        raise FruitsError(f"there are no notebooks in `{PLACES[0]}`", "reinstall fruitsctl, or run it in the checkout")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = [name for name in NAMES if not (folder / name).exists()]
        for name in new:
            shutil.copyfile(source / name, folder / name)
    except OSError as error:
        raise FruitsError(f"cannot write `{folder}`: {error.strerror}", "give another folder") from error
    return new


def plan_here(folder: Path, port: int, browser: bool, execute: bool, config: Settings) -> Plan:
    """
    Plan JupyterLab in `folder`, or with `execute` local.ipynb there, executed onto stdout.

    Raises:
        UsageError: this machine lacks JupyterLab, Spark, Java or a name of this user, or the port is in use.
    """
    for package, extra in (("jupyterlab", "notebook"), ("pyspark", "notebook")):
        if find_spec(package) is None:
            raise UsageError(f"the package `{package}` is not installed", f"run `uv tool install '.[{extra}]'` in the checkout")
    require_name()
    java = java_for_spark(config.java_home)
    say_passed_over(config.java_home, java)
    places = {
        name: from_text(place) if place else None for name, place in (("FRUITS_INPUT", config.input), ("FRUITS_OUTPUT", config.output))
    }
    places["FRUITS_ASSETS"] = str(config.assets) if config.assets else None
    variables = {"JAVA_HOME": str(java.home), "FRUITS_CACHE": str(config.cache), "FRUITS_DRIVER_MEMORY": config.driver_memory}
    variables |= {name: value for name, value in places.items() if value}
    if execute:
        return Plan([sys.executable, "-m", "job.spark.notebook", str(folder.resolve() / LOCAL)], variables, isolated=True)
    if not is_free(port):
        raise UsageError(f"port `{port}` is in use", "choose another --port")
    options = ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder.resolve()}", "-y"]
    if os.geteuid() == 0:  # as in many a container: refused otherwise, although nobody else gets in
        options.append("--allow-root")
    command = [sys.executable, "-m", "jupyterlab", *options, *([] if browser else ["--no-browser"])]
    return Plan(command, variables, address(port, LOCAL), isolated=True)


def plan_compose(program: list[str], source: str | None, target: str | None, terminal: bool, execute: bool) -> Plan:
    """
    Plan the stack's JupyterLab, or with `execute` its cloud.ipynb, executed onto stdout.

    INPUT and OUTPUT are in its bucket by default.

    Raises:
        UsageError: INPUT or OUTPUT is on this machine, which the container cannot see.
    """
    places = {"FRUITS_INPUT": source, "FRUITS_OUTPUT": target}
    for place in (source, target):
        if place and not is_s3(from_text(place)):
            raise UsageError(f"`{place}` is not accessible from the local stack", "use s3://fruits/photos and s3://fruits/out")
    variables = [word for name, value in places.items() if value for word in ("-e", f"{name}={value}")]
    if execute:
        return Plan([*program, "run", "--rm", "-T", *variables, "notebook", "/opt/fruits/bin/stack-notebook", "--execute"], {})
    options = ["--rm", *([] if terminal else ["-T"]), "--service-ports", "-e", TOKEN, *variables]
    return Plan([*program, "run", *options, "notebook"], {}, address(PORT, CLOUD))


def address(port: int, name: str) -> str:
    return f"http://127.0.0.1:{port}/lab/tree/{name}"


def new_token() -> str:
    return token_hex(24)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def open_jupyterlab(todo: Plan, token: str) -> None:
    """
    Run JupyterLab until it ends, by its menu or by Ctrl-C.

    Raises:
        UsageError: there is no such program.
        FruitsError: it ended otherwise.
    """
    code, interrupted = _wait(todo, {TOKEN: token}, None)
    if code and not interrupted:  # while it starts it ends by an exception then
        raise FruitsError(f"JupyterLab failed with exit code `{code}`", "see its output above", code)


def execute(todo: Plan, path: Path) -> None:
    """
    Write the executed notebook to `path`, also after a failed cell or Ctrl-C, as far as it was executed.

    Raises:
        UsageError: there is no such program.
        FruitsError: `path` cannot be written, or a cell failed.
    """
    try:
        with atomic_write(path) as part:
            with part.open("wb") as file:
                code, interrupted = _wait(todo, {}, file)
            if not part.stat().st_size:  # what is at `path` stays
                part.unlink()
    except OSError as error:
        raise FruitsError(f"cannot write `{error.filename or path}`: {error.strerror}", "give another folder") from error
    if code or interrupted:
        hint = f"see the executed cells in {path}" if path.is_file() else "see its output above"
        raise FruitsError("the notebook was interrupted" if interrupted else "the notebook failed", hint, 130 if interrupted else code)


def _wait(todo: Plan, variables: dict[str, str], stdout: BinaryIO | None) -> tuple[int, bool]:
    """
    Return the exit code, and whether there was a Ctrl-C.

    Ctrl-C reaches the child by the terminal and is only waited for here. SIGTERM is forwarded.
    """
    signals: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)
        if number == signal.SIGTERM and process:
            process.terminate()  # it does not stay behind

    process: subprocess.Popen[bytes] | None = None
    inherited = for_spark(environment()) if todo.isolated else environment()
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(todo.command, env={**inherited, **todo.environment, **variables}, stdout=stdout)
        return process.wait(), signal.SIGINT in signals
    except FileNotFoundError as error:
        raise UsageError(f"there is no `{os.path.basename(todo.command[0])}` on this machine", "install it, or remove --compose") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
