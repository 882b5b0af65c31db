"""Refuse every Region outside the European Union; `job/contract/regions.py` has the list."""

from __future__ import annotations

from cli.errors import RefusedError
from job.contract.regions import EU_REGIONS, PARIS, outside_eu

__all__ = ["EU_REGIONS", "PARIS", "refuse_outside_eu"]


def refuse_outside_eu(region: str) -> None:
    """Raise RefusedError if `region` is not in EU_REGIONS. Called before any client of that Region is made."""
    if problem := outside_eu(region):
        raise RefusedError(*problem)
