"""List the images of a local folder: follow symbolic links, stop at loops, report what cannot be read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from job.contract import uris
from job.contract.errors import InputError
from job.contract.filenames import MAX_LOOSE, FolderToList, ListingRow, ignored_kind, label_of, skipped_folder
from job.contract.locations import LocationError, check_input_folder
from job.contract.reading import open_regular
from job.inputs.fetch import stat_etag

ERRORS = (OSError,)  # of one folder


def check(input_uri: str) -> None:
    """Raise InputError if the folder does not exist, is a file or is not readable."""
    try:
        check_input_folder(uris.local_path(input_uri))
    except LocationError as error:
        raise InputError(str(error), error.hint) from error


def list_folders(input_uri: str, folders: list[FolderToList], content_hash: bool) -> Iterator[ListingRow]:
    """Yield one row per file in `folders`; the etag is size and modification time, or the SHA-256 of the content."""
    root = uris.local_path(input_uri)
    for folder in folders:
        path = uris.local_path(folder.uri)
        try:
            above = [_identity(parent) for parent in _parents(path, root)]
        except OSError as error:
            yield ListingRow(uris.printable(folder.uri.rstrip("/")), problem=_why(error))
            continue
        if len(set(above)) == len(above):  # otherwise it is part of a loop
            yield from _walk(input_uri, path, folder.deep, frozenset(above), content_hash)


def _walk(input_uri: str, path: str, deep: bool, above: frozenset[tuple[int, int]], content_hash: bool) -> Iterator[ListingRow]:
    """Walk down a folder, following symbolic links. `above` are the folders on the way down, where a loop ends."""
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
                        yield ListingRow(uris.printable("file://" + entry.path), problem=_why(error))
                        continue
                    if not is_folder:
                        yield ListingRow(None, suffix=skipped, files=1) if skipped else _row(entry, input_uri, content_hash)
                    elif deep:
                        stack.append((entry.path + "/", above | {here}))
        except OSError as error:
            yield ListingRow(uris.printable("file://" + path.rstrip("/")), problem=_why(error))


def _row(entry: os.DirEntry[str], input_uri: str, content_hash: bool) -> ListingRow:
    if suffix := ignored_kind(entry.name):
        return ListingRow(None, suffix=suffix, files=1)
    uri = "file://" + entry.path
    if uris.printable(uri) != uri:
        return ListingRow(uris.printable(uri), problem="file name is not UTF-8")
    try:
        info = entry.stat()
        if not stat.S_ISREG(info.st_mode):
            return ListingRow(uri, problem="not a regular file")  # reading a pipe would wait for ever
        etag = _sha256(entry.path) if content_hash else stat_etag(info)
    except OSError as error:
        return ListingRow(uri, problem=_why(error))
    return ListingRow(uri, etag, info.st_size, label_of(uri, input_uri))


def subfolders(uri: str) -> tuple[list[str], int]:
    """Return the URIs of the sub-folders, and the number of other entries (counted up to MAX_LOOSE + 1)."""
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
    """Return the folders from `root` down to the one that contains `path`; none for `root` itself."""
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
