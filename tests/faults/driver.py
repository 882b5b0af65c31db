"""
The job, in a driver that dies where it is told to: `driver.py POINT ARGUMENT…`, with the job's own arguments. It dies as machines do: by
SIGKILL, its JVM with it, at one exact point of the data flow. An empty POINT is the job as it is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import job.__main__
from job import pca, pipeline, publish
from job.objects import LocalFolder
from job.params import Params
from job.store import FeatureStore
from job.uris import local_path

TASKS = 2  # of a chunk, on two cores: so many data files


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def on(owner: Any, name: str, when: Callable[..., bool] = lambda *_, **__: True, after: bool = False) -> Callable[[Params], None]:
    """Dies before (or after) `owner.name` is called with arguments that `when` accepts."""

    def arm(_: Params) -> None:
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


def between_data_and_commit(params: Params) -> None:
    """Dies when every data file of the second commit is whole on disk, before Delta has written the commit."""
    table, append = Path(local_path(params.output)) / "features", FeatureStore.append

    def watch(before: set[Path]) -> None:
        while sum(is_finished(path) for path in set(table.glob("*.parquet")) - before) < TASKS:
            time.sleep(0.0005)
        die()

    def watched(store: FeatureStore, embedded: Any) -> None:
        if second():
            threading.Thread(target=watch, args=(set(table.glob("*.parquet")),), daemon=True).start()
        append(store, embedded)

    FeatureStore.append = watched  # type: ignore[method-assign]


def is_finished(path: Path) -> bool:
    """Parquet ends with its magic: https://parquet.apache.org/docs/file-format/"""
    content = path.read_bytes()
    return len(content) > 12 and content.endswith(b"PAR1")


POINTS: dict[str, Callable[[Params], None]] = {
    "": lambda _: None,
    "start": on(pipeline, "warm_up", after=True),
    "model": on(FeatureStore, "open"),
    "list": on(pipeline, "read_listing"),
    "new": on(FeatureStore, "missing_from", after=True),
    "embed": on(FeatureStore, "append", second),
    "between data files and commit": between_data_and_commit,
    "fit": on(pca, "fit"),
    "project": on(pca, "project"),
    "publish": on(publish, "write_model", after=True),
    "report": on(publish, "add_report", after=True),
    "between manifest and latest.json": on(LocalFolder, "swap", of("latest.json")),
    "after latest.json": on(LocalFolder, "swap", of("latest.json"), after=True),
}

if __name__ == "__main__":
    point, *argv = sys.argv[1:]
    POINTS[point](Params.from_argv(argv))
    sys.exit(job.__main__.main(argv))
