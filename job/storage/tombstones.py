"""
Store keyed hashes of erased photos in OUTPUT: the same bytes are refused when they come back.

The key is stored beside them: a reader of OUTPUT can check whether a photo that they have, or an address that they guess, was erased. Only
what cannot be guessed stays hidden.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from job.storage.object_store import Folder

FOLDER = "erasures"
KEY = f"{FOLDER}/key"
TOMBSTONES = f"{FOLDER}/tombstones"
REFUSED = "erased on request"  # the reason of a reject


@dataclass(frozen=True)
class Tombstones:
    """Contents that must not come back."""

    key: bytes
    hashes: frozenset[str]

    def contains(self, content: bytes) -> bool:
        """Return whether `content` was erased."""
        return bool(self.hashes) and keyed_hash(self.key, hashlib.sha256(content).hexdigest()) in self.hashes


NOTHING_ERASED = Tombstones(b"", frozenset())


def read_tombstones(folder: Folder) -> Tombstones:
    """
    Return the tombstones of OUTPUT; usually there are none.

    Raises:
        OutputError, CredentialsError: they cannot be read.
    """
    stored = folder.read(TOMBSTONES)
    return NOTHING_ERASED if stored is None else Tombstones(read_or_create_key(folder), frozenset(stored.content.decode().split()))


def add_tombstones(folder: Folder, contents: Iterable[str]) -> None:
    """Add tombstones for `contents`, SHA-256 in hexadecimal. Requires the lease."""
    hashes = read_tombstones(folder).hashes | {keyed_hash(read_or_create_key(folder), content) for content in contents}
    folder.write(TOMBSTONES, "".join(f"{one}\n" for one in sorted(hashes)).encode())


def read_or_create_key(folder: Folder) -> bytes:
    """Return the key of OUTPUT, 32 random bytes, created at the first call. Requires the lease."""
    stored = folder.read(KEY)
    if stored is not None:
        return stored.content
    key = secrets.token_bytes(32)
    folder.write(KEY, key)
    return key


def keyed_hash(key: bytes, value: str) -> str:
    """Return the HMAC-SHA256 in hexadecimal."""
    return hmac.new(key, value.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()
