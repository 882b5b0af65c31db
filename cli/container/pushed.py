"""Remember the last push to each repository in pushed.json, so that a run finds the digest of its image."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.settings.private import write_private


@dataclass(frozen=True)
class PushedImage:
    """An image that was pushed."""

    image: str  # `<registry>/<repository>@sha256:…`
    digest: str
    tag: str
    repository: str  # `<registry>/<repository>`


def save_pushed(state: Path, pushed: PushedImage) -> None:
    """
    Save the last push of a repository.

    Raises:
        OSError: the folder cannot be written.
    """
    all_of_them = _read(state) | {pushed.repository: asdict(pushed)}
    write_private(state / "pushed.json", json.dumps(all_of_them, indent=2) + "\n")


def last_pushed(state: Path, repository: str) -> PushedImage | None:
    """Return the last push to `repository` (`<registry>/<repository>`) from this machine, or None."""
    found = _read(state).get(repository)
    return PushedImage(**found) if found else None


def _read(state: Path) -> dict[str, Any]:
    try:
        known = json.loads((state / "pushed.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # a damaged file counts as missing: the next push rewrites it
        return {}
    return known if isinstance(known, dict) else {}
