"""Define the rows of a listing, the folders to list, and what a file name means. Pure: no I/O."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif"}
)
# Trash and thumbnails of Synology, QNAP, Windows and macOS; those of Linux begin with a dot.
SYSTEM_FOLDERS = frozenset({"@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "__macosx", "lost+found"})
TAUGHT = re.compile(r"/taught-([0-9a-f]{16})\.[a-z]+$")  # of a photo of `fruitsctl teach`, by the SHA-256 of its content
MAX_LOOSE = 10_000  # with more files beside its sub-folders, a folder is left to one task


class ListingRow(NamedTuple):
    """An image (`problem` None), something that could not be listed (`problem`), or `files` ignored files (only `suffix`, `files`)."""

    uri: str | None
    etag: str | None = None
    size: int | None = None  # bytes; None for an archived image
    label: str | None = None
    problem: str | None = None
    suffix: str | None = None
    files: int | None = None


class FolderToList(NamedTuple):
    """A folder for one task to list."""

    uri: str  # with a slash at the end
    deep: bool  # list everything below, or only the files directly in it


def ignored_kind(name: str) -> str | None:
    """
    Return None for the name of a photo, else the kind under which the file is counted: its suffix or a placeholder.

    Placeholders keep the number of kinds small.
    """
    if name.startswith("._"):
        return "._*"  # AppleDouble: what macOS adds beside each file on foreign disks, https://www.rfc-editor.org/rfc/rfc1740
    suffix = os.path.splitext(name)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        # Hidden, or in the trash of a phone: https://developer.android.com/training/data-storage/shared/media#trash-file
        return ".*" if name.startswith(".") else None
    if not suffix:
        return "(none)"
    return suffix if re.fullmatch(r"\.(?=\d*[a-z])[a-z0-9]{1,8}", suffix) else "(other)"


def taught_name(label: str, digest: str, suffix: str) -> str:
    """Return the name below INPUT of a taught photo; `digest` is the SHA-256 of its content."""
    return f"{label}/taught-{digest[:16]}{suffix}"


def taught_digest(uri: str) -> str | None:
    """Return the beginning of the digest in the name of a taught photo; None for every other photo."""
    found = TAUGHT.search(uri)
    return found[1] if found else None


def is_pattern(address: str) -> bool:
    """Return whether `address` looks like a glob pattern."""
    return any(sign in address for sign in "*?[")


def ignore_reason(kind: str) -> str:
    """Return why files of `kind` (from `ignored_kind` or `skipped_folder`) are not photos of INPUT."""
    if kind.endswith("/"):
        return "hidden and system folders"
    return "hidden files" if kind in (".*", "._*") else "not photos by their name"


def describe_ignored(ignored: Mapping[str, int]) -> str:
    """Return each kind with its number of files, most frequent first, grouped by reason."""
    kinds: dict[str, list[str]] = {}
    for kind, files in sorted(ignored.items(), key=lambda item: -item[1]):
        kinds.setdefault(ignore_reason(kind), []).append(f"{files:,} {kind}")
    return "; ".join(f"{', '.join(found)} ({why})" for why, found in kinds.items())


@lru_cache(maxsize=4096)
def skipped_folder(folder_uri: str, input_uri: str) -> str | None:
    """Return the hidden or system folder below INPUT that `folder_uri` is or is inside of, as it is counted; else None."""
    for name in folder_uri.removeprefix(input_uri.rstrip("/")).strip("/").split("/"):
        if (name.startswith(".") and name not in (".", "..")) or name.lower() in SYSTEM_FOLDERS:
            return name + "/"
    return None


def label_of(uri: str, input_uri: str) -> str | None:
    """
    Return the name of the folder that contains the image; None for an image directly in INPUT.

    Names that print alike are one label: Unicode's composed form (NFC) without surrounding blanks. The path stays as it is.
    """
    below = uri.removeprefix(input_uri.rstrip("/") + "/")
    return unicodedata.normalize("NFC", below.rpartition("/")[0].rpartition("/")[2]).strip() or None
