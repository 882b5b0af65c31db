"""Follow a run on EMR Serverless, show its progress and save its cost."""

from __future__ import annotations

import json
from typing import Any

from cli.aws.clients import Clients
from cli.aws.s3 import read_if_there
from cli.billing import history
from cli.billing.costs import Cost, cost_record
from cli.billing.prices import Prices, prices
from cli.errors import FruitsError
from cli.settings.config import Settings, settings
from cli.targets.base import Ended, SubmittedRun, Tell
from cli.targets.emr.run_files import read_manifest
from cli.targets.emr_serverless import application as applications
from cli.targets.emr_serverless import follow
from cli.ui.output import Stages, say
from job.contract.records import Manifest, Outcome


def watch(clients: Clients, run: SubmittedRun, config: Settings, tell: Tell) -> Ended:
    """
    Follow a run to its end. Ctrl-C detaches; the run continues.

    Raises:
        FruitsError: the run failed; with the job's own exit code.
    """
    with Stages() as stages:
        tell(f"Spark UI: fruitsctl ui {run.run_id}")
        ending = follow.follow(clients, run, tell, stages.show)
    return result_of(clients, run, ending.job_run, ending.outcome, config)


def result_of(clients: Clients, run: SubmittedRun, job_run: dict[str, Any], outcome: Outcome, config: Settings) -> Ended:
    """Return manifest and cost of a run that is over, and store the cost beside OUTPUT. Raises FruitsError if it failed."""
    manifest = read_manifest(clients, run.output, run.run_id) if outcome.code == 0 else None
    cost = save_billed_cost(clients, run, job_run, manifest, config)
    if outcome.code or manifest is None:
        if cost and cost.usd is not None:
            say(f"It cost ${cost.usd:.4f}")
        raise FruitsError(outcome.message or "the run wrote no manifest", outcome.hint, outcome.code or 1)
    usd = f"${cost.usd:.4f}" if cost and cost.usd is not None else f"not available yet, see fruitsctl status {run.run_id}"
    return Ended(manifest, data={"cost": json.loads(cost.to_json()) if cost else None}, lines=(f"Cost of the workers: {usd}",))


def save_billed_cost(
    clients: Clients, run: SubmittedRun, job_run: dict[str, Any], manifest: Manifest | None, config: Settings
) -> Cost | None:
    """Save the cost beside the output once it is billed; None, with a note, if it cannot be saved."""
    try:
        job_run = follow.wait_until_billed(clients, run, job_run)
        application = applications.get(clients, run.where["application_id"])
        cost = cost_record(job_run, prices_of(clients, application, config), manifest.counts if manifest else None)
        history.save_cost(clients.session, run.output, cost)
    except FruitsError as error:
        say(f"note: cannot store the cost: {error}")
        return None
    except KeyboardInterrupt:  # the run is over, and how it ended is what the user is told
        say(f"note: the cost was not waited for: fruitsctl status {run.run_id}")
        return None
    return cost


def prices_of(clients: Clients, application: dict[str, Any], config: Settings) -> Prices:
    return prices(clients.session, clients.region, application.get("architecture", "X86_64"), config.cache)


def stored_cost(clients: Clients, run: SubmittedRun) -> float | None:
    """Return USD of a run as it is stored beside OUTPUT."""
    kept = read_if_there(clients("s3"), history.cost_uri(run.output, run.run_id))
    usd: float | None = json.loads(kept)["usd"] if kept else None
    return usd


def store_cost(clients: Clients, run: SubmittedRun, job_run: dict[str, Any]) -> float | None:
    """Return USD of a run that is over, and store it beside OUTPUT. None: AWS has not reported it."""
    if "billedResourceUtilization" not in job_run:
        return None
    cost = save_billed_cost(clients, run, job_run, read_manifest(clients, run.output, run.run_id), settings())
    return cost.usd if cost else None
