"""Target `--compose`: the run inside the local stack of docker-compose.yml, which prints its own progress and result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cli.aws.run_state import RunState
from cli.container.docker import docker
from cli.errors import UsageError
from cli.settings.config import environment, settings
from cli.targets.base import Ended, LogLine, Plan, RunStatus, SubmittedRun, Target, TargetOptions, Tell
from cli.targets.compose import process as compose
from cli.targets.runs.saved import died, holding, is_held, keep, load, wait_until_released
from job.contract.params import Params
from job.contract.records import Outcome


@dataclass(frozen=True)
class ComposeOptions(TargetOptions):
    """What --compose takes."""


@dataclass(frozen=True)
class ComposePlan(Plan):
    """The command of Docker."""

    todo: compose.Plan


class Compose(Target[ComposeOptions, ComposePlan]):
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

    def submit(self, plan: ComposePlan, tell: Tell) -> SubmittedRun:
        """Run it to its end. The exit code of the container is in the run that is returned."""
        state, params = settings().state, plan.params
        run = SubmittedRun(params.run_id, self.name, params.output, datetime.now(UTC).isoformat())
        with holding(state, run.run_id):
            keep(state, run)
            run = replace(run, outcome=_outcome(run.run_id, compose.start(plan.todo)).to_json())
            keep(state, run)
        return run

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """Return the exit code; the container has printed everything else."""
        return Ended(code=Outcome.from_json(str(run.outcome)).code)

    def describe(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        if is_held(settings().state, run.run_id):
            return RunStatus(RunState.RUNNING, "RUNNING")
        outcome = Outcome.from_json(run.outcome) if run.outcome else died(run)
        return RunStatus.ended(outcome)

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

    def cancel(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        """End the job in the container in good order, and wait for it. Raises FruitsError if Docker refuses."""
        state = settings().state
        if is_held(state, run.run_id):
            docker("kill", "--signal=SIGINT", compose.container_of(run.run_id))
            tell(f"Run {run.run_id}: waiting until it has stopped")
            wait_until_released(state, run.run_id)
        return self.describe(load(state, run.run_id) or run, tell)

    def ui(self, run: SubmittedRun, tell: Tell) -> str:
        """Return the address of the stack's history server, which has the runs that have ended."""
        return f"http://127.0.0.1:{environment().get('HISTORY_PORT') or 18080}"


def _outcome(run_id: str, code: int) -> Outcome:
    return Outcome(run_id, code, "Failed" if code else "done", f"the container ended with exit code {code}")
