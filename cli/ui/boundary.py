"""Translate any exception into a FruitsError with one hint. The traceback of an unexpected one is written to a file."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from cli.errors import NO_SPACE, FruitsError, UsageError
from cli.settings.config import settings
from job.contract.locations import LocationError
from job.contract.records import RecordError
from job.contract.uris import AddressError

NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


def explain(error: Exception) -> FruitsError:
    """Return what a command says of `error`, and its exit code."""
    if isinstance(error, FruitsError):
        return error
    if isinstance(error, AddressError | LocationError):
        return UsageError(str(error), error.hint)
    if isinstance(error, RecordError):
        hint = "use the version of fruitsctl that made it, or run the same command again"
        return FruitsError(f"a file of the run cannot be read: {error}", hint)
    if isinstance(error, OSError) and (known := _system_error(error)):
        return known
    return _unexpected(error)


def _system_error(error: OSError) -> UsageError | None:
    """Translate an error of the operating system; None if it names neither a file nor a reason that a user can change."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if error.errno in NO_SPACE:
        return UsageError(f"no space left for `{path}`" if path else "no space left on the disk", _hint(path, "free space on its disk"))
    if path and error.errno in NO_PERMISSION:
        return UsageError(f"no permission for `{path}`: {error.strerror}", _hint(path, "make it writable, or choose another place"))
    if path:
        return UsageError(f"cannot use `{path}`: {error.strerror}", _hint(path, "choose another place"))
    if isinstance(error, FileNotFoundError) and not _has_working_directory():
        return UsageError("the working directory no longer exists", "change to another folder")
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error.strerror):
        return UsageError("no folder for temporary files is writable", "set TMPDIR to a writable folder with free space")
    return None


def _hint(path: str, otherwise: str) -> str:
    """Name the variable that moves `path` elsewhere, if there is one."""
    with suppress(FruitsError, OSError):
        config = settings()
        for variable, folder in (("FRUITS_CACHE", config.cache), ("FRUITS_STATE", config.state), ("TMPDIR", Path(tempfile.gettempdir()))):
            if path and Path(path).is_relative_to(folder):
                return f"set {variable} to a writable folder with free space"
    return otherwise


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def _unexpected(error: Exception) -> FruitsError:
    """Write the traceback to a file that only this user can read, or to stderr, and return an error that names it."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    message = f"unexpected {type(error).__name__}: {first}" if first else f"unexpected {type(error).__name__}"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="fruitsctl-error-", suffix=".log", delete=False) as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        traceback.print_exception(error)
        return FruitsError(message, "report it with the traceback above")
    return FruitsError(message, f"report it with the traceback in {file.name}")
