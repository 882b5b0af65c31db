"""What carries a job run out: a request and its surroundings in, how it ended out. Here one that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ended:
    """Lines that were not given to `Context.write` as they came go to the logs now."""

    code: int
    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()


@dataclass
class Context:
    """Where a run is carried out."""

    job_run_id: str
    attempt: int
    image: str | None  # `<uri>@sha256:…`, as the service resolved it
    region: str
    write: Callable[[str, str], None]  # "stdout" or "stderr", and a line without its end: into the logs at once
    stopping: threading.Event  # set when the run is cancelled, over its time or over its capacity: end soon, it does not matter how
    grace_seconds: float = 0.0  # of the cancel


# One that carries out one run at a time has an attribute `turns`, a lock; until it is a run's turn, the run waits for resources.
Runner = Callable[[dict[str, Any], Context], Ended]


@dataclass
class ScriptedRunner:
    """Says its lines evenly over `seconds`, then ends. `requests` are those it was given."""

    stdout: Sequence[str] = ()
    code: int = 0
    seconds: float = 0.0
    stderr: Sequence[str] = ()
    meanwhile: Callable[[dict[str, Any], Context], None] | None = None  # for example: writes the run's outcome.json
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: dict[str, Any], context: Context) -> Ended:
        self.requests.append(request)
        lines = [("stdout", line) for line in self.stdout] + [("stderr", line) for line in self.stderr]
        for stream, line in lines:
            if context.stopping.wait(self.seconds / (len(lines) + 1)):
                return Ended(143)
            context.write(stream, line)
        if context.stopping.wait(self.seconds / (len(lines) + 1)):
            return Ended(143)
        if self.meanwhile:
            self.meanwhile(request, context)
        return Ended(self.code)
