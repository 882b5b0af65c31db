"""What a run on EMR Serverless needs of the AWS account: clients and settings in, a Check for each thing out. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cli.aws.clients import Clients
from cli.aws.errors import translate_aws_errors
from cli.aws.regions import EU_REGIONS
from cli.aws.s3 import check_region
from cli.billing.prices import prices
from cli.billing.sizing import QUOTA_VCPU, WORKER
from cli.container.pushed import PushedImage, last_pushed
from cli.errors import FruitsError
from cli.infra import stacks
from cli.settings.config import Settings
from cli.settings.release import RELEASE
from cli.targets.emr_serverless import application as applications
from cli.targets.emr_serverless.prepare import QUOTA_CODE
from cli.ui.checks import Check
from job.contract.uris import is_s3

# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-service-linked-roles.html
SERVICE_ROLE, SERVICE_NAME = "AWSServiceRoleForAmazonEMRServerless", "ops.emr-serverless.amazonaws.com"
UP = "fruitsctl infra up"
PUSH = "fruitsctl image build && fruitsctl image check && fruitsctl image push"
# A stack that could not be updated works as before. `stacks.repair_hint` has a hint for some other states; the rest need `infra up`.
HEALTHY = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


def checks(clients: Clients, config: Settings) -> list[Check]:
    """Return the checks in the order of setup. Without credentials nothing else is checked, without a stack nothing in it."""
    # The guard let the Region pass when `clients` was made.
    found = [Check("region", True, f"{clients.region} ({EU_REGIONS[clients.region]})"), _asked("credentials", credentials, clients)]
    if not found[-1].ok:
        return found
    found += [_asked("service", service, clients), _asked("quota", quota, clients), service_role(clients)]
    try:
        cloudformation = clients("cloudformation")
        there = {name: stacks.describe(cloudformation, f"{config.project}-{name}") for name in ("data", "base", "app")}
    except FruitsError as error:
        return [*found, _failed("stacks", error)]
    found += [stack(name, described, clients.region) for name, described in there.items()]
    outputs = {key: value for described in there.values() for key, value in stacks.outputs(described).items()}
    if "Bucket" in outputs:
        found.append(_asked("buckets", buckets, clients, outputs["Bucket"], config))
    application: dict[str, Any] = {}
    if "RepositoryUri" in outputs:
        pushed = last_pushed(config.state, outputs["RepositoryUri"])
        if "ApplicationId" in outputs:
            try:
                application = applications.get(clients, outputs["ApplicationId"])
                found.append(_asked("application", fitting, application, pushed))
            except FruitsError as error:
                found.append(_failed("application", error))
        used = pushed.image if pushed else application.get("imageConfiguration", {}).get("imageUri", "")
        found.append(_asked("image", image, clients, used))
    found.append(price_list(clients, application, config))
    return found


def credentials(clients: Clients) -> Check:
    with translate_aws_errors("sts:GetCallerIdentity"):
        caller = clients("sts").get_caller_identity()
    return Check("credentials", True, f"account {caller['Account']}, {caller['Arn']}")


def service(clients: Clients) -> Check:
    with translate_aws_errors("emr-serverless:ListApplications"):
        clients("emr-serverless").list_applications(maxResults=1)
    return Check("service", True, f"EMR Serverless is available in {clients.region}")


def quota(clients: Clients) -> Check:
    """Check the account's quota. How much of it is free is unknown: active runs count."""
    with translate_aws_errors("servicequotas:GetServiceQuota"):
        answer = clients("service-quotas").get_service_quota(ServiceCode="emr-serverless", QuotaCode=QUOTA_CODE)
    vcpu = int(answer["Quota"]["Value"])
    least = 2 * WORKER.vcpu
    new = " (default of a new account)" if vcpu == QUOTA_VCPU else ""
    more = (
        f"aws service-quotas request-service-quota-increase --region {clients.region} --service-code emr-serverless"
        f" --quota-code {QUOTA_CODE} --desired-value {QUOTA_VCPU}"
    )
    return Check("quota", vcpu >= least, f"{vcpu} concurrent vCPUs{new}; a driver and one executor need {least}", more)


def service_role(clients: Clients) -> Check:
    """Note whether the service-linked role exists: the service creates it with the first application."""
    try:
        with translate_aws_errors("iam:GetRole"):
            iam = clients("iam")
            try:
                iam.get_role(RoleName=SERVICE_ROLE)
            except iam.exceptions.NoSuchEntityException:
                command = f"aws iam create-service-linked-role --aws-service-name {SERVICE_NAME}"
                return Check("service role", True, f"not created yet: created with the first application, or by `{command}`")
    except FruitsError as error:
        return Check("service role", True, f"unknown: {error}")
    return Check("service role", True, SERVICE_ROLE)


def stack(name: str, described: Mapping[str, Any] | None, region: str) -> Check:
    """Check a stack; `described` is the answer of `stacks.describe`."""
    title, state = f"{name} stack", described["StackStatus"] if described else None
    if described is None or state in stacks.NOT_CREATED:
        return Check(title, False, "not created", f"{PUSH}, then {UP}" if name == "app" else UP)
    moving = "wait until it has finished" if str(state).endswith("_IN_PROGRESS") else UP
    return Check(title, state in HEALTHY, str(state), stacks.repair_hint(region, described["StackName"], state) or moving)


def buckets(clients: Clients, bucket: str, config: Settings) -> Check:
    """Check the stack's bucket and those of INPUT and OUTPUT in the settings."""
    named = [uri for uri in (config.input, config.output) if uri and is_s3(uri)]
    check_region(clients("s3"), clients.region, "the application", f"s3://{bucket}", *named)
    return Check("buckets", True, f"{', '.join([bucket, *named])} in {clients.region}")


def fitting(application: Mapping[str, Any], pushed: PushedImage | None) -> Check:
    """Check that the application has this release and the image that was pushed last from here."""
    applications.check(dict(application), RELEASE)
    used = application.get("imageConfiguration", {}).get("imageUri", "no image")
    if pushed and used != pushed.image:
        said = f"it uses {used.split('@')[-1]}, the last push was {pushed.digest}"
        return Check("application", False, said, f"{UP}, or start a run, which updates it")
    return Check("application", True, f"{application['applicationId']}, {application['state']}, {application['releaseLabel']}")


def image(clients: Clients, uri: str) -> Check:
    """Check an image `<registry>/<repository>@sha256:…`."""
    repository, _, digest = uri.partition("/")[2].partition("@")
    if not digest:
        return Check("image", False, "no image was pushed from this machine", PUSH)
    ecr = clients("ecr")
    with translate_aws_errors("ecr:DescribeImages"):
        try:
            ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            return Check("image", False, f"{digest} is no longer in the repository {repository}", "fruitsctl image push")
    return Check("image", True, f"{repository}@{digest}")


def price_list(clients: Clients, application: Mapping[str, Any], config: Settings) -> Check:
    """Note whether prices are available; otherwise they are estimated."""
    found = prices(clients.session, clients.region, application.get("architecture", "X86_64"), config.cache)
    kind = f"estimate of {found.as_of}" if found.estimate else f"AWS price list of {found.as_of}"
    return Check("prices", True, f"{kind}: ${found.vcpu_hour:g} per vCPU-hour, ${found.gb_hour:g} per GB-hour")


def _asked(name: str, question: Callable[..., Check], *of: Any) -> Check:
    try:
        return question(*of)
    except FruitsError as error:
        return _failed(name, error)


def _failed(name: str, error: FruitsError) -> Check:
    return Check(name, False, str(error), error.hint)
