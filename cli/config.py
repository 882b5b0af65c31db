"""Settings from the environment, read here and nowhere else in the CLI."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    assets: Path | None  # FRUITS_ASSETS: used instead of the network for weights and sample
    cache: Path  # FRUITS_CACHE, else the user's cache folder: downloads and the converted model
    state: Path  # FRUITS_STATE, else the user's state folder: what the CLI remembers between commands
    java_home: str | None
    spark_home: str | None  # SPARK_HOME: whose spark-submit --submit uses
    driver_memory: str  # FRUITS_DRIVER_MEMORY: the JVM's heap in a local run, as Spark writes sizes


def settings() -> Settings:
    home_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = os.environ.get("FRUITS_CACHE") or f"{home_cache}/fruitsctl"
    home_state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    state = os.environ.get("FRUITS_STATE") or f"{home_state}/fruitsctl"
    assets = os.environ.get("FRUITS_ASSETS")
    return Settings(
        assets=Path(assets).expanduser().resolve() if assets else None,
        cache=Path(cache).expanduser().resolve(),
        state=Path(state).expanduser().resolve(),
        java_home=os.environ.get("JAVA_HOME"),
        spark_home=os.environ.get("SPARK_HOME"),
        driver_memory=os.environ.get("FRUITS_DRIVER_MEMORY", "2g"),
    )


def environment() -> dict[str, str]:
    """What a child process inherits."""
    return dict(os.environ)
