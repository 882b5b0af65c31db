"""Stages in, progress lines on stdout out; and each stage's seconds, for the manifest. The job's only writer to stdout."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from pyspark import SparkContext
from pyspark.status import SparkStageInfo

from job.contract.records import Outcome, Preview, Progress, Stage, counted, to_line

POLL_SECONDS = 0.5


def send(record: Progress | Outcome | Preview) -> None:
    """Raises BrokenPipeError when there is no listener any more: the process that started the job is gone, and the run ends."""
    sys.stdout.write(to_line(record) + "\n")
    sys.stdout.flush()


class Running:
    """A stage under way."""

    def __init__(self, name: str, total: int | None, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def update(self, done: int, total: int | None = None) -> None:
        self.done = done
        self.total = total if total is not None else self.total
        self.send()

    def send(self, finished: bool = False) -> None:
        send(Progress(self.name, self.done, self.total, self.unit, round(self.seconds, 3), finished))


class Report:
    """The stages of one run."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Iterator[Running]:
        running = Running(name, total, unit)
        running.send()
        yield running
        self.stages[name] = Stage(round(running.seconds, 3), running.done)
        running.send(finished=True)


def counting_tasks(context: SparkContext, running: Running, images: int, tasks: int) -> AbstractContextManager[None]:
    """While inside, `running` grows with each of the `tasks` that Spark finishes, up to `images` more than it had."""
    before = running.done

    def count(stages: list[SparkStageInfo]) -> None:
        finished = max((stage.numCompletedTasks for stage in stages if stage.numTasks == tasks), default=0)
        running.update(before + images * finished // tasks)

    return _watching(context, f"{running.name}-{before}", f"{running.name} {counted(images, 'images')}", count)


@contextmanager
def showing_tasks(context: SparkContext, running: Running) -> Iterator[None]:
    """While inside, `running` counts the tasks that Spark has and has finished, whatever they do; at the end all of them."""

    def count(stages: list[SparkStageInfo]) -> None:
        running.update(sum(stage.numCompletedTasks for stage in stages), sum(stage.numTasks for stage in stages))

    with _watching(context, running.name, running.name, count):
        yield
    running.update(running.total or 0)


@contextmanager
def _watching(context: SparkContext, group: str, description: str, count: Callable[[list[SparkStageInfo]], None]) -> Iterator[None]:
    """While inside, `count` sees the stages of Spark's jobs every POLL_SECONDS."""
    over = threading.Event()
    context.setJobGroup(group, description)

    def poll() -> None:
        tracker = context.statusTracker()
        while not over.wait(POLL_SECONDS):
            found = [tracker.getStageInfo(i) for job in tracker.getJobIdsForGroup(group) for i in _stage_ids(tracker, job)]
            count([stage for stage in found if stage])

    thread = threading.Thread(target=poll, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for name in ("spark.jobGroup.id", "spark.job.description"):
            context.setLocalProperty(name, None)  # type: ignore[arg-type] # None takes it away


def _stage_ids(tracker: object, job: int) -> list[int]:
    info = tracker.getJobInfo(job)  # type: ignore[attr-defined] # pyspark's StatusTracker has no stubs
    return list(info.stageIds) if info else []
