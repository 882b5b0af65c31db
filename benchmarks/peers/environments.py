"""A virtual environment per peer that needs one, below build/peers/, from its hash-pinned requirements. In: its name. Out: its Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.runs import CHECKOUT, BenchmarkError, say

FOLDER = CHECKOUT / "build" / "peers"
OURS = "project"  # the environment that this process runs in


def python_of(name: str) -> Path:
    """
    The Python of environment `name`, made again if its requirements have changed since.

    Raises:
        BenchmarkError: it cannot be installed.
    """
    if name == OURS:
        return Path(sys.executable)
    requirements, folder = Path(__file__).with_name(f"requirements-{name}.txt"), FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_bytes() == requirements.read_bytes():
        return python
    say(f"installing {name} into {folder.relative_to(CHECKOUT)}/")
    uv = shutil.which(str(CHECKOUT / ".tools" / "uv" / "bin" / "uv")) or shutil.which("uv")
    if uv is None:
        raise BenchmarkError("there is no uv: `make install` gets it")
    shutil.rmtree(folder, ignore_errors=True)
    run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(requirements))
    stamp.write_bytes(requirements.read_bytes())
    return python


def clean() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


def run(*command: str) -> None:
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}  # as in the Makefile
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")
