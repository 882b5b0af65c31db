"""Copies of reports on S3, which a browser opens: for this user alone, and removed by later commands. Thumbnails of photos are in them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "fruitsctl-report-"  # begins the name of each copy's folder in the folder for temporary files
KEPT_SECONDS = 86_400.0  # a browser reads its copy some time after the command, and a script may open several


def copied(run_id: str, content: bytes) -> Path:
    """Return the new copy. Those that are older than a day go."""
    remove(KEPT_SECONDS)
    copy = Path(tempfile.mkdtemp(prefix=PREFIX)) / f"report-{run_id}.html"
    copy.write_bytes(content)
    return copy


def remove(older_than: float = 0.0) -> None:
    """Remove this user's copies that are older than so many seconds; by default all."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # removed meanwhile
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime >= older_than:
                shutil.rmtree(folder, ignore_errors=True)
