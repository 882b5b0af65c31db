"""
The job, or an erasure, in a driver that dies where it is told to: `driver.py POINT ARGUMENT…`, with its own arguments. It dies as
machines do: by SIGKILL, its JVM with it, at one exact point of the data flow. An empty POINT is the job as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import job.__main__
import job.erasure.__main__
from job import pipeline
from job.erasure import refit, runs
from job.erasure.search import proof
from job.stages import pca, publish
from job.stages.tables.store import FeatureStore
from job.storage.local_store import LocalFolder


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def on(owner: Any, name: str, when: Callable[..., bool] = lambda *_, **__: True, after: bool = False) -> Callable[[], None]:
    """Dies before (or after) `owner.name` is called with arguments that `when` accepts."""

    def arm() -> None:
        original = getattr(owner, name)

        def deadly(*arguments: Any, **named: Any) -> Any:
            fatal = when(*arguments, **named)
            if fatal and not after:
                die()
            result = original(*arguments, **named)
            if fatal:
                die()
            return result

        setattr(owner, name, deadly)

    return arm


def second(*_: Any, calls: list[None] = []) -> bool:  # noqa: B006 - it counts its calls
    calls.append(None)
    return len(calls) == 2


def of(file: str) -> Callable[..., bool]:
    """Calls of a Folder's methods about the file of that name."""
    return lambda folder, name, *_: name.endswith(file)


POINTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "start": on(pipeline, "start_session", after=True),
    "model": on(FeatureStore, "open"),
    "list": on(pipeline, "read_listing", after=True),
    "new": on(FeatureStore, "missing_from", after=True),
    "embed": on(FeatureStore, "append", second),
    "between data files and commit": on(LocalFolder, "compare_and_swap", of("00000000000000000002.json")),
    "fit": on(pca, "fit"),
    "project": on(pca, "project"),
    "publish": on(publish, "write_model", after=True),
    "report": on(publish, "add_report", after=True),
    "between manifest and latest.json": on(LocalFolder, "compare_and_swap", of("latest.json")),
    "after latest.json": on(LocalFolder, "compare_and_swap", of("latest.json"), after=True),
}
ERASURE = {
    "between tables and runs": on(runs, "erase_from_run"),
    "between runs and refit": on(refit, "refit"),
    "between refit and notes": on(runs, "update_manifest_and_report"),
    "between notes and proof": on(proof, "search"),
}

if __name__ == "__main__":
    point, *argv = sys.argv[1:]
    (POINTS | ERASURE)[point]()
    erases = any(word.startswith("--targets=") for word in argv)
    sys.exit((job.erasure.__main__ if erases else job.__main__).main(argv))
