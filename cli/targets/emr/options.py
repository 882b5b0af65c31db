"""The options that `--serverless` and `--eks` share."""

from __future__ import annotations

from dataclasses import dataclass

from cli.billing.sizing import DEFAULT_EXECUTORS
from cli.targets.base import TargetOptions
from cli.targets.options import SIZE, TARGET, option


@dataclass(frozen=True)
class EmrOptions(TargetOptions):
    """What both services of EMR take."""

    detach: bool = option(False, "send the run and do not wait.", TARGET, repeated=False)
    executors: int | None = option(None, f"maximum number. [default: {DEFAULT_EXECUTORS}, fewer if the quota is small]", SIZE, min=1)
    attempts: int = option(1, "attempts of the service if the job fails.", SIZE, min=1, max=10)
