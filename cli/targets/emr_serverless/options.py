"""The options of `--serverless`."""

from __future__ import annotations

from dataclasses import dataclass

from cli.billing.sizing import WORKER
from cli.errors import UsageError
from cli.targets.emr.options import EmrOptions
from cli.targets.options import SIZE, TARGET, option

TIMEOUT_MINUTES = 180  # unless --timeout or --max-cost says otherwise; a run that is cut off continues when it is run again
LEAST_TIMEOUT_MINUTES, MOST_TIMEOUT_MINUTES = 5, 10_080  # that StartJobRun takes


@dataclass(frozen=True)
class ServerlessOptions(EmrOptions):
    """What --serverless takes."""

    max_cost: float | None = option(None, "refuse a run that could cost more.", SIZE, metavar="USD", min=0.01)
    executor_memory: int | None = option(
        None, f"memory of each executor, overhead included. [default: {WORKER.memory_gb}]", SIZE, metavar="GB", min=1
    )
    images: int | None = option(None, "number of photos, for --deadline. [default: those of the last run]", SIZE, min=1)
    deadline: float | None = option(None, "choose the number of executors that meets it.", SIZE, metavar="MINUTES")
    timeout: int | None = option(
        None,
        f"the service ends the run then. [default: {TIMEOUT_MINUTES}, less if --max-cost needs it]",
        SIZE,
        metavar="MINUTES",
        min=LEAST_TIMEOUT_MINUTES,
        max=MOST_TIMEOUT_MINUTES,
    )
    yes: bool = option(False, "create a missing application without asking.", TARGET, repeated=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images is not None and self.deadline is None:
            raise UsageError("`--images` is given without `--deadline`", "add --deadline MINUTES, or remove --images")
