"""
Deploy the CloudFormation stacks of the account, and read what is deployed. `teardown.down` removes them.

`data` holds the bucket and its key, and is kept by `--keep-data`; `base` holds registry, role, log group and network; `app` the
application, once there is an image; `budget` the alarm, if somebody is to get one; `schedule.py` has those of the schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from cli.aws import emr_serverless as application
from cli.aws import errors as aws
from cli.aws.emr_serverless import TAG
from cli.container.pushed import last_pushed
from cli.errors import FruitsError, UsageError
from cli.infra import presence, stacks
from cli.infra.stacks import Change, Stack
from cli.settings.config import settings
from cli.settings.release import RELEASE

STACKS = ("data", "base", "app", "budget", "schedule", "alarm")
GB_PER_VCPU = (
    8  # of memory, the most that any worker has: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html
)
DISK_GB_PER_VCPU = 50  # 200 GB, the most of a standard disk, on workers of 4 vCPU
# Elsewhere in the Union CloudFormation does not know the type, and refuses even a template that does not use it.
BUDGET_REGIONS = {"eu-west-1", "eu-west-3", "eu-central-1", "eusc-de-east-1"}


@dataclass(frozen=True)
class InfraConfig:
    """What the user wants of the infrastructure. None: as it is, and in a new stack as its template has it."""

    project: str = "fruitsctl"
    own_key: bool | None = None  # cannot be undone
    log_days: int | None = None
    vpc: bool | None = None
    max_vcpu: int | None = None  # of all workers of the application together
    architecture: str | None = None  # X86_64 or ARM64
    image: str | None = None  # `<repository>@sha256:…`; None: the one pushed last from here, or the present one
    interactive: bool | None = None  # notebooks of EMR Studio may attach
    budget_usd: int | None = None
    budget_email: str | None = None
    schedule: str | None = None  # expression of EventBridge Scheduler; an empty text removes it, as that of alarm_email
    timezone: str | None = None  # of the schedule
    alarm_email: str | None = None  # who hears of a run that failed
    role_arn: str | None = None  # role that CloudFormation assumes; None: the caller


@dataclass(frozen=True)
class Deployed:
    """What there is. Without an application `application_id` and `image` are None."""

    region: str
    bucket: str
    repository_uri: str
    role_arn: str
    log_group: str
    key_arn: str | None
    application_id: str | None
    image: str | None  # `<repository>@sha256:…`, as the app stack has it


def deployed(session: Any, region: str, project: str) -> Deployed:
    """
    Return what is deployed.

    Raises:
        RefusedError: `region` is outside the European Union.
        UsageError: the stack with the bucket, or that with the registry, is missing.
        FruitsError: AWS refuses.
    """
    cloudformation = aws.client(session, "cloudformation", region)
    data, base, app = (stacks.describe(cloudformation, f"{project}-{name}") for name in ("data", "base", "app"))
    there = stacks.outputs(data) | stacks.outputs(base) | stacks.outputs(app)
    for name, value in (("data", "Bucket"), ("base", "RuntimeRoleArn")):
        if value not in there:
            raise UsageError(f"no complete stack `{project}-{name}` in {region}", "run `fruitsctl infra up`")
    identity = there.get("ApplicationId")
    return Deployed(
        region=region,
        bucket=there["Bucket"],
        repository_uri=there["RepositoryUri"],
        role_arn=there["RuntimeRoleArn"],
        log_group=there["LogGroup"],
        key_arn=there.get("KeyArn"),
        application_id=identity,
        image=stacks.parameters(app).get("Image") if identity else None,
    )


def plan(session: Any, region: str, config: InfraConfig) -> dict[str, list[Change]]:
    """
    Return the changes of each stack without making them.

    Values that are unknown before the bucket and the key exist have a placeholder.
    """
    cloudformation = aws.client(session, "cloudformation", region)
    config = _as_deployed(cloudformation, config)
    _check(session, cloudformation, region, config)
    data = stacks.outputs(stacks.describe(cloudformation, f"{config.project}-data"))
    key = data.get("KeyArn") or ("key" if config.own_key else "")
    planned = [_data_stack(config), _base_stack(config, data.get("Bucket", "bucket"), key)]
    base = stacks.outputs(stacks.describe(cloudformation, f"{config.project}-base"))
    image = _image(session, region, cloudformation, config, base["RepositoryUri"]) if "RepositoryUri" in base else None
    if image:
        planned.append(_app_stack(config, base, image))
    if _wants_budget(cloudformation, config):
        planned.append(_budget_stack(config))
    return {stack.name: stacks.plan(cloudformation, stack) for stack in planned}


def up(session: Any, region: str, config: InfraConfig, tell: Callable[[str], None]) -> dict[str, list[Change]]:
    """
    Deploy the stacks and return the changes of each; without the application while no image is known.

    An interrupted deployment continues when called again.

    Raises:
        RefusedError: `region` is outside the European Union, another process is changing a stack, or the application has to change and has
            active runs.
        UsageError: the configuration is not possible, or a bucket or a repository of that name exists already.
        FruitsError: AWS refuses, or a part was deleted by hand.
    """
    cloudformation = aws.client(session, "cloudformation", region)
    config = _as_deployed(cloudformation, config)
    _check(session, cloudformation, region, config)
    data = _data_stack(config)
    changed = {data.name: stacks.apply(cloudformation, data, tell)}
    there = stacks.outputs(stacks.describe(cloudformation, data.name))
    base = _base_stack(config, there["Bucket"], there.get("KeyArn", ""))
    changed[base.name] = stacks.apply(cloudformation, base, tell)
    _refuse_missing_parts(session, cloudformation, region, config.project)
    there = stacks.outputs(stacks.describe(cloudformation, base.name))
    image = _image(session, region, cloudformation, config, there["RepositoryUri"])
    if image:
        changed[f"{config.project}-app"] = _apply_app(session, region, cloudformation, _app_stack(config, there, image), tell)
    if _wants_budget(cloudformation, config):
        changed[f"{config.project}-budget"] = stacks.apply(cloudformation, _budget_stack(config), tell)
    return changed


def put_application(session: Any, region: str, project: str, image: str, tell: Callable[[str], None]) -> Deployed:
    """
    Create or update the application with `image` (`<repository>@sha256:…`). It is left stopped and starts with its next run.

    Raises:
        RefusedError: it has to change and has active runs, or another process is changing its stack.
        UsageError: there is no infrastructure.
        FruitsError: AWS refuses.
    """
    deployed(session, region, project)  # says what is missing
    cloudformation = aws.client(session, "cloudformation", region)
    base = stacks.outputs(stacks.describe(cloudformation, f"{project}-base"))
    config = _as_deployed(cloudformation, InfraConfig(project))
    _apply_app(session, region, cloudformation, _app_stack(config, base, image), tell)
    return deployed(session, region, project)


def _apply_app(session: Any, region: str, cloudformation: Any, stack: Stack, tell: Callable[[str], None]) -> list[Change]:
    emr = aws.client(session, "emr-serverless", region)
    identity = stacks.outputs(stacks.describe(cloudformation, stack.name)).get("ApplicationId")
    if identity and application.state(emr, identity) == "TERMINATED":
        tell(f"{stack.name}: its application was deleted by hand, recreating it")
        stacks.delete(cloudformation, stack.name, tell, lambda _: True)
        identity = None

    def at_rest() -> None:
        if identity:  # a started one takes few changes, and of this release no other image
            application.stop_application(emr, identity, cancel=False, tell=tell)

    return stacks.apply(cloudformation, stack, tell, at_rest)


def _check(session: Any, cloudformation: Any, region: str, config: InfraConfig) -> None:
    """Check what CloudFormation would find only after it has begun."""
    if config.budget_email and region not in BUDGET_REGIONS:
        raise UsageError(
            f"CloudFormation does not support budgets in `{region}`", "remove --budget-email and create the budget in the console"
        )
    data, base = (stacks.describe(cloudformation, f"{config.project}-{name}") for name in ("data", "base"))
    if config.own_key and stacks.outputs(base) and "KeyArn" not in stacks.outputs(data):
        raise UsageError(
            "the key of an existing repository cannot be changed",
            "run `fruitsctl infra down --keep-data`, then `fruitsctl infra up --own-key`",
        )
    if data is None:
        bucket = f"{config.project}-{aws.account_of(session, region)}-{region}"
        if presence.exists(session, region, "AWS::S3::Bucket", bucket):
            raise UsageError(
                f"the bucket `{bucket}` already exists and does not belong to this project", "set FRUITS_PROJECT to another name"
            )
    if base is None and presence.exists(session, region, "AWS::ECR::Repository", config.project):
        raise UsageError(
            f"the repository `{config.project}` already exists and does not belong to this project",
            f"set FRUITS_PROJECT, or run `aws ecr delete-repository --region {region} --repository-name {config.project} --force`",
        )
    _refuse_unused(session, cloudformation, region, config)


def _refuse_unused(session: Any, cloudformation: Any, region: str, config: InfraConfig) -> None:
    """Raise UsageError if an option has no effect, because there is no application or budget that it could change."""
    base = stacks.outputs(stacks.describe(cloudformation, f"{config.project}-base"))
    image = config.image or ("RepositoryUri" in base and _image(session, region, cloudformation, config, base["RepositoryUri"]))
    options = {"--max-vcpu": config.max_vcpu, "--architecture": config.architecture, "--interactive": config.interactive}
    options |= {"--schedule": config.schedule or None, "--alarm-email": config.alarm_email or None}
    unused = [option for option, value in options.items() if value is not None]
    if unused and not image:
        raise UsageError(
            f"`{unused[0]}` needs an application, and there is no image for it yet",
            f"run `fruitsctl infra up` without {unused[0]}, then `fruitsctl image push`, then `infra up` with it",
        )
    if config.budget_usd is not None and not _wants_budget(cloudformation, config):
        raise UsageError("`--budget-usd` is given without `--budget-email`", "add --budget-email ADDRESS")
    if config.timezone and not (config.schedule or stacks.describe(cloudformation, f"{config.project}-schedule")):
        raise UsageError("`--timezone` is given without `--schedule`", "add --schedule EXPRESSION")


def _refuse_missing_parts(session: Any, cloudformation: Any, region: str, project: str) -> None:
    """Raise FruitsError if a part of a stack was deleted by hand: CloudFormation does not check."""
    for name, command in (("data", "infra down"), ("base", "infra down --keep-data")):
        for found in stacks.resources(cloudformation, f"{project}-{name}"):
            if not presence.exists(session, region, found.kind, found.physical):
                raise FruitsError(
                    f"{found.kind} `{found.physical}` was deleted by hand", f"run `fruitsctl {command}`, then `fruitsctl infra up`"
                )


def _as_deployed(cloudformation: Any, config: InfraConfig) -> InfraConfig:
    """Return `config` with the role of CloudFormation from the stack that is there, so that `image push` need not repeat it."""
    base = stacks.describe(cloudformation, f"{config.project}-base") or {}
    return replace(config, role_arn=config.role_arn or base.get("RoleARN"))


def _image(session: Any, region: str, cloudformation: Any, config: InfraConfig, repository_uri: str) -> str | None:
    """Return the image pushed last from here, else that of the application: a run changes it without its stack."""
    pushed = last_pushed(settings().state, repository_uri)
    if config.image or pushed:
        return config.image or (pushed.image if pushed else None)
    app = stacks.describe(cloudformation, f"{config.project}-app")
    identity = stacks.outputs(app).get("ApplicationId")
    present = application.image(aws.client(session, "emr-serverless", region), identity) if identity else None
    return present or stacks.parameters(app).get("Image")


def _wants_budget(cloudformation: Any, config: InfraConfig) -> bool:
    return bool(config.budget_email) or stacks.describe(cloudformation, f"{config.project}-budget") is not None


def _data_stack(config: InfraConfig) -> Stack:
    return make_stack(config, "data", {"OwnKey": _yes(config.own_key), "LogDays": _text(config.log_days)})


def _base_stack(config: InfraConfig, bucket: str, key_arn: str) -> Stack:
    return make_stack(config, "base", {"Bucket": bucket, "KeyArn": key_arn, "LogDays": _text(config.log_days), "Vpc": _yes(config.vpc)})


def _app_stack(config: InfraConfig, base: dict[str, str], image: str) -> Stack:
    most = config.max_vcpu
    parameters = {
        "Release": RELEASE,
        "Image": image,
        "Architecture": config.architecture,
        "MaxVcpu": _text(most),
        "MaxMemoryGb": _text(most and most * GB_PER_VCPU),
        "MaxDiskGb": _text(most and most * DISK_GB_PER_VCPU),
        "Subnets": base.get("Subnets", "none"),
        "SecurityGroup": base.get("SecurityGroup", "none"),
        "Interactive": _yes(config.interactive),
    }
    return make_stack(config, "app", parameters)


def _budget_stack(config: InfraConfig) -> Stack:
    return make_stack(config, "budget", {"Usd": _text(config.budget_usd), "Email": config.budget_email})


def make_stack(config: InfraConfig, name: str, parameters: dict[str, str | None]) -> Stack:
    """Return the stack of that template, with the project's name and tag."""
    template = (files("cli.infra") / "templates" / f"{name}.yaml").read_text(encoding="utf-8")
    return Stack(f"{config.project}-{name}", template, {"Project": config.project, **parameters}, {TAG: config.project}, config.role_arn)


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
