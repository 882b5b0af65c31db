"""What every remote target has in common: the states of a run, whatever a service calls them. Pure."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    PENDING = "pending"  # accepted, no worker yet
    RUNNING = "running"  # holds workers, or will: not over
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (RunState.PENDING, RunState.RUNNING)
