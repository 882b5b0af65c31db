"""What is no file, under the name of a photo: from some of them a read never ends."""

import os
import socket
from pathlib import Path

REASONS = {
    "pipe.jpg": "not a regular file",
    "socket.jpg": "not a regular file",
    "device.jpg": "not a regular file",
    "dangling.jpg": "no such file or directory",
    "loop.jpg": "too many levels of symbolic links",
}


def write_odd_files(folder: Path) -> None:
    """Make what REASONS names in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "pipe.jpg")
    here = os.getcwd()
    os.chdir(folder)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.jpg")
    os.chdir(here)
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
