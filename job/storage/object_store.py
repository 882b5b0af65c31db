"""
Store small files below one URI, on disk or on S3, each replaced atomically.

A lease and a pointer need `compare_and_swap`. No large files, no listings of millions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple


class Conflict(Exception):  # noqa: N818 - the word of HTTP and of the S3 documentation
    """The current version is not the one given to `compare_and_swap`: read it again, then decide."""


class Stored(NamedTuple):
    """A file as it was read. `version` changes with the content."""

    content: bytes
    version: str
    age: float  # seconds since it was written, at least, by the clock of the store: S3's own, or this machine's


class File(NamedTuple):
    """A file in a listing."""

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
        """Return the file, or None if it does not exist."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Create or replace the file. A reader sees the old content or the new."""

    @abstractmethod
    def compare_and_swap(self, name: str, content: bytes, version: str | None) -> str:
        """Write only if the current version is `version` (None: no file) and return the new version. Raises Conflict otherwise."""

    @abstractmethod
    def upload(self, name: str, path: str) -> None:
        """Write the content of the local file `path`, up to 5 GB, without holding it in memory."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""

    @abstractmethod
    def delete_tree(self, name: str) -> None:
        """Delete all files below `name`, if there are any."""

    @abstractmethod
    def names(self, prefix: str = "") -> list[str]:
        """Return the names of files and folders directly below `prefix`, sorted, without hidden ones."""

    @abstractmethod
    def files(self, prefix: str = "") -> list[File]:
        """Return the files directly below `prefix`, sorted, without hidden ones."""
