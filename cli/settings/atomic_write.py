"""Replace a file atomically: a reader sees the old one or the new one, also after a crash."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """
    Yield the path of a new file that replaces `path` at the end, if it was written. It is deleted after an error.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        if part.is_file():
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
