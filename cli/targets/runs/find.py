"""Find a run and its target: among the runs that this machine has saved, else at a service."""

from __future__ import annotations

from typing import Any

from cli.errors import FruitsError, UsageError
from cli.settings.config import settings
from cli.targets.base import SubmittedRun, Target, Tell
from cli.targets.registry import TARGETS, named
from cli.targets.runs.saved import load


def find(run_id: str | None, tell: Tell) -> tuple[Target[Any, Any], SubmittedRun]:
    """
    Return a run and its target: the one that this machine has saved, else one that a service has; without an id the last one.

    Raises:
        UsageError: neither this machine nor a service knows such a run.
        FruitsError: no credentials, or a service refuses.
    """
    saved = load(settings().state, run_id)
    if saved is not None:
        return named(saved.target), saved
    refused: FruitsError = UsageError(
        f"unknown run `{run_id}`" if run_id else "no run was started from this machine", "give a run id, or start a run"
    )
    for target in reversed(TARGETS):
        try:
            found = target.resolve(run_id, tell)
        except FruitsError as error:
            refused = error
            continue
        if found is not None:
            return target, found
    raise refused
