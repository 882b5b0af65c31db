"""What every target has in common: its options, its plan, a run that was sent, its state, and the protocol that commands use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol, TypeVar

from cli.aws.run_state import RunState
from cli.errors import UsageError
from cli.targets.options import OUTPUT, declared, option
from job.contract.params import Params
from job.contract.records import Manifest, Outcome, Progress

Tell = Callable[[str], None]

INTERRUPTED = (130, 143)  # exit codes of a job after SIGINT and SIGTERM


class UnsupportedError(UsageError):
    """A target has no way to carry out a command."""


@dataclass(frozen=True)
class TargetOptions:
    """The options that every target takes; a target's own class adds those that no other target has."""

    dry_run: bool = option(False, "Show what the run would find and do; start and send nothing.", OUTPUT, repeated=False)
    as_json: bool = option(
        False, "Print the manifest as JSON, with --dry-run the command line or the request.", OUTPUT, flag="--json", repeated=False
    )

    def __post_init__(self) -> None:
        for one in declared(type(self)):
            value = getattr(self, one.name)
            if isinstance(value, float) and not isfinite(value):  # in no range, and above no limit: a guard would let it pass
                raise UsageError(f"`{value}` is not a valid value of `{one.flag}`", "give a finite number")


@dataclass(frozen=True)
class Plan:
    """What a target would start or send."""

    params: Params
    data: dict[str, Any]  # for --json
    text: str


@dataclass(frozen=True)
class SubmittedRun:
    """A run that was started or sent from this machine, or that a service has."""

    run_id: str
    target: str
    output: str  # URI
    sent_at: str  # ISO 8601, UTC
    where: Mapping[str, str] = field(default_factory=dict)  # what the target needs to find it: application and Region, log file, …
    request: Mapping[str, Any] = field(default_factory=dict)  # sent again as it is, it is the same run
    job_run_id: str | None = None  # the service's own; None: no service, or no answer yet
    outcome: str | None = None  # Outcome as JSON, of a run that was a process of its command and is over


@dataclass(frozen=True)
class RunStatus:
    """How far a run is, or how it ended."""

    state: RunState
    service_state: str  # as the service names it
    details: str = ""
    attempt: int = 1
    progress: Progress | None = None
    outcome: Outcome | None = None  # None: not over

    @classmethod
    def ended(cls, outcome: Outcome) -> RunStatus:
        """Return the status of a run that is over, where no service has one."""
        state = RunState.SUCCEEDED if outcome.code == 0 else RunState.CANCELLED if outcome.code in INTERRUPTED else RunState.FAILED
        return cls(state, state.name, outcome=outcome)


@dataclass(frozen=True)
class LogLine:
    text: str
    at_ms: int | None = None  # since 1970, UTC


@dataclass(frozen=True)
class Ended:
    """What a run came to, for the command that waited for it."""

    manifest: Manifest | None = None  # None: the run has printed its result itself
    code: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)  # joins the manifest in --json
    lines: tuple[str, ...] = ()  # after the summary


O = TypeVar("O", bound=TargetOptions)  # noqa: E741
P = TypeVar("P", bound=Plan)


class Target(Protocol[O, P]):
    """
    One place where a run can happen. What a target cannot do raises UnsupportedError and says so; the methods here are those answers.

    `submit` returns once the run is accepted, or, where the run is a process of this command, once it has ended.
    """

    name: str  # its option on the command line is `--<name>`; also `target` in fruits.toml
    title: str  # after "on": EMR Serverless
    help: str
    offered: bool  # named where a target is missing
    options: type[O]

    def places(self, source: str | None, output: str | None) -> tuple[str, str]:
        """Return INPUT and OUTPUT, with the target's own defaults. Raises UsageError if there are none."""
        if source is None or output is None:
            raise UsageError("no INPUT and OUTPUT given", "add both, or set them in fruits.toml with `fruitsctl init`")
        return source, output

    def prepare(self, options: O) -> None:
        """Create what a run needs and may be created, after the user agrees; nothing for most targets."""

    def plan(self, params: Params, options: O) -> P:
        """Return the exact request or command line; send nothing."""
        ...

    def dry_run(self, plan: P) -> tuple[Mapping[str, Any], str]:
        """Return what `--dry-run` prints: data for --json, and text."""
        return plan.data, plan.text

    def submit(self, plan: P, tell: Tell) -> SubmittedRun:
        """Start or send the run, and save it as a SubmittedRun first."""
        ...

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """Wait for the end. Raises FruitsError if the run failed, with the job's own exit code; KeyboardInterrupt detaches."""
        ...

    def resolve(self, run_id: str | None, tell: Tell) -> SubmittedRun | None:
        """Return a run that this machine has not saved, the newest without a name; None where no service knows it."""
        return None

    def describe(self, run: SubmittedRun, tell: Tell) -> RunStatus: ...

    def logs(self, run: SubmittedRun, follow: bool, stderr: bool, tell: Tell) -> Iterator[LogLine]: ...

    def cancel(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        """Cancel the run, and return its status once it has ended; one that has ended before is no error."""
        ...

    def ui(self, run: SubmittedRun, tell: Tell) -> str:
        """Return the address of the run's Spark UI."""
        raise unsupported("ui", self, "see its log with `fruitsctl logs`")

    def cost(self, run: SubmittedRun, tell: Tell) -> float | None:
        """Return USD of a run that is over, None if the bill is not there yet."""
        raise unsupported("cost", self, "only runs on EMR Serverless have a bill")


def unsupported(command: str, target: Target[Any, Any], hint: str) -> UnsupportedError:
    """Return the error of a command that a target has no way to carry out."""
    return UnsupportedError(f"`{command}` is not available for runs on {target.title}", hint)
