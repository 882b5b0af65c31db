"""Before a run on EMR Serverless is sent: what is deployed, the fleet, its worst case, the image; and what `--dry-run` shows of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import typer

from cli.aws.clients import EXPIRED, Clients, retry_throttled, transient_reason
from cli.aws.errors import translate_aws_errors
from cli.aws.s3 import read_if_there
from cli.billing import costs, sizing
from cli.billing.prices import Prices
from cli.billing.sizing import WORKER, Fleet
from cli.container.pushed import last_pushed
from cli.errors import FruitsError, UsageError
from cli.infra import deploy
from cli.infra.deploy import Deployed
from cli.settings.config import Settings, settings
from cli.settings.release import RELEASE
from cli.targets.emr.run_files import read_manifest
from cli.targets.emr_serverless import application as applications
from cli.targets.emr_serverless.options import TIMEOUT_MINUTES, ServerlessOptions
from cli.ui.output import say
from job.contract.filenames import ignored_kind
from job.contract.params import Params
from job.contract.records import counted
from job.contract.uris import bucket_and_key, join, shown

LISTED = 1_000  # photos whose sizes tell how long decoding takes: what one request returns
QUOTA_CODE = "L-D05C8A75"  # Max concurrent vCPUs per account, https://docs.aws.amazon.com/general/latest/gr/emr-serverless.html
# What the sender of a run must be allowed to send and follow it; `fruitsctl infra policy operator` has the resources.
NEEDS = (
    "cloudformation:DescribeStacks",
    "ecr:BatchGetImage",  # to give the application an image requires permission to read it
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


def deployed(clients: Clients) -> Deployed:
    """Return what of the stacks there is in the Region of `clients`. Raises UsageError if they are not complete."""
    return retry_throttled(clients, lambda: deploy.deployed(clients.session, clients.region, settings().project), say)


def create_application(clients: Clients, found: Deployed, config: Settings, yes: bool) -> None:
    """
    Create the application from the image pushed last, if the user agrees; `yes`: without asking.

    Raises:
        UsageError: nothing was pushed, or the user does not agree.
    """
    pushed = last_pushed(config.state, found.repository_uri)
    if pushed is None or not (yes or sys.stdin.isatty()):
        raise no_application(config, found)
    if not yes and not typer.confirm(
        f"There is no application yet. Create it with image {pushed.image}? An idle application is free of charge", err=True
    ):
        raise no_application(config, found)
    deploy.put_application(clients.session, clients.region, config.project, pushed.image, say)


def no_application(config: Settings, found: Deployed) -> UsageError:
    """Return the error of a run without an application, with the next step towards one."""
    if last_pushed(config.state, found.repository_uri) is None:
        return UsageError(
            "there is no application yet, and no image for it",
            "run `fruitsctl image build`, `fruitsctl image check` and `fruitsctl image push`",
        )
    return UsageError("there is no application yet", "run `fruitsctl infra up`, or add --yes")


def fleet_for(clients: Clients, application: dict[str, Any], params: Params, options: ServerlessOptions) -> Fleet:
    """
    Return the fleet for the options.

    Raises:
        UsageError: they cannot be met, or exceed the quota.
    """
    images = options.images
    if images is None and options.deadline is not None:
        images = last_count(clients, params.output)
        images = min(images or params.limit, params.limit) if params.limit else images
    quota = quota_vcpu(clients, application)
    memory = options.executor_memory or WORKER.memory_gb
    seconds = photo_seconds(clients, params) if options.deadline else sizing.SECONDS_PER_PHOTO
    return sizing.fleet(options.executors, images, options.deadline, quota, memory, seconds)


def quota_vcpu(clients: Clients, application: dict[str, Any]) -> int:
    """Return the vCPUs that all runs together may have: the account's quota or the application's limit, whichever is less."""
    try:
        with translate_aws_errors("servicequotas:GetServiceQuota"):
            quota = clients("service-quotas").get_service_quota(ServiceCode="emr-serverless", QuotaCode=QUOTA_CODE)["Quota"]["Value"]
    except FruitsError as error:
        if transient_reason(error) == EXPIRED:
            raise
        say(f"note: cannot read the quota, assuming {sizing.QUOTA_VCPU} vCPUs as in a new account: {error}")
        quota = sizing.QUOTA_VCPU
    limit = re.match(r"\d+", application.get("maximumCapacity", {}).get("cpu", ""))
    return min(int(quota), int(limit[0])) if limit else int(quota)


def check_role(deployed: Deployed, params: Params) -> None:
    """
    Check what the runtime role cannot access before workers are billed; `cli/infra/templates/base.yaml` has the role.

    Raises:
        UsageError: INPUT is not in the stack's bucket, or OUTPUT not below its `out`.
    """
    if bucket_and_key(params.input)[0] != deployed.bucket:
        raise UsageError(
            f"the runtime role cannot read `{shown(params.input)}`",
            f"upload the photos to s3://{deployed.bucket}/photos with `fruitsctl data push`",
        )
    bucket, key = bucket_and_key(params.output)
    if bucket != deployed.bucket or not key.startswith("out"):
        raise UsageError(f"the runtime role cannot write to `{shown(params.output)}`", f"choose an OUTPUT in s3://{deployed.bucket}/out")


def last_count(clients: Clients, output: str) -> int | None:
    """Return how many photos the newest complete run of OUTPUT listed, None if there is none."""
    latest = read_if_there(clients("s3"), join(output, "latest.json"))
    manifest = read_manifest(clients, output, json.loads(latest)["run_id"]) if latest else None
    return manifest.counts["listed"] if manifest else None


def photo_seconds(clients: Clients, params: Params) -> float:
    """Return the seconds of one vCPU for a photo, by the sizes of the first files of INPUT: one request."""
    bucket, key = bucket_and_key(params.input)
    try:
        with translate_aws_errors("s3:ListBucket"):
            listed = clients("s3").list_objects_v2(Bucket=bucket, Prefix=f"{key}/" if key else "", MaxKeys=LISTED)
    except FruitsError as error:
        if transient_reason(error) == EXPIRED:
            raise
        say(f"note: cannot list INPUT, assuming small photos for --deadline: {error}")
        return sizing.SECONDS_PER_PHOTO
    names = {one["Key"]: one["Size"] for one in listed.get("Contents", [])}
    files = {name: size for name, size in names.items() if ignored_kind(name.rpartition("/")[2]) is None}
    return sizing.seconds_per_photo(files, bool(getattr(params, "full_decode", False)))


def timeout_for(fleet: Fleet, prices: Prices, options: ServerlessOptions) -> int:
    """
    Return the timeout in minutes; with --max-cost the worst case is at most that.

    Raises:
        RefusedError: it would cost more.
    """
    timeout = options.timeout or TIMEOUT_MINUTES
    if options.max_cost is None:
        return timeout
    if options.timeout is None:
        timeout = max(costs.LEAST_TIMEOUT_MINUTES, min(timeout, costs.longest_timeout(options.max_cost, fleet, prices, options.attempts)))
    costs.check_max_cost(options.max_cost, fleet, prices, options.attempts, timeout)
    return timeout


def prepare_image(clients: Clients, found: Deployed, application: dict[str, Any], run_id: str, config: Settings) -> str | None:
    """Start the application with its image and return the digest that the run must have; None without a digest."""
    applications.check(application, RELEASE)
    pushed = last_pushed(config.state, found.repository_uri)
    if pushed:
        applications.put_image(clients, application, pushed.image, run_id, say)
    started = applications.start(clients, application["applicationId"], say)
    image = pushed.image if pushed else started.get("imageConfiguration", {}).get("imageUri", "")
    return image.partition("@")[2] or None


def request_in_words(
    request: dict[str, Any], fleet: Fleet, prices: Prices, attempts: int, timeout_minutes: int
) -> tuple[Mapping[str, Any], str]:
    """Return the request as it would be sent, its worst case, and what its sender must be allowed: as data and as text."""
    worst = costs.worst_case(fleet, prices, attempts, timeout_minutes)
    data = {"request": request, "worst_case_usd": worst, "estimate": prices.estimate, "needs": list(NEEDS)}
    lines = [
        json.dumps(request, indent=2),
        "",
        f"worst case  ${costs.round_up_cents(worst)}: {attempts} x {counted(timeout_minutes, 'minutes')} of {fleet.vcpu} vCPUs at"
        f" ${costs.fleet_hourly_cost(fleet, prices):.2f} an hour, prices of {prices.as_of}{' (estimate)' if prices.estimate else ''}",
        f"needs       {', '.join(NEEDS)}",
        "nothing was sent",
    ]
    return data, "\n".join(lines)
