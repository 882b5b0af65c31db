"""Replace a local file atomically: a reader sees the old content or the new, also after a power cut."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

PARTIAL = ".part"  # ends the hidden name of a file that is not yet whole


def is_partial(name: str) -> bool:
    """Return whether a file of this name is being written, or was left by a process that was killed."""
    return name.startswith(".") and name.endswith(PARTIAL)


@contextmanager
def atomic_write(path: str) -> Iterator[BinaryIO]:
    """
    Yield a new binary file that replaces `path` at the end, with the same mode. It is synced to disk first, and deleted after an error.

    Raises:
        OSError: it cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    partial = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}")
    try:
        with open(partial, "wb") as file:
            with suppress(OSError):  # there is none yet, or a file system without modes
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Sync the directory, so that the new name survives a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
