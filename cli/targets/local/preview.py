"""`fruitsctl run --local --dry-run`: what the run would find and do, in words; starts no Spark and writes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from cli.errors import FruitsError
from cli.targets.local import process as local
from job.contract.params import Params
from job.contract.records import Outcome, Preview, counted, from_line
from job.contract.uris import shown

MODULE = "job.stages.preview"


def preview(todo: local.Plan, environment: Mapping[str, str]) -> Preview:
    """
    Ask the job's own code about INPUT and OUTPUT, in a process like that of the run `todo`.

    Raises:
        FruitsError: as the run itself would end, if INPUT or OUTPUT cannot be read.
    """
    python, _, _, *arguments = todo.command
    command = [python, "-m", MODULE, *arguments]
    variables = todo.process_environment(environment)
    done = subprocess.run(command, env=variables, capture_output=True, encoding="utf-8", errors="replace", check=False)
    answer = next((record for line in done.stdout.splitlines() if (record := from_line(line))), None)
    if isinstance(answer, Preview):
        return answer
    if isinstance(answer, Outcome):
        raise FruitsError(answer.message, answer.hint, answer.code)
    reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    raise FruitsError(f"the dry run failed: {reason[0]}", "run `fruitsctl doctor`", done.returncode or 1)


def in_words(found: Preview, params: Params, log: str) -> str:
    """Return what a person wants to know before a run."""
    others = sum(found.ignored.values())
    ignored = f", {counted(others, 'other files')} ignored" if others else ""
    problems = f", {found.problems:,} that cannot be listed" if found.problems else ""
    lines = [
        "Dry run: nothing is started and nothing is written",
        "",
        f"  INPUT       {shown(params.input)}: {counted(found.listed, 'photos')} of {counted(found.labels, 'labels')}{ignored}{problems}",
    ]
    if found.beyond_limit:
        lines.append(f"  limit       {counted(found.listed - found.beyond_limit, 'photos')} taken, {found.beyond_limit:,} left out")
    known = f", {found.known:,} embedded before" if found.known else ""
    undecoded = f", {found.undecoded:,} could not be decoded before" if found.undecoded else ""
    runs = counted(found.runs, "finished runs") if found.runs else "no finished run yet"
    lines += [
        f"  new         {counted(found.new, 'photos')} to embed{known}{undecoded}",
        f"  model       {params.model}",
        f"  OUTPUT      {shown(params.output)}: {runs}",
        f"  results     {shown(params.output)}/runs/RUN_ID/ and {shown(params.output)}/features/",
        f"  log         {log.replace(params.run_id, 'RUN_ID')}",
        "",
        "Add --json for the exact command line.",
    ]
    return "\n".join(lines)
