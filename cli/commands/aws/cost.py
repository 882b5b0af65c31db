"""`fruitsctl cost`: what runs on EMR Serverless cost, by month or one by one, against the cluster that the notebook wants."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError, UsageError
from cli.settings.config import settings
from cli.targets.base import SubmittedRun, UnsupportedError
from cli.targets.registry import named
from cli.targets.runs.saved import load, saved
from cli.ui.output import emit, say
from job.contract.uris import from_text

if TYPE_CHECKING:
    from boto3.session import Session

    from cli.billing.costs import Cost
    from cli.billing.history import Month

CLUSTER = "notebook's cluster"  # 1 + 2 m5.xlarge on EMR, kept for the same time


def cost(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN_ID", help="One run. [default: a table of months]", show_default=False)
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="S3_URI", help="OUTPUT of the runs. [default: fruits.toml, or out/ in the stack's bucket]")
    ] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="The runs of this month, UTC.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Show the cost of runs by month: billed hours at list price.

    Workers only: requests, logs and storage are not in it. An OUTPUT keeps what its runs cost, also of runs that are no longer there.
    """
    from cli.aws.session import aws_session
    from cli.billing import history

    if run_id and month:
        raise UsageError("`RUN_ID` and `--month` cannot be combined", "remove one of them")
    if month and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"`{month}` is not a valid month", "write it as YYYY-MM, for example 2026-11")
    if run_id and (run := load(settings().state, run_id)):
        _refuse_without(run)
    session = aws_session()
    where = from_text(output or settings().output or _stack_output(session))
    found = history.load_costs(session, where)
    if _fill_in(where, {run.run_id for run in found if run.usd is not None}, run_id):
        found = history.load_costs(session, where)
    if run_id:
        one = next((run for run in found if run.run_id == run_id), None)
        if one is None:
            raise UsageError(f"no cost is stored for run `{run_id}` in {where}", f"run `fruitsctl status {run_id}` to see its state")
        emit(asdict(one) | {"usd_per_1000_images": one.usd_per_1000_images}, _one(one), as_json)
        return
    if month:
        found = [run for run in found if run.month == month]
    sums = history.months(found)
    data = {"output": where, "runs": [asdict(run) for run in found], "months": [asdict(one) for one in sums]}
    text = (_runs(found) if month else _months(sums)) if found else f"no run in {where} has a cost yet"
    emit(data, text + _notes(sums), as_json)


def _refuse_without(run: SubmittedRun) -> None:
    """Raise UnsupportedError if the target of `run` has no cost."""
    try:
        named(run.target).cost(run, say)
    except UnsupportedError:
        raise
    except FruitsError as error:  # it may be stored all the same
        say(f"note: the cost of `{run.run_id}` is not available: {error}")


def _fill_in(where: str, known: set[str], run_id: str | None) -> bool:
    """Store the cost of runs whose hours AWS had not reported before. Return whether there is a new one."""
    filled = False
    for run in (*saved(settings().state), *_of_the_schedule(known)):
        if run.job_run_id is None or run.output != where or run.run_id in known or run_id not in (None, run.run_id):
            continue
        try:
            filled |= named(run.target).cost(run, say) is not None
        except UnsupportedError:
            continue
        except FruitsError as error:
            say(f"note: the cost of `{run.run_id}` is not available: {error}")
    return filled


def _of_the_schedule(known: set[str]) -> list[SubmittedRun]:
    """Return the runs that the schedule started and whose cost nobody has stored; none if AWS refuses."""
    from cli.targets import scheduled

    try:
        return list(scheduled.runs(known))
    except FruitsError as error:
        say(f"note: the cost of scheduled runs is not available: {error}")
        return []


def _stack_output(session: Session) -> str:
    from cli.infra import deploy

    refuse_outside_eu(session.region_name)
    return f"s3://{deploy.deployed(session, session.region_name, settings().project).bucket}/out"


def _one(run: Cost) -> str:
    lines = [
        f"Run {run.run_id}: {run.state} after {run.seconds:,.0f} s",
        "",
        f"  workers             {_usd(run.usd)}{_used(run)}",
        f"  per 1,000 photos    {_usd(run.usd_per_1000_images)}" + (f"   ({run.embedded:,} embedded)" if run.embedded else ""),
        f"  requests and logs   {_usd(run.usd_requests)}   (estimate)",
        f"  {CLUSTER}  {_usd(run.usd_cluster)}   (1 + 2 m5.xlarge for the same time, estimate)",
        "",
        f"  prices of {run.prices['as_of']}: {run.prices['source']}{' (estimate)' if run.estimate else ''}",
    ]
    return "\n".join(lines)


def _used(run: Cost) -> str:
    if run.usd is None:
        return "   (AWS has not reported the hours yet)"
    return f"   ({run.vcpu_hours:.3f} vCPU-hours, {run.gb_hours:.3f} GB-hours{', estimate' if run.estimate else ''})"


def _months(sums: list[Month]) -> str:
    lines = [f"{'month':<9}{'runs':>5}{'embedded':>12}{'cost':>12}{'per 1,000':>12}{CLUSTER:>21}"]
    lines += [
        f"{one.month:<9}{one.runs:>5}{one.embedded:>12,}{_usd(one.usd):>12}{_usd(one.usd_per_1000_images):>12}{_usd(one.usd_cluster):>21}"
        for one in sums
    ]
    return "\n".join(lines)


def _runs(found: list[Cost]) -> str:
    lines = [f"{'run':<25}{'state':<11}{'embedded':>10}{'cost':>12}{'per 1,000':>12}{CLUSTER:>21}"]
    lines += [
        f"{run.run_id:<25}{run.state:<11}{_count(run.embedded):>10}{_usd(run.usd):>12}{_usd(run.usd_per_1000_images):>12}{_usd(run.usd_cluster):>21}"
        for run in found
    ]
    known = [run.usd for run in found if run.usd is not None]
    return "\n".join([*lines, f"{'total':<46}{_usd(sum(known) if known else None):>12}"])


def _notes(sums: list[Month]) -> str:
    unknown = sum(one.unknown for one in sums)
    notes = [f"\n\nThe totals leave out runs whose hours AWS has not reported yet: {unknown}"] if unknown else []
    if any(one.estimate for one in sums):
        notes.append("\n\nAn estimate: the AWS price list was not available for some of the runs")
    return "".join(notes)


def _usd(amount: float | None) -> str:
    """Format an amount; an unknown one is `unknown`, never 0."""
    return "unknown" if amount is None else f"${amount:,.4f}"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
