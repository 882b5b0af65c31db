"""What a listing is made of: its rows, the folders it is cut into, and what a name says. Pure: no I/O."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
MAX_LOOSE = 10_000  # files beside its sub-folders from which on the driver leaves a folder to one task


class Row(NamedTuple):
    """An image (`problem` None), something that could not be listed (`problem`), or `files` ignored files (only `suffix`, `files`)."""

    uri: str | None
    etag: str | None = None
    size: int | None = None  # bytes
    label: str | None = None
    problem: str | None = None
    suffix: str | None = None
    files: int | None = None


class Folder(NamedTuple):
    uri: str  # with a slash at the end
    deep: bool  # with all that is below, or the files straight in it only


def ignored_as(name: str) -> str | None:
    """None for the name of an image, else what it is counted as: its suffix, or a stand-in, so that there are few."""
    if name.startswith("._"):
        return "._*"  # AppleDouble: what macOS adds beside each file on foreign disks, https://www.rfc-editor.org/rfc/rfc1740
    suffix = os.path.splitext(name)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        return None
    if not suffix:
        return "(none)"
    return suffix if re.fullmatch(r"\.(?=\d*[a-z])[a-z0-9]{1,8}", suffix) else "(other)"


def label_of(uri: str, input_uri: str) -> str | None:
    """The name of the folder an image lies in; None straight in INPUT."""
    below = uri.removeprefix(input_uri.rstrip("/") + "/")
    return below.rpartition("/")[0].rpartition("/")[2] or None
