"""Print checks as text or JSON, one line each, and how to fix those that failed. Used by `doctor` and `image check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cli.errors import FruitsError
from cli.ui.output import emit


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    found: str
    mend: str = ""  # what to do, if not ok


def report(checks: Sequence[Check], as_json: bool, failed: str, hint: str) -> None:
    """
    Print them on stdout.

    Raises:
        FruitsError: some failed; `failed` goes before their names.
    """
    width = max(len(check.name) for check in checks)
    lines = [
        f"{'ok     ' if c.ok else 'FAILED '}  {c.name:<{width}}  {c.found}" + (f"\n         fix: {c.mend}" if not c.ok else "")
        for c in checks
    ]
    emit({"checks": [asdict(check) for check in checks]}, "\n".join(lines), as_json)
    missing = [check.name for check in checks if not check.ok]
    if missing:
        raise FruitsError(f"{failed}: {', '.join(missing)}", hint)
