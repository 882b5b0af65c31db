"""Keep small files in a folder of this machine."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from job.contract.atomic_write import atomic_write
from job.contract.errors import OutputError
from job.contract.uris import local_path
from job.storage.object_store import Conflict, File, Folder, Stored

GUARD_SECONDS = 10.0  # that a local compare_and_swap waits for another one


class LocalFolder(Folder):
    """A folder on this machine."""

    def read(self, name: str) -> Stored | None:
        with local_errors(self._path(name)) as path:
            try:
                with open(path, "rb") as file:
                    content, written = file.read(), os.fstat(file.fileno()).st_mtime
            except FileNotFoundError:
                return None
        return Stored(content, _version(content), max(0.0, time.time() - written))

    def write(self, name: str, content: bytes) -> None:
        with local_errors(self._path(name)) as path, atomic_write(path) as file:
            file.write(content)

    def compare_and_swap(self, name: str, content: bytes, version: str | None) -> str:
        with local_errors(self._path(name)) as path, _guard(path):
            present = self.read(name)
            if (present.version if present else None) != version:
                raise Conflict(self._path(name))
            self.write(name, content)
        return _version(content)

    def upload(self, name: str, path: str) -> None:
        with local_errors(self._path(name)) as target, open(path, "rb") as source, atomic_write(target) as file:
            shutil.copyfileobj(source, file)

    def delete(self, name: str) -> None:
        with local_errors(self._path(name)) as path, suppress(FileNotFoundError):
            os.unlink(path)

    def delete_tree(self, name: str) -> None:
        with local_errors(self._path(name)) as path, suppress(FileNotFoundError):
            shutil.rmtree(path)

    def names(self, prefix: str = "") -> list[str]:
        with local_errors(self._path(prefix)) as path:
            try:
                return sorted(name for name in os.listdir(path) if not name.startswith("."))
            except FileNotFoundError:
                return []

    def files(self, prefix: str = "") -> list[File]:
        with local_errors(self._path(prefix)) as path:
            try:
                with os.scandir(path) as entries:
                    return sorted(_file(entry) for entry in entries if entry.name[0] != "." and entry.is_file())
            except FileNotFoundError:
                return []

    def _path(self, name: str) -> str:
        return os.path.join(local_path(self.uri), name)


def _file(entry: os.DirEntry[str]) -> File:
    status = entry.stat()
    return File(entry.name, status.st_mtime, f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}")


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _guard(path: str) -> Iterator[None]:
    """Let one process in at a time, by a lock that is released when its holder dies. A stopped holder must not block for ever."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".guard"), "ab") as guard:
        give_up = time.monotonic() + GUARD_SECONDS
        while True:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    message = f"`{path}` is locked by a suspended process"
                    raise OutputError(message, "end that process, then run the command again") from error
                time.sleep(0.01)
        yield


@contextmanager
def local_errors(path: str) -> Iterator[str]:
    """Translate OSError inside the `with` into OutputError about `path`."""
    try:
        yield path
    except OSError as error:
        raise _explain_local(error, path) from error


def _explain_local(error: OSError, path: str) -> OutputError:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return OutputError(
            f"no permission to read or write `{path}`: {error.strerror}",
            "make OUTPUT readable and writable for this user, or choose another",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"no space left for `{path}`", "free space on its disk, then run the same command again")
    return OutputError(f"`{path}`: {error.strerror}", "choose another OUTPUT")
