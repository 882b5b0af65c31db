"""`fruitsctl run --serverless`: what is deployed, the fleet, its worst case; then the plan, shown or sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.billing.sizing import DEFAULT_EXECUTORS, WORKER
from cli.errors import UsageError
from cli.settings.config import Settings
from cli.settings.release import RELEASE
from cli.targets.emr_serverless.plan import LEAST_TIMEOUT_MINUTES, MOST_TIMEOUT_MINUTES
from cli.targets.emr_serverless.watch import detached, prices_of, watch
from cli.ui.output import emit, say
from job.contract.params import Params
from job.contract.records import Manifest, counted
from job.contract.uris import join

if TYPE_CHECKING:
    from cli.aws.clients import Clients
    from cli.billing.prices import Prices
    from cli.billing.sizing import Fleet
    from cli.infra.deploy import Deployed

TIMEOUT_MINUTES = 180  # unless --timeout or --max-cost says otherwise; a run that is cut off continues when it is run again

# For the signature of `run`, beside those of the other targets.
MaxCost = Annotated[float | None, typer.Option(metavar="USD", min=0.01, help="With --serverless: refuse a run that could cost more.")]
Executors = Annotated[
    int | None,
    typer.Option(min=1, help=f"With --serverless or --eks: maximum number. [default: {DEFAULT_EXECUTORS}, fewer if the quota is small]"),
]
ExecutorMemory = Annotated[
    int | None,
    typer.Option(metavar="GB", min=1, help=f"With --serverless: memory of each executor, overhead included. [default: {WORKER.memory_gb}]"),
]
Images = Annotated[int | None, typer.Option(min=1, help="With --serverless --deadline: number of photos. [default: those of the last run]")]
Deadline = Annotated[float | None, typer.Option(metavar="MINUTES", help="With --serverless: choose the number of executors that meets it.")]
Timeout = Annotated[
    int | None,
    typer.Option(
        metavar="MINUTES",
        min=LEAST_TIMEOUT_MINUTES,
        max=MOST_TIMEOUT_MINUTES,
        help=f"With --serverless: the service ends the run then. [default: {TIMEOUT_MINUTES}, less if --max-cost needs it]",
    ),
]
Attempts = Annotated[int, typer.Option(min=1, max=10, help="With --serverless or --eks: attempts of the service if the job fails.")]


# What the user who sends and follows a run must be allowed; `fruitsctl infra policy operator` has the resources.
NEEDS = (
    "cloudformation:DescribeStacks",
    "ecr:BatchGetImage",  # to give the application an image, its user must be allowed to read it
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "emr-serverless:CancelJobRun",
    "emr-serverless:GetApplication",
    "emr-serverless:GetJobRun",
    "emr-serverless:ListJobRuns",
    "emr-serverless:StartApplication",
    "emr-serverless:StartJobRun",
    "emr-serverless:StopApplication",
    "emr-serverless:TagResource",
    "emr-serverless:UpdateApplication",
    "iam:PassRole",
    "logs:DescribeLogStreams",
    "logs:FilterLogEvents",
    "pricing:GetProducts",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "servicequotas:GetServiceQuota",
)


@dataclass(frozen=True)
class Wishes:
    """What only --serverless knows."""

    detach: bool = False
    executors: int | None = None
    executor_memory_gb: int | None = None
    images: int | None = None
    deadline_minutes: float | None = None
    timeout_minutes: int | None = None
    attempts: int = 1
    max_cost: float | None = None
    yes: bool = False
    dry_run: bool = False
    as_json: bool = False

    @property
    def again(self) -> str:
        """The target's options, for the same command again."""
        values = {
            "--max-cost": self.max_cost,
            "--executors": self.executors,
            "--executor-memory": self.executor_memory_gb,
            "--images": self.images,
            "--deadline": self.deadline_minutes,
            "--timeout": self.timeout_minutes,
            "--attempts": self.attempts if self.attempts > 1 else None,
        }
        return " ".join(["--serverless", *(f"{name} {value:g}" for name, value in values.items() if value is not None)])


def connect(config: Settings) -> Clients:
    """Clients of the Region that everything is in. Raises RefusedError if that is outside the European Union."""
    from cli.aws.clients import Clients
    from cli.aws.session import aws_session

    session = aws_session()
    return Clients(session, session.region_name)


def run(make_params: Callable[[str, str], Params], source: str | None, target: str | None, config: Settings, wishes: Wishes) -> None:
    """
    `make_params` makes Params of INPUT and OUTPUT, which the stack's bucket has if nobody says otherwise.

    Raises:
        FruitsError: the run cannot be sent, or failed; with the job's own exit code.
    """
    from cli.aws.clients import retry_throttled
    from cli.infra import deploy
    from cli.targets.emr_serverless import application as applications
    from cli.targets.emr_serverless import plan as serverless
    from cli.targets.emr_serverless import submit
    from cli.targets.emr_serverless.runs import Sent

    clients = connect(config)
    deployed = retry_throttled(clients, lambda: deploy.deployed(clients.session, clients.region, config.project), say)
    params = make_params(source or f"s3://{deployed.bucket}/photos", target or f"s3://{deployed.bucket}/out")
    if deployed.application_id is None:
        deployed = with_application(clients, deployed, config, wishes)
    identifier = str(deployed.application_id)
    application = retry_throttled(clients, lambda: applications.get(clients, identifier), say)
    fleet = fleet_for(clients, application, params, wishes)
    prices = prices_of(clients, application, config)
    options = serverless.Options(config.project, timeout_for(fleet, prices, wishes), wishes.attempts)
    todo = serverless.plan(params, deployed, fleet, options)
    submit.check_places(clients, params.input, params.output)
    submit.check_role(deployed, params)
    if wishes.dry_run:
        show(todo.request, fleet, prices, options, wishes.as_json)
        return
    digest = retry_throttled(clients, lambda: prepare_image(clients, deployed, application, params.run_id, config), say)
    now = datetime.now(UTC).isoformat()
    sent = Sent(params.run_id, identifier, clients.region, params.output, todo.request, now, again=wishes.again)
    sent = submit.send(clients, config.state, sent, say)
    try:
        if digest:
            submit.verify_image(clients, sent, digest, say)
    except KeyboardInterrupt:
        wishes = replace(wishes, detach=True)
    if wishes.detach:
        detached(sent, wishes.as_json)
        return
    watch(clients, sent, config, wishes.as_json)


def with_application(clients: Clients, deployed: Deployed, config: Settings, wishes: Wishes) -> Deployed:
    """
    The application made now, from the image pushed last, if the user agrees.

    Raises:
        UsageError: nothing was pushed, or nobody agrees.
    """
    from cli.container.pushed import last_pushed
    from cli.infra import deploy

    pushed = last_pushed(config.state, deployed.repository_uri)
    if pushed is None:
        raise UsageError(
            "there is no application yet, and no image for it",
            "run `fruitsctl image build`, `fruitsctl image check` and `fruitsctl image push`",
        )
    otherwise = UsageError("there is no application yet", "run `fruitsctl infra up`, or add --yes")
    if wishes.dry_run or not (wishes.yes or sys.stdin.isatty()):
        raise otherwise
    if not wishes.yes and not typer.confirm(
        f"There is no application yet. Create it with image {pushed.image}? An idle application is free of charge", err=True
    ):
        raise otherwise
    return deploy.put_application(clients.session, clients.region, config.project, pushed.image, say)


def fleet_for(clients: Clients, application: dict[str, Any], params: Params, wishes: Wishes) -> Fleet:
    """
    Raises:
        UsageError: the wish cannot be met, or is over the quota.
    """
    from cli.billing import sizing
    from cli.targets.emr_serverless import submit

    images = wishes.images
    if images is None and wishes.deadline_minutes is not None:
        images = last_count(clients, params.output)
        images = min(images or params.limit, params.limit) if params.limit else images
    quota = submit.quota_vcpu(clients, application, say)
    memory = {"executor_memory_gb": wishes.executor_memory_gb} if wishes.executor_memory_gb else {}
    return sizing.fleet(wishes.executors, images, wishes.deadline_minutes, quota, **memory)


def last_count(clients: Clients, output: str) -> int | None:
    """Photos listed by the newest complete run of OUTPUT."""
    from cli.targets.emr_serverless.follow import read

    latest = read(clients, join(output, "latest.json"))
    manifest = read(clients, join(output, "runs", json.loads(latest)["run_id"], "manifest.json")) if latest else None
    return Manifest.from_json(manifest).counts["listed"] if manifest else None


def timeout_for(fleet: Fleet, prices: Prices, wishes: Wishes) -> int:
    """
    Minutes; with --max-cost the worst case at most that.

    Raises:
        RefusedError: it would cost more.
    """
    from cli.billing import costs

    timeout = wishes.timeout_minutes or TIMEOUT_MINUTES
    if wishes.max_cost is None:
        return timeout
    if wishes.timeout_minutes is None:
        timeout = max(costs.LEAST_TIMEOUT_MINUTES, min(timeout, costs.longest_timeout(wishes.max_cost, fleet, prices, wishes.attempts)))
    costs.check_max_cost(wishes.max_cost, fleet, prices, wishes.attempts, timeout)
    return timeout


def prepare_image(clients: Clients, deployed: Deployed, application: dict[str, Any], run_id: str, config: Settings) -> str | None:
    """The digest that the run must have, on an application that is started with it; None if the application has no digest."""
    from cli.container.pushed import last_pushed
    from cli.targets.emr_serverless import application as applications

    applications.check(application, RELEASE)
    pushed = last_pushed(config.state, deployed.repository_uri)
    if pushed:
        applications.put_image(clients, application, pushed.image, run_id, say)
    started = applications.start(clients, application["applicationId"], say)
    image = pushed.image if pushed else started.get("imageConfiguration", {}).get("imageUri", "")
    return image.partition("@")[2] or None


def show(request: dict[str, Any], fleet: Fleet, prices: Prices, options: Any, as_json: bool) -> None:
    """The request as it would be sent, its worst case, and what its sender must be allowed."""
    from cli.billing.costs import fleet_hourly_cost, round_up_cents, worst_case

    worst = worst_case(fleet, prices, options.attempts, options.timeout_minutes)
    data = {"request": request, "worst_case_usd": worst, "estimate": prices.estimate, "needs": list(NEEDS)}
    lines = [
        json.dumps(request, indent=2),
        "",
        f"worst case  ${round_up_cents(worst)}: {options.attempts} x {counted(options.timeout_minutes, 'minutes')} of {fleet.vcpu} vCPUs at"
        f" ${fleet_hourly_cost(fleet, prices):.2f} an hour, prices of {prices.as_of}{' (estimate)' if prices.estimate else ''}",
        f"needs       {', '.join(NEEDS)}",
        "nothing was sent",
    ]
    emit(data, "\n".join(lines), as_json)
