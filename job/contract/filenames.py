"""What a listing is made of: its rows, the folders it is cut into, and what a name says. Pure: no I/O."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
# Trash and thumbnails of Synology, QNAP, Windows and macOS; those of Linux begin with a dot.
SYSTEM_FOLDERS = frozenset({"@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "__macosx", "lost+found"})
MAX_LOOSE = 10_000  # files beside its sub-folders from which on the driver leaves a folder to one task


class Row(NamedTuple):
    """An image (`problem` None), something that could not be listed (`problem`), or `files` ignored files (only `suffix`, `files`)."""

    uri: str | None
    etag: str | None = None
    size: int | None = None  # bytes; of an image None: they are archived
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
        # Hidden, or in the trash of a phone: https://developer.android.com/training/data-storage/shared/media#trash-file
        return ".*" if name.startswith(".") else None
    if not suffix:
        return "(none)"
    return suffix if re.fullmatch(r"\.(?=\d*[a-z])[a-z0-9]{1,8}", suffix) else "(other)"


def is_pattern(address: str) -> bool:
    """Whether it looks as if files were meant to be matched by it."""
    return any(sign in address for sign in "*?[")


def why_ignored(kind: str) -> str:
    """The reason why files that are counted as `kind` (by `ignored_as` or `skipped_folder`) are no photos of INPUT."""
    if kind.endswith("/"):
        return "hidden and system folders"
    return "hidden files" if kind in (".*", "._*") else "not photos by their name"


def ignored_in_words(ignored: Mapping[str, int]) -> str:
    """Each kind with its number of files, the most first; each reason once."""
    kinds: dict[str, list[str]] = {}
    for kind, files in sorted(ignored.items(), key=lambda item: -item[1]):
        kinds.setdefault(why_ignored(kind), []).append(f"{files:,} {kind}")
    return "; ".join(f"{', '.join(found)} ({why})" for why, found in kinds.items())


@lru_cache(maxsize=4096)
def skipped_folder(folder_uri: str, input_uri: str) -> str | None:
    """The hidden or system folder below INPUT that `folder_uri` is or is in, as it is counted; None for any other folder."""
    for name in folder_uri.removeprefix(input_uri.rstrip("/")).strip("/").split("/"):
        if (name.startswith(".") and name not in (".", "..")) or name.lower() in SYSTEM_FOLDERS:
            return name + "/"
    return None


def label_of(uri: str, input_uri: str) -> str | None:
    """
    The name of the folder that an image is in; None straight in INPUT.

    Names that print alike are one label: Unicode's composed form (NFC), without blanks around it. The path stays as it is.
    """
    below = uri.removeprefix(input_uri.rstrip("/") + "/")
    return unicodedata.normalize("NFC", below.rpartition("/")[0].rpartition("/")[2]).strip() or None
