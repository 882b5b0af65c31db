"""
Keyed hashes of what was erased, in OUTPUT: photos with a tombstone are refused when the same bytes come back.

The key is beside them: a reader of OUTPUT can check whether a photo that they have, or an address that they guess, was erased. Only what
cannot be guessed stays hidden.
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
    """Contents that are not to come back."""

    key: bytes
    hashes: frozenset[str]

    def hold(self, content: bytes) -> bool:
        return bool(self.hashes) and keyed(self.key, hashlib.sha256(content).hexdigest()) in self.hashes


NOTHING_ERASED = Tombstones(b"", frozenset())


def read_tombstones(folder: Folder) -> Tombstones:
    """
    Those of OUTPUT; mostly none.

    Raises:
        OutputError, CredentialsError: they cannot be read.
    """
    stored = folder.read(TOMBSTONES)
    return NOTHING_ERASED if stored is None else Tombstones(key_of(folder), frozenset(stored.content.decode().split()))


def bury(folder: Folder, contents: Iterable[str]) -> None:
    """Add tombstones for `contents`, SHA-256 in hexadecimal. Under the lease."""
    hashes = read_tombstones(folder).hashes | {keyed(key_of(folder), content) for content in contents}
    folder.write(TOMBSTONES, "".join(f"{one}\n" for one in sorted(hashes)).encode())


def key_of(folder: Folder) -> bytes:
    """The key of OUTPUT, 32 random bytes, made at the first call. Under the lease."""
    stored = folder.read(KEY)
    if stored is not None:
        return stored.content
    key = secrets.token_bytes(32)
    folder.write(KEY, key)
    return key


def keyed(key: bytes, value: str) -> str:
    """HMAC-SHA256, hexadecimal."""
    return hmac.new(key, value.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()
