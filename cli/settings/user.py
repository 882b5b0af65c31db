"""Look up the user of this process: a container may start one without a name or a home directory."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from cli.errors import UsageError


def expand_home(text: str) -> Path:
    """
    Return `text` as a path, `~` replaced by the home directory.

    Raises:
        UsageError: this user has no home directory, or there is no user of that name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"`{text}` cannot be found: user id `{os.getuid()}` has no home directory", "set HOME to a writable folder"
        ) from error


def name() -> str | None:
    """Return the name in the password database of the machine, or None."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None


def require_name() -> None:
    """
    Raise UsageError if this user has no name.

    The JVM then has neither a user nor a home directory, and Hadoop's login fails in it.
    """
    if name() is None:
        raise UsageError(f"user id `{os.getuid()}` has no name on this machine, and Spark needs one", NAME_HINT)


NAME_HINT = "run as a user who is listed in /etc/passwd, or add a line for this user id there"
