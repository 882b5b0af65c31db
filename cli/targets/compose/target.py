"""Target `--compose`: the run inside the local stack of docker-compose.yml, which prints its own progress and result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from cli.container.docker import docker
from cli.errors import UsageError
from cli.settings.config import environment, settings
from cli.targets.base import Ended, LogLine, Plan, SubmittedRun, TargetOptions, Tell
from cli.targets.compose import process as compose
from cli.targets.runs.held import HeldTarget
from cli.targets.runs.saved import is_held
from job.contract.params import Params
from job.contract.records import Outcome


@dataclass(frozen=True)
class ComposeOptions(TargetOptions):
    """What --compose takes."""


@dataclass(frozen=True)
class ComposePlan(Plan):
    """The command of Docker."""

    todo: compose.Plan


class Compose(HeldTarget[ComposeOptions, ComposePlan]):
    """The local stack."""

    name, title, help = "compose", "the local stack", "Run in the local stack of docker-compose.yml."
    offered, options = True, ComposeOptions

    def plan(self, params: Params, options: ComposeOptions) -> ComposePlan:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        todo = compose.plan(params, compose.program(), options.as_json, terminal)
        return ComposePlan(params, asdict(todo), todo.as_shell(), todo)

    def dry_run(self, plan: ComposePlan) -> tuple[Mapping[str, Any], str]:
        """Return the command. Raises UsageError if there is no docker-compose.yml here, as the run would."""
        compose.require_file()
        return plan.data, plan.text

    def carry_out(self, plan: ComposePlan, run: SubmittedRun) -> SubmittedRun:
        code = compose.start(plan.todo)
        ended = Outcome(run.run_id, code, "Failed" if code else "done", f"the container ended with exit code {code}")
        return replace(run, outcome=ended.to_json())

    def interrupt(self, run: SubmittedRun) -> None:
        docker("kill", "--signal=SIGINT", compose.container_of(run.run_id))

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """Return the exit code; the container has printed everything else."""
        return Ended(code=Outcome.from_json(str(run.outcome)).code)

    def logs(self, run: SubmittedRun, follow: bool, stderr: bool, tell: Tell) -> Iterator[LogLine]:
        """
        Yield what the container prints.

        Raises:
            UsageError: it has ended, and is removed with its output; `stderr` is asked for alone.
        """
        if stderr:
            raise UsageError(f"`--stderr` cannot be used with a run in {self.title}", "remove it: the container has one log")
        if not is_held(settings().state, run.run_id):
            raise UsageError(
                f"the container of run `{run.run_id}` is removed, and its output with it", f"read {run.output}/runs/{run.run_id}/job.log"
            )
        words = ["docker", "logs", *(["--follow"] if follow else []), compose.container_of(run.run_id)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield LogLine(line.rstrip("\r\n"))

    def ui(self, run: SubmittedRun, tell: Tell) -> str:
        """Return the address of the stack's history server, which has the runs that have ended."""
        return f"http://127.0.0.1:{environment().get('HISTORY_PORT') or 18080}"
