"""
Check INPUT and OUTPUT before a run writes anything.

The CLI checks before it starts, the job again. Local folders are read; S3 is not. Standard library only.
"""

from __future__ import annotations

import errno
import os

from job.contract import uris
from job.contract.atomic_write import is_partial
from job.contract.filenames import is_pattern

WRITTEN = ("features", "rejects", "runs", "moments", "work")  # folders of OUTPUT that each run writes
OUTPUT_FOLDERS = (*WRITTEN, "erasures", "costs")
OUTPUT_FILES = ("lease.json", "latest.json")


class LocationError(ValueError):
    """INPUT or OUTPUT cannot be used. `hint`: what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def check_no_overlap(input_uri: str, output_uri: str) -> None:
    """
    Raise LocationError if OUTPUT is INPUT or inside it, or INPUT is inside the folders of OUTPUT.

    Symbolic links are resolved.
    """
    source, target = _resolved(input_uri), _resolved(output_uri)
    if uris.is_inside(target, source):
        raise LocationError(
            f"OUTPUT `{uris.shown(output_uri)}` is inside INPUT `{uris.shown(input_uri)}`", "choose an OUTPUT outside INPUT"
        )
    if any(uris.is_inside(source, uris.join(target, name)) for name in OUTPUT_FOLDERS):
        raise LocationError(
            f"INPUT `{uris.shown(input_uri)}` contains results of OUTPUT `{uris.shown(output_uri)}`", "give the folder with the photos"
        )


def is_part(uri: str, output_uri: str) -> bool:
    """Return whether `uri` is, or is inside, what an OUTPUT is made of: photos may be beside that. Symbolic links are not resolved."""
    if not uris.is_inside(uri, output_uri):
        return False
    name, slash, _ = uri.removeprefix(uris.join(output_uri, "")).partition("/")
    if slash or name in OUTPUT_FOLDERS:
        return name in OUTPUT_FOLDERS
    return name in OUTPUT_FILES or (is_partial(name) and name[1:].startswith(OUTPUT_FILES))


def broken_link(path: str) -> str:
    """Return what is wrong with `path` if it is a symbolic link without a target, else an empty text."""
    try:
        os.stat(path)
    except OSError as error:
        if os.path.islink(path) and error.errno in (errno.ENOENT, errno.ELOOP):
            return f"`{path}` is a symbolic link to `{os.readlink(path)}`, which cannot be found"
    return ""


def check_input_folder(path: str) -> None:
    """Raise LocationError if the local folder does not exist, is a file or is not readable."""
    try:
        os.scandir(path).close()
    except FileNotFoundError as error:
        if broken := broken_link(path):
            raise LocationError(broken, "fix the link, or give another folder") from error
        sample = "check the path, or get sample photos with `fruitsctl sample`"
        hint = "give the folder with the photos, not a pattern" if is_pattern(path) else sample
        raise LocationError(f"there is no folder `{path}`", hint) from error
    except NotADirectoryError as error:
        raise LocationError(f"`{path}` is a file", "give the folder that holds one sub-folder per label") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise LocationError(f"cannot read `{path}`: {reason}", "make the folder readable") from error


def check_folder(path: str) -> None:
    """Raise LocationError if `path` or a folder above it is a file or a broken symbolic link. `path` need not exist."""
    there = longest_existing(path)
    if broken := broken_link(there):
        raise LocationError(broken, "create the folder that the link names, or choose another")
    if not os.path.isdir(there):
        raise LocationError(f"`{there}` is a file", "choose a folder")


def check_output_folder(path: str) -> None:
    """Raise LocationError if a run cannot write to the local folder `path`, which need not exist."""
    for name in ("", *WRITTEN):
        place = os.path.join(path, name) if name else path
        check_folder(place)
        there = longest_existing(place)
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            refused = os.path.abspath(there if there == place else _below(there, place))
            reason = "Read-only file system" if os.statvfs(there).f_flag & os.ST_RDONLY else "Permission denied"
            raise LocationError(f"cannot write `{refused}`: {reason}", "make it writable, or choose another OUTPUT")


def longest_existing(path: str) -> str:
    """Return the longest part of `path` that exists and is visible to this user; it may be a broken symbolic link."""
    while not (os.path.exists(path) or broken_link(path)):
        path = os.path.dirname(path.rstrip("/")) or (os.sep if path.startswith(os.sep) else os.curdir)
    return path


def _below(folder: str, path: str) -> str:
    """Return the first part of `path` below `folder`: the one that cannot be created."""
    return os.path.join(folder, os.path.relpath(path, folder).split(os.sep)[0])


def _resolved(uri: str) -> str:
    return uri if uris.is_s3(uri) else "file://" + os.path.realpath(uris.local_path(uri))
