"""Open regular files of this machine. A pipe, a socket or a device is refused: a read from it may never end. Standard library only."""

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
    return open(path, "rb", opener=_open_nonblocking)


def check_regular(path: str) -> None:
    """Raise the errors of `open_regular`, except those that only opening shows."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise NotRegular(path)


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without waiting for the writer of a pipe that has replaced the file."""
    return os.open(path, flags | os.O_NONBLOCK)
