"""What the schedule of the account sends: the request of `fruitsctl run --serverless`, with a run id for each time; and its runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from cli.aws import errors as aws
from cli.aws.clients import connect
from cli.aws.session import region as region_of_settings
from cli.billing.costs import round_up_cents
from cli.errors import UsageError
from cli.infra import stacks
from cli.settings.config import settings
from cli.targets.base import SubmittedRun, Tell
from cli.targets.emr_serverless import job_runs
from cli.targets.emr_serverless.plan import scheduled
from cli.targets.registry import named, options_of
from cli.targets.runs.launch import new_run_id
from job.contract.params import Params
from job.contract.uris import from_text


def check_scope(project: str, region: str) -> None:
    """Raise UsageError if runs, which take their project and Region from the settings, would not be sent to these."""
    for option, value, setting, variable in (
        ("--project", project, settings().project, "FRUITS_PROJECT"),
        ("--region", region, region_of_settings(), "AWS_REGION"),
    ):
        if value != setting:
            raise UsageError(f"`{option} {value}` cannot be used with `--schedule`: runs use `{setting}`", f"set {variable} instead")


def runs(known: Collection[str]) -> Iterator[SubmittedRun]:
    """
    Yield the runs of the schedule that have ended, without the run ids in `known`. Nothing without an application.

    Raises:
        FruitsError: AWS refuses.
    """
    clients = connect()
    cloudformation = aws.client(clients.session, "cloudformation", clients.region)
    application = stacks.outputs(stacks.describe(cloudformation, f"{settings().project}-app")).get("ApplicationId")
    if application:
        yield from job_runs.ended_of_schedules(clients, application, known)


def request(tell: Tell) -> dict[str, Any]:
    """
    Return what `fruitsctl run --serverless` would send now, as the input of a schedule, and tell the most that each run costs.

    INPUT, OUTPUT and the options of the run are those of fruits.toml.

    Raises:
        FruitsError: it could not be sent.
    """
    config, target = settings(), named("serverless")
    source, output = (from_text(place) for place in target.places(config.input, config.output))
    params = Params(source, output, new_run_id(), cache=str(config.cache), target=target.name)
    plan = target.plan(params, options_of(target, {}, (), config))
    worst = target.dry_run(plan)[0]["worst_case_usd"]
    tell(f"schedule: the workers of each run cost at most ${round_up_cents(worst)}")
    shape = plan.clients("emr-serverless").meta.service_model.operation_model("StartJobRun").input_shape
    return scheduled(plan.data, shape)
