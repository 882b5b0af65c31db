"""Write a photo so that its file is complete or absent, also after a crash."""

from __future__ import annotations

import os
from pathlib import Path

from cli.errors import AssetError


def write_photo(target: Path, content: bytes) -> None:
    """
    Raises:
        AssetError: the disk or its permissions refuse it.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise AssetError(f"cannot write `{target}`: {error.strerror}", "free space there, or choose another folder") from error
