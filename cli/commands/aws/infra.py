"""`fruitsctl infra`: what the account needs, planned, made, shown, removed; and the IAM policies for who does it."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from cli.aws.regions import PARIS, refuse_outside_eu
from cli.errors import FruitsError, UsageError
from cli.settings.config import settings
from cli.ui.choices import Architecture
from cli.ui.examples import examples
from cli.ui.output import emit, say
from job.contract.records import plural_noun

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What runs need in the AWS account: made, shown, removed.")


class Who(StrEnum):
    operator = "operator"
    deployer = "deployer"


Project = Annotated[str | None, typer.Option(metavar="NAME", help="Begins every name, and is the tag. [default: fruits.toml, fruitsctl]")]
Region = Annotated[str | None, typer.Option(help=f"In the European Union. [default: AWS_REGION, fruits.toml, the profile, {PARIS}]")]
OwnKey = Annotated[bool, typer.Option("--own-key", help="Encrypt with a KMS key of the account ($1 a month); stays so.")]
LogDays = Annotated[int | None, typer.Option(help="Days that logs are kept, one of CloudWatch's numbers. [default: as it is, at first 30]")]
Vpc = Annotated[
    bool | None, typer.Option("--vpc/--no-vpc", help="Workers in a private network; its endpoint for logs costs about $8 a month.")
]
MaxVcpu = Annotated[int | None, typer.Option(min=4, help="Most that all workers have together. [default: as it is, at first 16]")]
Arch = Annotated[Architecture | None, typer.Option("--architecture", help="Of the image. [default: as it is, at first amd64]")]
Image = Annotated[str | None, typer.Option(metavar="URI@DIGEST", help="[default: the one pushed last from here, or the present one]")]
Interactive = Annotated[
    bool | None, typer.Option("--interactive/--no-interactive", help="Let notebooks of EMR Studio attach to the application.")
]
BudgetUsd = Annotated[int | None, typer.Option(help="Alarm at 80 % of so much EMR a month. [default: as it is, at first 20]", min=1)]
BudgetEmail = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Who gets the alarm; AWS keeps the address in us-east-1.")]
Schedule = Annotated[
    str | None,
    typer.Option(metavar="EXPRESSION", help="Start a run at these times, as `run --serverless` does: cron(…), rate(…) or at(…)."),
]
NoSchedule = Annotated[bool, typer.Option("--no-schedule", help="Remove the schedule; without either it stays.")]
Timezone = Annotated[str | None, typer.Option(metavar="ZONE", help="Of the schedule. [default: as it is, at first Europe/Paris]")]
AlarmEmail = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Who gets an e-mail when a run fails.")]
NoAlarm = Annotated[bool, typer.Option("--no-alarm", help="Remove that alarm; without either it stays.")]
Role = Annotated[str | None, typer.Option("--deployer", metavar="ARN", help="Role that CloudFormation acts as: `infra policy deployer`.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]

SERVICE_WORDS = {"amd64": "X86_64", "arm64": "ARM64"}  # architectures of EMR Serverless
WORDS = {"Add": "make", "Modify": "change", "Remove": "remove"}
NO_APPLICATION = "The application that runs the jobs is not included yet: push an image first with `fruitsctl image push`."


def options_of(command: Callable[..., None], without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a function that takes them by `**` the options of `command`: Typer reads them from its signature."""
    signature = inspect.signature(command, eval_str=True)
    kept = [option for option in signature.parameters.values() if option.name != without]

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        function.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        function.__annotations__ = {option.name: option.annotation for option in kept}
        return function

    return decorated


def up(
    project: Project = None,
    region: Region = None,
    own_key: OwnKey = False,
    log_days: LogDays = None,
    vpc: Vpc = None,
    max_vcpu: MaxVcpu = None,
    architecture: Arch = None,
    image: Image = None,
    interactive: Interactive = None,
    budget_usd: BudgetUsd = None,
    budget_email: BudgetEmail = None,
    schedule: Schedule = None,
    no_schedule: NoSchedule = False,
    timezone: Timezone = None,
    alarm_email: AlarmEmail = None,
    no_alarm: NoAlarm = False,
    deployer: Role = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `infra plan`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create or update the stacks. Run it again to resume after an interruption."""
    name, where = _scope(project, region)
    from cli.aws.session import aws_session
    from cli.container.ecr import checked_region
    from cli.infra import deploy
    from cli.infra import schedule as scheduling
    from cli.targets import scheduled

    if image:
        checked_region(image)
    wanted = deploy.InfraConfig(
        project=name,
        own_key=own_key or None,
        log_days=log_days,
        vpc=vpc,
        max_vcpu=max_vcpu,
        architecture=SERVICE_WORDS[architecture] if architecture else None,
        image=image,
        interactive=interactive,
        budget_usd=budget_usd,
        budget_email=budget_email,
        schedule=_wish(schedule, no_schedule, "schedule"),
        timezone=timezone,
        alarm_email=_wish(alarm_email, no_alarm, "alarm-email"),
        role_arn=deployer,
    )
    scheduling.check(wanted)
    if wanted.schedule:
        scheduled.check_scope(name, where)
    session, request = aws_session(where), partial(scheduled.request, say)
    if dry_run:
        changes = deploy.plan(session, where, wanted) | scheduling.plan(session, where, wanted, request)
    else:
        changes = deploy.up(session, where, wanted, say) | scheduling.up(session, where, wanted, request, say)
    lines = [
        f"{stack}: {'replace' if change.replaced else WORDS[change.action]} {change.resource} ({change.kind})"
        for stack, found in changes.items()
        for change in found
    ]
    text = "\n".join(lines) or ("nothing would change" if dry_run else "nothing to change")
    application = f"{name}-app" in changes
    data = {"stacks": {stack: [asdict(change) for change in found] for stack, found in changes.items()}, "application": application}
    emit(data, text if application else f"{text}\n{NO_APPLICATION}", as_json)


@app.command(epilog=examples("infra plan"))
@options_of(up, without="dry_run")
def plan(**options: Any) -> None:
    """Say what `infra up` would change; nothing is changed.

    These are CloudFormation's own change sets.
    """
    up(**options, dry_run=True)


app.command(epilog=examples("infra up"))(up)


@app.command(epilog=examples("infra status"))
def status(project: Project = None, region: Region = None, as_json: AsJson = False) -> None:
    """Say what is there."""
    name, where = _scope(project, region)
    from cli.aws.errors import client
    from cli.aws.session import aws_session
    from cli.infra import deploy, stacks

    cloudformation = client(aws_session(where), "cloudformation", where)
    found = {f"{name}-{stack}": stacks.describe(cloudformation, f"{name}-{stack}") for stack in deploy.STACKS}
    states = {stack: there["StackStatus"] if there else None for stack, there in found.items()}
    values = {key: value for there in found.values() for key, value in stacks.outputs(there).items() if value}
    image = stacks.parameters(found[f"{name}-app"]).get("Image")
    values |= {"Image": image} if image else {}
    lines = [f"{stack:<24}{state or 'not created'}" for stack, state in states.items()] + [f"{key:<24}{val}" for key, val in values.items()]
    emit({"region": where, "stacks": states, "outputs": values}, "\n".join(lines), as_json)


@app.command(epilog=examples("infra down"))
def down(
    project: Project = None,
    region: Region = None,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep the bucket with photos and results, and its key.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; required without a terminal.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel runs and delete everything, photos and results too.

    Then check that all is gone.
    """
    name, where = _scope(project, region)
    from cli.aws import emr_serverless as application
    from cli.aws.errors import client
    from cli.aws.session import aws_session
    from cli.infra import deploy, stacks, teardown

    session = aws_session(where)
    cloudformation = client(session, "cloudformation", where)
    kept = f"{name}-data" if keep_data else None
    going = {
        stack: {resource.logical: resource.physical for resource in stacks.resources(cloudformation, stack)}
        for stack in (f"{name}-{part}" for part in reversed(deploy.STACKS))
        if stack != kept
    }
    if dry_run:
        lines = [f"{stack}: remove {resource} ({identity})" for stack, made in going.items() for resource, identity in made.items()]
        emit({"remove": going}, "\n".join(lines) or "nothing to remove", as_json)
        return
    bucket = going.get(f"{name}-data", {}).get("Bucket")
    if not yes and (bucket or any(going.values()) or application.find(client(session, "emr-serverless", where), name)):
        _confirm(name, bucket)
    teardown.down(session, where, name, keep_data, say)
    if keep_data:
        emit({"removed": going, "kept": kept}, "the data stack is kept", as_json)
        return
    left = teardown.list_remaining(session, where, name)
    if left:
        raise FruitsError(
            f"`{len(left)}` {plural_noun(len(left), 'resources')} still there: {', '.join(left)}",
            "run `fruitsctl infra down` again, or delete them by hand",
        )
    emit({"removed": going, "left": left}, "all resources are removed", as_json)


@app.command(epilog=examples("infra policy"))
def policy(
    who: Annotated[
        Who, typer.Argument(metavar="ROLE", help="operator: who uses fruitsctl. deployer: the role that CloudFormation acts as.")
    ],
    project: Project = None,
    region: Region = None,
    account: Annotated[str | None, typer.Option(metavar="NUMBER", help="[default: of your credentials]")] = None,
    own_key: OwnKey = False,
    vpc: Annotated[bool, typer.Option("--vpc", help="With the private network.")] = False,
    budget: Annotated[bool, typer.Option("--budget", help="With the budget.")] = False,
    schedule: Annotated[bool, typer.Option("--schedule", help="With the schedule.")] = False,
    alarm: Annotated[bool, typer.Option("--alarm", help="With the alarm.")] = False,
) -> None:
    """Print an IAM policy as JSON: all that is called, no more."""
    for option, given in {"--vpc": vpc, "--budget": budget, "--schedule": schedule}.items():
        if given and who is Who.operator:
            raise UsageError(f"`{option}` cannot be used with `operator`", "remove it: it belongs to `deployer`")
    if account is not None and not re.fullmatch(r"\d{12}", account):
        raise UsageError(f"`{account}` is not the number of an account", "give its 12 digits, for example --account 111122223333")
    name, where = _scope(project, region)
    from cli.aws.errors import account_of
    from cli.aws.session import aws_session
    from cli.container.ecr import dns_suffix
    from cli.infra import policies

    partition = {"amazonaws.com": "aws", "amazonaws.eu": "aws-eusc"}[dns_suffix(where)]
    try:
        number = account or account_of(aws_session(where), where)
    except FruitsError as error:  # the policy is often printed for who has no access yet
        raise type(error)(str(error), f"add --account NUMBER, or {error.hint}", error.exit_code) from error
    scope = policies.Scope(partition, where, number, name, own_key, vpc, budget, schedule, alarm)
    statements = policies.operator(scope) if who is Who.operator else policies.deployer(scope)
    document = policies.document(statements)
    emit(document, json.dumps(document, indent=2), as_json=False)


def _scope(project: str | None, region: str | None) -> tuple[str, str]:
    """Name and Region, which the guard has seen before any client is made."""
    from cli.aws.session import region as region_of_settings

    where = region or region_of_settings()
    refuse_outside_eu(where)
    return project or settings().project, where


def _wish(value: str | None, removed: bool, flag: str) -> str | None:
    """
    Return the value of an option or, if it is to be removed, an empty text.

    Raises:
        UsageError: both are given, or the value is empty.
    """
    if removed and value is not None:
        raise UsageError(f"`--{flag}` cannot be used with `--no-{flag.split('-')[0]}`", "remove one of them")
    if value == "":
        raise UsageError(f"`--{flag}` is empty", f"use --no-{flag.split('-')[0]} to remove it")
    return "" if removed else value


def _confirm(project: str, bucket: str | None) -> None:
    """Ask for confirmation. Raise UsageError without a terminal, or if the answer is not the name of what is deleted."""
    what = f"bucket `{bucket}` with all photos and results" if bucket else f"the application, images and logs of project `{project}`"
    if not sys.stdin.isatty():
        raise UsageError(f"this deletes {what}", f"add --yes to confirm{', or --keep-data to keep it' if bucket else ''}")
    question = f"This deletes {what.replace('`', '')}. Type its name to continue"
    if typer.prompt(question, err=True) != (bucket or project):
        keep = "add --keep-data to keep the bucket" if bucket else "run the command again and type the name of the project"
        raise UsageError("the name does not match, nothing was removed", keep)
