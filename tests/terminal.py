"""The real command on a terminal: what it asks, what is typed, what it shows."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    returncode: int
    stdout: str  # not the terminal: a pipe
    terminal: str


def on_a_terminal(*words: str, typed: str = "", **variables: str) -> Shown:
    """Run `fruitsctl` with stdin and stderr on a terminal of 100 columns, where `typed` is typed."""
    terminal, inside = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(terminal, 4096):
                pieces.append(piece)
        except OSError:  # Linux's end of a terminal
            pass

    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        stdin=inside,
        stdout=subprocess.PIPE,
        stderr=inside,
        text=True,
        env={**environment, "TERM": "xterm", "COLUMNS": "100", **variables},
    )
    os.close(inside)
    os.write(terminal, typed.encode())
    reader = threading.Thread(target=read)
    reader.start()
    stdout, _ = process.communicate(timeout=120)
    reader.join()
    os.close(terminal)
    return Shown(process.returncode, stdout, b"".join(pieces).decode())
