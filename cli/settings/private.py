"""Write files that only their owner can read: logs and saved runs name photos, buckets and accounts."""

from __future__ import annotations

import os
from pathlib import Path

from cli.settings.atomic_write import atomic_write


def owner_only(path: str, flags: int) -> int:
    """Open a file that only its owner can read: an `opener` for `open`."""
    return os.open(path, flags, 0o600)


def write_private(path: Path, text: str) -> None:
    """
    Replace `path` whole: a reader sees the old file or the new one, also after a power cut.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(path) as part, open(part, "w", encoding="utf-8", opener=owner_only) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
