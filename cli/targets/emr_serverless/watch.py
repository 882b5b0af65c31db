"""A run that was sent, from the user's side: watched, left alone, summed up with its cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cli.errors import FruitsError
from cli.settings.config import Settings, settings
from cli.ui.output import Stages, emit, say
from job.contract.params import Params
from job.contract.records import Manifest, Outcome
from job.contract.uris import join

if TYPE_CHECKING:
    from cli.aws.clients import Clients
    from cli.billing.costs import Cost
    from cli.billing.prices import Prices
    from cli.targets.emr_serverless.runs import Sent


def watch(clients: Clients, sent: Sent, config: Settings, as_json: bool) -> None:
    """
    Follow to the end, then the summary. Ctrl-C only looks away.

    Raises:
        FruitsError: the run failed; with the job's own exit code.
    """
    from cli.targets.emr_serverless import follow

    try:
        with Stages() as stages:
            say(f"Spark UI: fruitsctl ui {sent.run_id}")
            ending = follow.follow(clients, sent, say, stages.show)
    except KeyboardInterrupt:
        detached(sent, as_json)
        return
    conclude(clients, sent, ending.job_run, ending.outcome, config, as_json)


def detached(sent: Sent, as_json: bool) -> None:
    names = {"run_id": sent.run_id, "job_run_id": sent.job_run_id, "application_id": sent.application_id, "region": sent.region}
    back = [f"fruitsctl {command} {sent.run_id}" for command in ("status", "logs -f", "cancel")]
    text = f"Detached from run {sent.run_id}, which continues.\n  follow   {back[0]}, {back[1]}\n  cancel   {back[2]}"
    emit(names | {"detached": True}, text, as_json)


def conclude(clients: Clients, sent: Sent, job_run: dict[str, Any], outcome: Outcome, config: Settings, as_json: bool) -> None:
    """Manifest and cost of a run that is over, shown and the cost kept beside the output."""
    from cli.targets.emr_serverless.follow import read
    from cli.ui.summary import summary

    content = read(clients, join(sent.output, "runs", sent.run_id, "manifest.json")) if outcome.code == 0 else None
    manifest = Manifest.from_json(content) if content else None
    cost = keep_cost(clients, sent, job_run, manifest, config)
    if outcome.code or manifest is None:
        if cost and cost.usd is not None:
            say(f"It cost ${cost.usd:.4f}")
        raise FruitsError(outcome.message or "the run wrote no manifest", outcome.hint, outcome.code or 1)
    data = json.loads(manifest.to_json()) | {"cost": json.loads(cost.to_json()) if cost else None}
    params = Params.from_manifest({"output": sent.output, "run_id": sent.run_id, **manifest.params})
    usd = f"${cost.usd:.4f}" if cost and cost.usd is not None else f"not available yet, see fruitsctl status {sent.run_id}"
    emit(data, f"{summary(manifest, params, sent.again)}\n\nCost of the workers: {usd}", as_json)


def keep_cost(clients: Clients, sent: Sent, job_run: dict[str, Any], manifest: Manifest | None, config: Settings) -> Cost | None:
    """Beside the output, once AWS has said what it bills; None, with a note, if it could not be kept."""
    from cli.billing import history
    from cli.billing.costs import cost_record
    from cli.targets.emr_serverless.follow import settled

    try:
        job_run = settled(clients, sent, job_run)
        application = _application_of(clients, sent)
        cost = cost_record(job_run, prices_of(clients, application, config), manifest.counts if manifest else None)
        history.save_cost(clients.session, sent.output, cost)
    except FruitsError as error:
        say(f"note: cannot store the cost: {error}")
        return None
    except KeyboardInterrupt:  # the run is over, and how it ended is what the user is told
        say(f"note: the cost was not waited for: fruitsctl status {sent.run_id}")
        return None
    return cost


def _application_of(clients: Clients, sent: Sent) -> dict[str, Any]:
    from cli.targets.emr_serverless import application as applications

    return applications.get(clients, sent.application_id)


def prices_of(clients: Clients, application: dict[str, Any], config: Settings) -> Prices:
    from cli.billing.prices import prices

    return prices(clients.session, clients.region, application.get("architecture", "X86_64"), config.cache)


def cost_of(clients: Clients, sent: Sent, job_run: dict[str, Any]) -> float | None:
    """USD of a run that is over, stored in OUTPUT if it was not yet, also after `--detach`. None: not known yet."""
    import json

    from cli.billing.history import cost_uri
    from cli.targets.emr_serverless.follow import read

    kept = read(clients, cost_uri(sent.output, sent.run_id))
    usd: float | None = json.loads(kept)["usd"] if kept else None
    if usd is None and "billedResourceUtilization" in job_run:
        content = read(clients, join(sent.output, "runs", sent.run_id, "manifest.json"))
        cost = keep_cost(clients, sent, job_run, Manifest.from_json(content) if content else None, settings())
        usd = cost.usd if cost else None
    return usd
