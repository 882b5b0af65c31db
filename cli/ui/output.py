"""Write results as text or JSON to stdout and messages to stderr. The only writer to both."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from job.contract.records import Progress, counted, plural_noun, stage_title

RED, CYAN = "1;31", "1;36"  # bold, by number: https://en.wikipedia.org/wiki/ANSI_escape_code#SGR
PLAIN_AFTER_SECONDS, PLAIN_EVERY_SECONDS = 2.0, 5.0  # without a terminal: a first line, then one that often, not a bar
PLAIN_TICK_SECONDS = 0.5  # how often a silent stage is looked at


def emit(data: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Write a command's result to stdout and flush: a pipe may be waiting, and a full disk is an error of the command."""
    print(json.dumps(data, ensure_ascii=False) if as_json else text, flush=True)


def say(text: str) -> None:
    """Write a message to stderr."""
    print(text, file=sys.stderr, flush=True)


def say_error(message: str, hint: str) -> None:
    """Print `error:` and `hint:` on stderr, in colour on a terminal unless NO_COLOR is set (https://no-color.org)."""
    say(f"{_coloured('error:', RED)} {message}")
    if hint:
        say(f"\n{_coloured('hint:', CYAN)} {hint}")


def _coloured(word: str, colour: str) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return word if plain else f"\x1b[{colour}m{word}\x1b[0m"


class Stages:
    """
    One line per stage on stderr: a bar on a terminal, plain lines elsewhere. Fed with absolute figures.

    A thread says plain lines of a stage that sends no figures for long.
    """

    def __enter__(self) -> Stages:
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._open: dict[str, tuple[str, int, int | None]] = {}  # stages that are not finished: unit, done, total
        self._lock, self._over = threading.Lock(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="stages", daemon=True)
        self._bars = _bars() if sys.stderr.isatty() else None
        (self._bars or self._watcher).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._bars:
            self._bars.stop()
        else:
            self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(PLAIN_TICK_SECONDS):
            with self._lock, suppress(OSError, ValueError):  # stderr is gone
                for title, figures in self._open.items():
                    self._say_if_due(title, *figures)

    def show(self, progress: Progress) -> None:
        """Show the progress of a stage."""
        self.update(stage_title(progress.stage), progress.unit, progress.done, progress.total, progress.finished)

    def update(self, title: str, unit: str, done: int, total: int | None, finished: bool = False) -> None:
        if self._bars:
            task = self._tasks.get(title)
            if task is None:
                task = self._tasks[title] = self._bars.add_task(title, total=total, unit=unit)
            if finished:
                total = done = max(done, 1) if total is None else total
            self._bars.update(task, completed=done, total=total, finished_done=finished)
            return
        with self._lock:
            self._began.setdefault(title, time.monotonic())
            self._open[title] = unit, done, total
            self._say_if_due(title, unit, done, total, finished)
            if finished:
                del self._open[title]

    def _say_if_due(self, title: str, unit: str, done: int, total: int | None, finished: bool = False) -> None:
        now, began, said = time.monotonic(), self._began[title], self._said.get(title)
        if finished or now >= (began + PLAIN_AFTER_SECONDS if said is None else said + PLAIN_EVERY_SECONDS):
            self._said[title] = now
            say(_plain(title, unit, done, total, now - began, finished))


def so_far(done: int, total: int | None, unit: str) -> str:
    """Return `1 image` or `1 of 3 images`."""
    return counted(done, unit) if total is None else f"{done:,} of {counted(total, unit)}"


def _plain(title: str, unit: str, done: int, total: int | None, seconds: float, finished: bool) -> str:
    rate = done / seconds if seconds > 0 else 0.0
    if not done and not total:
        return f"{title}: {seconds:.1f} s" if finished else f"{title}: {seconds:.0f} s so far"
    figures = f"{title}: {so_far(done, total, unit)}"
    if finished:
        return f"{figures}, {seconds:.1f} s"
    left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
    return figures + (f", {rate:.0f} {plural_noun(round(rate), unit)}/s{left}" if done else "")


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Counted(ProgressColumn):
        """Column such as `1,234/3,930 images  164/s`."""

        def render(self, task: Any) -> Text:
            if not task.total or (task.total == 1 and task.fields["unit"] == "steps"):
                return Text("")
            speed = task.finished_speed or task.speed
            rate = f"  {speed:,.0f}/s" if speed else ""
            return Text(f"{task.completed:,.0f}/{task.total:,.0f} {plural_noun(task.total, task.fields['unit'])}{rate}", style="cyan")

    return Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=None),  # what is left of the line
        Counted(Column(no_wrap=True)),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        expand=True,
    )


@contextmanager
def said_if_slow(text: str) -> Iterator[None]:
    """Say `text` if what is inside takes longer than PLAIN_AFTER_SECONDS."""
    timer = threading.Timer(PLAIN_AFTER_SECONDS, say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callable that takes (done, total) of one task. Nothing is shown if it is never called."""
    last: tuple[int, int | None] | None = None
    with Stages() as stages:

        def advance(done: int, total: int | None) -> None:
            nonlocal last
            last = (done, total)
            stages.update(title, unit, done, total)

        yield advance
        if last is not None:
            stages.update(title, unit, *last, finished=True)
