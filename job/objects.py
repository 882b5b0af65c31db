"""
Small files below one URI, on disk or on S3: bytes in, bytes out, each replaced whole or not at all.

`swap` is compare-and-swap, what a lease and a pointer need. No large data, no listing of millions.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from job.errors import OutputError
from job.replacing import replacing
from job.s3 import S3_ERRORS, client, code_of, explain, read_whole
from job.uris import bucket_and_key, is_foreign, is_s3, join, local_path

ATTEMPTS = 4  # of one request to S3: a wrong endpoint is known within seconds
GUARD_SECONDS = 10.0  # that a local swap waits for another one
# 404: deleted under an If-Match. 409: another conditional write is under way.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html#conditional-error-response
CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}


class Conflict(Exception):  # noqa: N818 - the word of HTTP and of the S3 documentation
    """The present version is not the one that `swap` was told: read it again, then decide."""


class Stored(NamedTuple):
    """A file as it was read. `version` changes with the content."""

    content: bytes
    version: str
    age: float  # seconds since it was written, at least, by the clock of the store: S3's own, or this machine's


class File(NamedTuple):
    """A file as a listing has it."""

    name: str
    modified: float  # Unix seconds, by the clock of the store
    version: str  # changes with the content: on S3 the ETag, since its times are cut to the second


class Folder(ABC):
    """
    The files below `uri`; a name may have parts: `runs/x/manifest.json`. `open_folder` makes one.

    Every method raises OutputError (it cannot be read or written) or CredentialsError, with the URI and a hint.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @abstractmethod
    def read(self, name: str) -> Stored | None:
        """The file, or None if there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Create or replace. A reader sees the old content or the new."""

    @abstractmethod
    def swap(self, name: str, content: bytes, version: str | None) -> str:
        """Write only if the present version is `version` (None: there is no file); the new version. Raises Conflict otherwise."""

    @abstractmethod
    def upload(self, name: str, path: str) -> None:
        """`write` with the content of the local file `path`, up to 5 GB, not held in memory."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""

    @abstractmethod
    def delete_tree(self, name: str) -> None:
        """Delete all files below `name`, if there are any."""

    @abstractmethod
    def names(self, prefix: str = "") -> list[str]:
        """Names of the files and folders right below `prefix`, sorted, without hidden ones."""

    @abstractmethod
    def files(self, prefix: str = "") -> list[File]:
        """The files right below `prefix`, sorted, without hidden ones."""


class LocalFolder(Folder):
    def read(self, name: str) -> Stored | None:
        with _local_errors(self._path(name)) as path:
            try:
                with open(path, "rb") as file:
                    content, written = file.read(), os.fstat(file.fileno()).st_mtime
            except FileNotFoundError:
                return None
        return Stored(content, _version(content), max(0.0, time.time() - written))

    def write(self, name: str, content: bytes) -> None:
        with _local_errors(self._path(name)) as path, replacing(path) as file:
            file.write(content)

    def swap(self, name: str, content: bytes, version: str | None) -> str:
        with _local_errors(self._path(name)) as path, _guard(path):
            present = self.read(name)
            if (present.version if present else None) != version:
                raise Conflict(self._path(name))
            self.write(name, content)
        return _version(content)

    def upload(self, name: str, path: str) -> None:
        with _local_errors(self._path(name)) as target, open(path, "rb") as source, replacing(target) as file:
            shutil.copyfileobj(source, file)

    def delete(self, name: str) -> None:
        with _local_errors(self._path(name)) as path, suppress(FileNotFoundError):
            os.unlink(path)

    def delete_tree(self, name: str) -> None:
        with _local_errors(self._path(name)) as path, suppress(FileNotFoundError):
            shutil.rmtree(path)

    def names(self, prefix: str = "") -> list[str]:
        with _local_errors(self._path(prefix)) as path:
            try:
                return sorted(name for name in os.listdir(path) if not name.startswith("."))
            except FileNotFoundError:
                return []

    def files(self, prefix: str = "") -> list[File]:
        with _local_errors(self._path(prefix)) as path:
            try:
                with os.scandir(path) as entries:
                    return sorted(_file(entry) for entry in entries if entry.name[0] != "." and entry.is_file())
            except FileNotFoundError:
                return []

    def _path(self, name: str) -> str:
        return os.path.join(local_path(self.uri), name)


class S3Folder(Folder):
    def read(self, name: str) -> Stored | None:
        with self._errors(name):
            try:
                found, content = read_whole(client(ATTEMPTS), **self._at(name))
            except client(ATTEMPTS).exceptions.NoSuchKey:
                return None
        answered = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"].get("date", formatdate()))
        age = (answered - found["LastModified"]).total_seconds() - 1  # both are cut to the second
        return Stored(content, found["ETag"], max(0.0, age))

    def write(self, name: str, content: bytes) -> None:
        with self._errors(name):
            client(ATTEMPTS).put_object(**self._at(name), Body=content)

    def swap(self, name: str, content: bytes, version: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._errors(name):
            try:
                etag: str = client(ATTEMPTS).put_object(**self._at(name), Body=content, **condition)["ETag"]
            except ClientError as error:
                if code_of(error) in CONFLICTS:
                    raise Conflict(join(self.uri, name)) from error
                raise
        return etag

    def upload(self, name: str, path: str) -> None:
        with self._errors(name), _local_errors(path), open(path, "rb") as source:
            client(ATTEMPTS).put_object(**self._at(name), Body=source)

    def delete(self, name: str) -> None:
        with self._errors(name):
            client(ATTEMPTS).delete_object(**self._at(name))

    def delete_tree(self, name: str) -> None:
        with self._errors(name):
            for page in self._pages(name):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
                if not keys:
                    continue
                failed = client(ATTEMPTS).delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if failed:
                    key, why = failed[0].get("Key"), failed[0].get("Code")
                    raise OutputError(f"cannot delete `s3://{self._bucket}/{key}`: {why}", "allow s3:DeleteObject on OUTPUT")

    def names(self, prefix: str = "") -> list[str]:
        found: set[str] = set()
        with self._errors(prefix):
            for page in self._pages(prefix, Delimiter="/"):
                found |= {below["Prefix"] for below in page.get("CommonPrefixes", [])}
                found |= {file["Key"] for file in page.get("Contents", [])}
        start = len(self._prefix(prefix))
        names = (key[start:].rstrip("/") for key in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def files(self, prefix: str = "") -> list[File]:
        with self._errors(prefix):
            found = [file for page in self._pages(prefix, Delimiter="/") for file in page.get("Contents", [])]
        start = len(self._prefix(prefix))
        files = (File(file["Key"][start:], file["LastModified"].timestamp(), file["ETag"]) for file in found)
        return sorted(file for file in files if file.name and not file.name.startswith("."))

    @property
    def _bucket(self) -> str:
        return bucket_and_key(self.uri)[0]

    def _at(self, name: str) -> dict[str, str]:
        bucket, key = bucket_and_key(join(self.uri, name))
        return {"Bucket": bucket, "Key": key}

    def _prefix(self, name: str) -> str:
        _, key = bucket_and_key(join(self.uri, name) if name else self.uri)
        return key + "/" if key else ""

    def _pages(self, name: str, **arguments: str) -> Iterator[dict[str, Any]]:
        pages = client(ATTEMPTS).get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self._bucket, Prefix=self._prefix(name), **arguments)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except S3_ERRORS as error:
            raise explain(error, join(self.uri, name) if name else self.uri, OutputError) from error


def open_folder(uri: str) -> Folder:
    """
    Local or on S3, as `uri` says.

    Raises:
        OutputError: it is neither. Spark would write there, and nothing would check the place.
    """
    if is_foreign(uri):
        raise OutputError(f"`{uri}` is not an address of a local folder or of S3", "write s3://bucket/prefix, or file:///path")
    return S3Folder(uri) if is_s3(uri) else LocalFolder(uri)


def _file(entry: os.DirEntry[str]) -> File:
    status = entry.stat()
    return File(entry.name, status.st_mtime, f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}")


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _guard(path: str) -> Iterator[None]:
    """Only one process at a time, by a lock that dies with its holder. A holder that is stopped must not stop us for ever."""
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
def _local_errors(path: str) -> Iterator[str]:
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
