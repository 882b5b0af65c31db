"""A run of the job on this machine's files, its log in job.log: what `--local` and `--submit` share."""

from __future__ import annotations

import os
import signal
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cli.errors import FruitsError, UsageError
from cli.settings.config import Settings, settings
from cli.settings.waiting import every
from cli.targets.base import Ended, LogLine, Plan, SubmittedRun, TargetOptions, Tell
from cli.targets.local import process as local
from cli.targets.local.run import carry_out, downloaded, published, session_for, with_weights
from cli.targets.options import FEATURES, option
from cli.targets.runs.held import HeldTarget
from cli.targets.runs.saved import POLL_SECONDS, is_held
from cli.ui import run_files
from cli.ui.summary import shown
from job.contract.locations import check_input_folder, check_output_folder
from job.contract.params import WITHOUT_WEIGHTS, Params
from job.contract.records import Outcome, RecordError
from job.contract.uris import is_s3, join, local_path

FOLLOW_SECONDS = 30 * 24 * 3600.0  # of a log: longer than any run


@dataclass(frozen=True)
class ProcessOptions(TargetOptions):
    """What only a job on this machine's files takes: the image has its own weights, and S3 an ETag for each photo."""

    weights: str | None = option(None, "Keras HDF5 file to use instead of the official one.", FEATURES, metavar="FILE", repeated=False)
    content_hash: bool = option(False, "find changed files by content, not by size and time.", FEATURES, repeated=False)


@dataclass(frozen=True)
class ProcessPlan(Plan):
    """The process to start."""

    todo: local.Plan


O = TypeVar("O", bound=TargetOptions)  # noqa: E741


class ProcessTarget(HeldTarget[O, ProcessPlan]):
    """What the targets share whose run is a process of this command."""

    hints: Mapping[str, str] = {}  # by kind of the outcome, before the job's own

    @abstractmethod
    def todo(self, params: Params, options: O, config: Settings, log: Path) -> local.Plan:
        """Return the process to start. Raises UsageError if this machine lacks something for it."""

    def plan(self, params: Params, options: O) -> ProcessPlan:
        """
        Return the exact command line.

        Raises:
            LocationError: INPUT is on this machine and cannot be read, or OUTPUT is and cannot be written.
            UsageError: this machine has no Spark, or no Java, for it.
        """
        config = settings()
        if not is_s3(params.input):
            check_input_folder(local_path(params.input))  # before weights are downloaded and the log is written to OUTPUT
        if not is_s3(params.output):
            check_output_folder(shown(params.output))
        if params.model not in WITHOUT_WEIGHTS and params.weights is None and (not options.dry_run or downloaded(params, config)):
            params = with_weights(params, config)
        todo = self.todo(params, options, config, run_files.log_path(params.output, params.run_id))
        data = {"command": todo.command, "environment": todo.environment, "log": str(todo.log), "isolated": todo.isolated}
        return ProcessPlan(params, data, todo.as_shell(), todo)

    def where(self, plan: ProcessPlan) -> Mapping[str, str]:
        return {"pid": str(os.getpid()), "log": str(plan.todo.log)}

    def carry_out(self, plan: ProcessPlan, run: SubmittedRun) -> SubmittedRun:
        outcome, log = carry_out(plan.todo, plan.params)
        return replace(run, where={"log": log}, outcome=outcome.to_json())

    def interrupt(self, run: SubmittedRun) -> None:
        """End the command of the run as SIGTERM does. Raises FruitsError if it belongs to another user."""
        pid = int(run.where["pid"])
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return  # it has ended meanwhile
        except PermissionError as error:
            raise FruitsError(f"process `{pid}` belongs to another user", "cancel the run as the user who started it") from error

    def outcome_of(self, run: SubmittedRun) -> Outcome:
        """Return how a run ended: as its command saved it, else as the job left it in OUTPUT."""
        with suppress(RecordError, FruitsError):
            if run.outcome is None:
                return Outcome.from_json(run_files.read(join(run.output, "runs", run.run_id, "outcome.json"), session_for(run.output)))
        return super().outcome_of(run)

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """Return what the run published; it has ended."""
        return Ended(published(run.output, Outcome.from_json(str(run.outcome)), run.where["log"], settings(), self.hints))

    def logs(self, run: SubmittedRun, follow: bool, stderr: bool, tell: Tell) -> Iterator[LogLine]:
        """
        Yield the lines of job.log.

        Raises:
            UsageError: `stderr` is asked for alone; the log of a process has both.
        """
        if stderr:
            raise UsageError(f"`--stderr` cannot be used with a run on {self.title}", "remove it: job.log has all lines")
        state = settings().state
        alive = is_held(state, run.run_id)
        file = Path(run.where["log"])
        if not alive and not file.is_file():
            if is_s3(run.where["log"]):
                content = run_files.read(run.where["log"], run_files.session())
                yield from map(LogLine, content.decode("utf-8", "replace").splitlines())
            return
        yield from map(LogLine, _lines(file, (lambda: is_held(state, run.run_id)) if follow else bool))


def _lines(log: Path, more: Callable[[], bool]) -> Iterator[str]:
    """Yield the lines of `log`, those that are still written too for as long as `more()` is true."""
    file = log
    still, hint = f"the log `{log}` has not ended", "run the same command again: the run does not wait for it"
    for _ in every(POLL_SECONDS, FOLLOW_SECONDS, still, hint):
        file = local.growing(log)
        if file.is_file() or not more():
            break
    if not file.is_file():
        return
    with open(file, encoding="utf-8", errors="replace") as lines:
        kept = ""
        for _ in every(POLL_SECONDS, FOLLOW_SECONDS, still, hint):
            last = not more()  # asked before it is read: what is written until then is read
            while line := lines.readline():
                kept += line
                if kept.endswith("\n"):
                    yield kept.rstrip("\n")
                    kept = ""
            if last:
                break
        if kept:
            yield kept
