"""Target `--local`: the job on this machine's Python and Spark, without Docker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.settings.config import Settings, environment, settings
from cli.targets.base import Ended, SubmittedRun, Tell
from cli.targets.local import process as local
from cli.targets.local.process_target import ProcessOptions, ProcessPlan, ProcessTarget
from cli.targets.local.run import credentials_for, make_archive, merged, plan_local, session_for
from job.contract.params import Params


@dataclass(frozen=True)
class LocalOptions(ProcessOptions):
    """What --local takes."""


class Local(ProcessTarget[LocalOptions]):
    """This machine."""

    name, title, help = "local", "this machine", "Run on this machine, without Docker."
    offered, options = True, LocalOptions

    def todo(self, params: Params, options: LocalOptions, config: Settings, log: Path) -> local.Plan:
        return plan_local(params, config, log)

    def dry_run(self, plan: ProcessPlan) -> tuple[Mapping[str, Any], str]:
        """
        Return what the run would find and do.

        Raises:
            FruitsError: INPUT or OUTPUT cannot be read.
        """
        from cli.targets.local.preview import in_words, preview

        with credentials_for(session_for(plan.params.input, plan.params.output)) as extra:
            found = preview(plan.todo, merged(environment(), extra))
        data = {**plan.data, "input": plan.params.input, "output": plan.params.output, "preview": asdict(found)}
        return data, in_words(found, plan.params, str(plan.todo.log))

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """Return what the run published, and let the next one start faster."""
        ended = super().follow(run, tell)
        make_archive(settings())
        return ended
