"""A local folder's images as rows: follows symbolic links, ends at loops, reports what cannot be read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from job.contract import uris
from job.contract.errors import InputError
from job.contract.filenames import MAX_LOOSE, Folder, Row, ignored_as, label_of, skipped_folder
from job.contract.places import PlaceError, check_input_folder
from job.contract.reading import open_regular
from job.inputs.fetch import stat_etag

ERRORS = (OSError,)  # of one folder


def check(input_uri: str) -> None:
    """Raises InputError if the folder does not exist, is a file or may not be read."""
    try:
        check_input_folder(uris.local_path(input_uri))
    except PlaceError as error:
        raise InputError(str(error), error.hint) from error


def list_folders(input_uri: str, folders: list[Folder], content_hash: bool) -> Iterator[Row]:
    """One row per file in `folders`; etag is size and time of change, or the SHA-256 of the content."""
    root = uris.local_path(input_uri)
    for folder in folders:
        path = uris.local_path(folder.uri)
        try:
            above = [_identity(parent) for parent in _parents(path, root)]
        except OSError as error:
            yield Row(uris.printable(folder.uri.rstrip("/")), problem=_why(error))
            continue
        if len(set(above)) == len(above):  # else it was reached through a loop
            yield from _walk(input_uri, path, folder.deep, frozenset(above), content_hash)


def _walk(input_uri: str, path: str, deep: bool, above: frozenset[tuple[int, int]], content_hash: bool) -> Iterator[Row]:
    """Follows symbolic links; `above` are the folders on the way down, so a link back to one of them ends there."""
    stack = [(path, above)]
    while stack:
        path, above = stack.pop()
        try:
            here = _identity(path)
            if here in above:
                continue
            skipped = skipped_folder("file://" + path, input_uri)
            with os.scandir(path) as entries:
                for entry in entries:
                    try:
                        is_folder = entry.is_dir()
                    except OSError as error:  # a link to itself, or into a folder that may not be read
                        yield Row(uris.printable("file://" + entry.path), problem=_why(error))
                        continue
                    if not is_folder:
                        yield Row(None, suffix=skipped, files=1) if skipped else _row(entry, input_uri, content_hash)
                    elif deep:
                        stack.append((entry.path + "/", above | {here}))
        except OSError as error:
            yield Row(uris.printable("file://" + path.rstrip("/")), problem=_why(error))


def _row(entry: os.DirEntry[str], input_uri: str, content_hash: bool) -> Row:
    if suffix := ignored_as(entry.name):
        return Row(None, suffix=suffix, files=1)
    uri = "file://" + entry.path
    if uris.printable(uri) != uri:
        return Row(uris.printable(uri), problem="file name is not UTF-8")
    try:
        info = entry.stat()
        if not stat.S_ISREG(info.st_mode):
            return Row(uri, problem="not a regular file")  # reading a pipe would wait for ever
        etag = _sha256(entry.path) if content_hash else stat_etag(info)
    except OSError as error:
        return Row(uri, problem=_why(error))
    return Row(uri, etag, info.st_size, label_of(uri, input_uri))


def subfolders(uri: str) -> tuple[list[str], int]:
    """The sub-folders' URIs, and how many other entries there are (no more than MAX_LOOSE + 1 are counted)."""
    below, loose = [], 0
    with os.scandir(uris.local_path(uri)) as entries:
        for entry in entries:
            if entry.is_dir():
                below.append(f"file://{entry.path}/")
            else:
                loose += 1
                if loose > MAX_LOOSE:
                    break
    return below, loose


def _parents(path: str, root: str) -> list[str]:
    """The folders from `root` down to the one that holds `path`; none for `root` itself."""
    names = path.removeprefix(root).strip("/").split("/")
    return [os.path.join(root, *names[:depth]) for depth in range(len(names))] if names != [""] else []


def _identity(path: str) -> tuple[int, int]:
    info = os.stat(path)
    return info.st_dev, info.st_ino


def _sha256(path: str) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
