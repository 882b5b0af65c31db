"""
What ends a command, as one tree. `cli.commands.app` turns it into words on stderr and an exit code, and nothing else does.

    FruitsError                 code 1: the run failed
    ├── UsageError              code 2: the command or the configuration makes no sense
    ├── AssetError              code 2: weights or sample photos are missing, unreachable, damaged, or cannot be stored
    └── RefusedError            code 3: a guard said no (Region, cost, lease)

An error says what happened, with the value in backticks and no full stop; its hint gives one thing to do.
"""

from __future__ import annotations

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)  # an OSError because the disk, or this user's part of it, is full


class FruitsError(Exception):
    """`exit_code` is the class's own, unless the one who raises knows better: a job that ended with its own code."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(FruitsError):
    exit_code = 2


class AssetError(FruitsError):
    exit_code = 2


class RefusedError(FruitsError):
    exit_code = 3
