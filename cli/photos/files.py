"""Write a photo so that its file is complete or absent, also after a crash."""

from __future__ import annotations

import errno
from pathlib import Path

from cli.errors import NO_SPACE, AssetError
from cli.settings.atomic_write import atomic_write

FULL = (*NO_SPACE, errno.EFBIG)


def write_photo(target: Path, content: bytes) -> None:
    """
    Write a photo atomically.

    Raises:
        AssetError: the disk is full or not writable.
    """
    try:
        with atomic_write(target) as part:
            part.write_bytes(content)
    except OSError as error:
        raise unwritable(target, error, "choose another folder") from error


def unwritable(target: Path, error: OSError, elsewhere: str) -> AssetError:
    """Return what is said of `target`; space is a way out only where the disk is full, `elsewhere` always."""
    hint = f"free space there, or {elsewhere}" if error.errno in FULL else elsewhere
    return AssetError(f"cannot write `{target}`: {error.strerror}", hint)
