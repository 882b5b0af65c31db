"""A run that is a process of its command, which holds a lock while it is alive: another terminal can ask for it and cancel it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from cli.aws.run_state import RunState
from cli.settings.config import settings
from cli.targets.base import Plan, RunStatus, SubmittedRun, Target, TargetOptions, Tell
from cli.targets.runs.saved import holding, is_held, keep, load, wait_until_released
from job.contract.records import Outcome, RecordError

O = TypeVar("O", bound=TargetOptions)  # noqa: E741
P = TypeVar("P", bound=Plan)


class HeldTarget(Target[O, P]):
    """What the targets share whose run is a process of its command."""

    def where(self, plan: P) -> Mapping[str, str]:
        """Return what is needed to find the run while it is active."""
        return {}

    @abstractmethod
    def carry_out(self, plan: P, run: SubmittedRun) -> SubmittedRun:
        """Run to the end, and return `run` with its outcome."""

    @abstractmethod
    def interrupt(self, run: SubmittedRun) -> None:
        """Ask an active run to end in good order. Raises FruitsError if that is refused."""

    def outcome_of(self, run: SubmittedRun) -> Outcome:
        """Return how a run ended, also if its command was killed before it could save that."""
        with suppress(RecordError):
            if run.outcome is not None:
                return Outcome.from_json(run.outcome)
        hint = "run it again: it resumes from the last commit"
        return Outcome(run.run_id, 1, "Died", "the command of the run ended without an outcome", hint)

    def submit(self, plan: P, tell: Tell) -> SubmittedRun:
        """Run the job to its end. Its outcome is in the run that is returned."""
        state, params = settings().state, plan.params
        run = SubmittedRun(params.run_id, self.name, params.output, datetime.now(UTC).isoformat(), self.where(plan))
        with holding(state, run.run_id):
            keep(state, run)
            run = self.carry_out(plan, run)
            keep(state, run)
        return run

    def describe(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        if is_held(settings().state, run.run_id):
            return RunStatus(RunState.RUNNING, "RUNNING")
        return RunStatus.ended(self.outcome_of(run))

    def cancel(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        """End the run in good order, and wait for it. Raises FruitsError if that is refused, or takes too long."""
        state = settings().state
        if is_held(state, run.run_id):
            self.interrupt(run)
            tell(f"Run {run.run_id}: waiting until it has stopped")
            wait_until_released(state, run.run_id)
        return self.describe(load(state, run.run_id) or run, tell)
