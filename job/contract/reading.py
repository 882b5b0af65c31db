"""Open files of this machine, and nothing from which a read may never end: a pipe, a socket or a device. Standard library only."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader


class NotRegular(OSError):  # noqa: N818 - what it is, as its siblings FileNotFoundError and IsADirectoryError say
    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "not a regular file", path)


def open_regular(path: str) -> BufferedReader:
    """
    Open the file, or the one that a symbolic link leads to, to read its bytes.

    Raises:
        OSError: there is none, it cannot be opened, or it is a NotRegular.
    """
    check_regular(path)
    return open(path, "rb", opener=_at_once)


def check_regular(path: str) -> None:
    """Raises OSError as `open_regular`, but for what only opening tells."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise NotRegular(path)


def _at_once(path: str, flags: int) -> int:
    """An opener that does not wait for the writer of a pipe that took the place of the file."""
    return os.open(path, flags | os.O_NONBLOCK)
