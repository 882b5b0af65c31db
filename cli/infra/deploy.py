"""
What the account needs, as CloudFormation stacks, and what of it there is. `teardown.down` is the way back.

`data` holds the bucket and its key, and is kept by `--keep-data`; `base` holds registry, role, log group and network; `app` the
application, once there is an image; `budget` the alarm, if somebody is to get one.
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

STACKS = ("data", "base", "app", "budget")
GB_PER_VCPU = (
    8  # of memory, the most that any worker has: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html
)
DISK_GB_PER_VCPU = 50  # 200 GB, the most of a standard disk, on workers of 4 vCPU
# Elsewhere in the Union CloudFormation does not know the type, and refuses even a template that does not use it.
BUDGET_REGIONS = {"eu-west-1", "eu-west-3", "eu-central-1", "eusc-de-east-1"}


@dataclass(frozen=True)
class Wanted:
    """What the user wants of the infrastructure. None: as it is, and in a new stack as its template has it."""

    project: str = "fruitsctl"
    own_key: bool | None = None  # cannot be taken back
    log_days: int | None = None
    vpc: bool | None = None
    max_vcpu: int | None = None  # of all workers of the application together
    architecture: str | None = None  # X86_64 or ARM64
    image: str | None = None  # `<repository>@sha256:…`; None: the one pushed last from here, or the present one
    interactive: bool | None = None  # notebooks of EMR Studio may attach
    budget_usd: int | None = None
    budget_email: str | None = None
    role_arn: str | None = None  # what CloudFormation acts as; None: the caller


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


def client(session: Any, region: str) -> Any:
    """CloudFormation's. Raises RefusedError if `region` is outside the European Union."""
    return aws.client(session, "cloudformation", region)


def deployed(session: Any, region: str, project: str) -> Deployed:
    """
    Raises:
        RefusedError: `region` is outside the European Union.
        UsageError: the stack with the bucket, or that with the registry, is missing.
        FruitsError: AWS refuses.
    """
    cloudformation = client(session, region)
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


def plan(session: Any, region: str, wanted: Wanted) -> dict[str, list[Change]]:
    """Stack to its changes; nothing is changed. What is not known before the bucket and the key are there has a name in its place."""
    cloudformation = client(session, region)
    wanted = _as_deployed(cloudformation, wanted)
    _check(session, cloudformation, region, wanted)
    data = stacks.outputs(stacks.describe(cloudformation, f"{wanted.project}-data"))
    key = data.get("KeyArn") or ("key" if wanted.own_key else "")
    planned = [_data_stack(wanted), _base_stack(wanted, data.get("Bucket", "bucket"), key)]
    base = stacks.outputs(stacks.describe(cloudformation, f"{wanted.project}-base"))
    image = _image(session, region, cloudformation, wanted, base["RepositoryUri"]) if "RepositoryUri" in base else None
    if image:
        planned.append(_app_stack(wanted, base, image))
    if _wants_budget(cloudformation, wanted):
        planned.append(_budget_stack(wanted))
    return {stack.name: stacks.plan(cloudformation, stack) for stack in planned}


def up(session: Any, region: str, wanted: Wanted, tell: Callable[[str], None]) -> dict[str, list[Change]]:
    """
    Stack to what was changed; without the application while no image is known. Interrupted at any point, it continues when called again.

    Raises:
        RefusedError: `region` is outside the European Union, somebody else is changing a stack now, or the application has to change and
            has active runs.
        UsageError: what is wanted cannot be had, or a bucket or a repository of that name exists already.
        FruitsError: AWS refuses, or somebody has deleted a part by hand.
    """
    cloudformation = client(session, region)
    wanted = _as_deployed(cloudformation, wanted)
    _check(session, cloudformation, region, wanted)
    data = _data_stack(wanted)
    changed = {data.name: stacks.apply(cloudformation, data, tell)}
    there = stacks.outputs(stacks.describe(cloudformation, data.name))
    base = _base_stack(wanted, there["Bucket"], there.get("KeyArn", ""))
    changed[base.name] = stacks.apply(cloudformation, base, tell)
    _refuse_holes(session, cloudformation, region, wanted.project)
    there = stacks.outputs(stacks.describe(cloudformation, base.name))
    image = _image(session, region, cloudformation, wanted, there["RepositoryUri"])
    if image:
        changed[f"{wanted.project}-app"] = _apply_app(session, region, cloudformation, _app_stack(wanted, there, image), tell)
    if _wants_budget(cloudformation, wanted):
        changed[f"{wanted.project}-budget"] = stacks.apply(cloudformation, _budget_stack(wanted), tell)
    return changed


def put_application(session: Any, region: str, project: str, image: str, tell: Callable[[str], None]) -> Deployed:
    """
    The application with `image` (`<repository>@sha256:…`): made, or changed and left stopped; it starts with its next run.

    Raises:
        RefusedError: it has to change and has active runs, or somebody else is changing its stack now.
        UsageError: there is no infrastructure.
        FruitsError: AWS refuses.
    """
    deployed(session, region, project)  # says what is missing
    cloudformation = client(session, region)
    base = stacks.outputs(stacks.describe(cloudformation, f"{project}-base"))
    wanted = _as_deployed(cloudformation, Wanted(project))
    _apply_app(session, region, cloudformation, _app_stack(wanted, base, image), tell)
    return deployed(session, region, project)


def _apply_app(session: Any, region: str, cloudformation: Any, stack: Stack, tell: Callable[[str], None]) -> list[Change]:
    emr = application.client(session, region)
    identity = stacks.outputs(stacks.describe(cloudformation, stack.name)).get("ApplicationId")
    if identity and application.state(emr, identity) == "TERMINATED":
        tell(f"{stack.name}: its application was deleted by hand, recreating it")
        stacks.delete(cloudformation, stack.name, tell, lambda _: True)
        identity = None

    def at_rest() -> None:
        if identity:  # a started one takes few changes, and of this release no other image
            application.rest(emr, identity, cancel=False, tell=tell)

    return stacks.apply(cloudformation, stack, tell, at_rest)


def _check(session: Any, cloudformation: Any, region: str, wanted: Wanted) -> None:
    """What CloudFormation would find only after it has begun."""
    if wanted.budget_email and region not in BUDGET_REGIONS:
        raise UsageError(
            f"CloudFormation does not support budgets in `{region}`", "remove --budget-email and create the budget in the console"
        )
    data, base = (stacks.describe(cloudformation, f"{wanted.project}-{name}") for name in ("data", "base"))
    if wanted.own_key and stacks.outputs(base) and "KeyArn" not in stacks.outputs(data):
        raise UsageError(
            "the key of an existing repository cannot be changed",
            "run `fruitsctl infra down --keep-data`, then `fruitsctl infra up --own-key`",
        )
    if data is None:
        bucket = f"{wanted.project}-{aws.account_of(session, region)}-{region}"
        if presence.exists(session, region, "AWS::S3::Bucket", bucket):
            raise UsageError(
                f"the bucket `{bucket}` already exists and does not belong to this project", "set FRUITS_PROJECT to another name"
            )
    if base is None and presence.exists(session, region, "AWS::ECR::Repository", wanted.project):
        raise UsageError(
            f"the repository `{wanted.project}` already exists and does not belong to this project",
            f"set FRUITS_PROJECT, or run `aws ecr delete-repository --region {region} --repository-name {wanted.project} --force`",
        )
    _refuse_unused(session, cloudformation, region, wanted)


def _refuse_unused(session: Any, cloudformation: Any, region: str, wanted: Wanted) -> None:
    """Raises UsageError if an option has no effect: there is no application yet, or no budget, that it could change."""
    base = stacks.outputs(stacks.describe(cloudformation, f"{wanted.project}-base"))
    image = wanted.image or ("RepositoryUri" in base and _image(session, region, cloudformation, wanted, base["RepositoryUri"]))
    options = {"--max-vcpu": wanted.max_vcpu, "--architecture": wanted.architecture, "--interactive": wanted.interactive}
    unused = [option for option, value in options.items() if value is not None]
    if unused and not image:
        raise UsageError(
            f"`{unused[0]}` needs an application, and there is no image for it yet",
            f"run `fruitsctl infra up` without {unused[0]}, then `fruitsctl image push`, then `infra up` with it",
        )
    if wanted.budget_usd is not None and not _wants_budget(cloudformation, wanted):
        raise UsageError("`--budget-usd` is given without `--budget-email`", "add --budget-email ADDRESS")


def _refuse_holes(session: Any, cloudformation: Any, region: str, project: str) -> None:
    """Raises FruitsError if somebody has deleted by hand what a stack still believes to have: CloudFormation does not look."""
    for name, command in (("data", "infra down"), ("base", "infra down --keep-data")):
        for found in stacks.resources(cloudformation, f"{project}-{name}"):
            if not presence.exists(session, region, found.kind, found.physical):
                raise FruitsError(
                    f"{found.kind} `{found.physical}` was deleted by hand", f"run `fruitsctl {command}`, then `fruitsctl infra up`"
                )


def _as_deployed(cloudformation: Any, wanted: Wanted) -> Wanted:
    """Return `wanted` with the role of CloudFormation from the stack that is there, so that `image push` need not repeat it."""
    base = stacks.describe(cloudformation, f"{wanted.project}-base") or {}
    return replace(wanted, role_arn=wanted.role_arn or base.get("RoleARN"))


def _image(session: Any, region: str, cloudformation: Any, wanted: Wanted, repository_uri: str) -> str | None:
    """The one pushed last from here, else what the application has: a run changes it without its stack."""
    pushed = last_pushed(settings().state, repository_uri)
    if wanted.image or pushed:
        return wanted.image or (pushed.image if pushed else None)
    app = stacks.describe(cloudformation, f"{wanted.project}-app")
    identity = stacks.outputs(app).get("ApplicationId")
    present = application.image(application.client(session, region), identity) if identity else None
    return present or stacks.parameters(app).get("Image")


def _wants_budget(cloudformation: Any, wanted: Wanted) -> bool:
    return bool(wanted.budget_email) or stacks.describe(cloudformation, f"{wanted.project}-budget") is not None


def _data_stack(wanted: Wanted) -> Stack:
    return _stack(wanted, "data", {"OwnKey": _yes(wanted.own_key), "LogDays": _text(wanted.log_days)})


def _base_stack(wanted: Wanted, bucket: str, key_arn: str) -> Stack:
    return _stack(wanted, "base", {"Bucket": bucket, "KeyArn": key_arn, "LogDays": _text(wanted.log_days), "Vpc": _yes(wanted.vpc)})


def _app_stack(wanted: Wanted, base: dict[str, str], image: str) -> Stack:
    most = wanted.max_vcpu
    parameters = {
        "Release": RELEASE,
        "Image": image,
        "Architecture": wanted.architecture,
        "MaxVcpu": _text(most),
        "MaxMemoryGb": _text(most and most * GB_PER_VCPU),
        "MaxDiskGb": _text(most and most * DISK_GB_PER_VCPU),
        "Subnets": base.get("Subnets", "none"),
        "SecurityGroup": base.get("SecurityGroup", "none"),
        "Interactive": _yes(wanted.interactive),
    }
    return _stack(wanted, "app", parameters)


def _budget_stack(wanted: Wanted) -> Stack:
    return _stack(wanted, "budget", {"Usd": _text(wanted.budget_usd), "Email": wanted.budget_email})


def _stack(wanted: Wanted, name: str, parameters: dict[str, str | None]) -> Stack:
    template = (files("cli.infra") / "templates" / f"{name}.yaml").read_text(encoding="utf-8")
    return Stack(f"{wanted.project}-{name}", template, {"Project": wanted.project, **parameters}, {TAG: wanted.project}, wanted.role_arn)


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
