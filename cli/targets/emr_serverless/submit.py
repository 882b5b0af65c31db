"""
A planned run to a run of the service: Regions, quota and image first, then StartJobRun, as often as it takes to get one answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.aws.clients import EXPIRED, Clients, retry_transient, start_once, transient_reason
from cli.aws.errors import translate_aws_errors
from cli.aws.s3 import region_of
from cli.billing.sizing import QUOTA_VCPU
from cli.errors import FruitsError, RefusedError, UsageError
from cli.settings.waiting import wait_until
from cli.targets.emr_serverless.runs import Sent, get_job_run, remember
from job.contract.params import Params
from job.contract.uris import bucket_and_key, shown

if TYPE_CHECKING:
    from cli.infra.deploy import Deployed

QUOTA_CODE = "L-D05C8A75"  # Max concurrent vCPUs per account, https://docs.aws.amazon.com/general/latest/gr/emr-serverless.html
PAUSE_SECONDS = 2.0
IMAGE_POLLS = 5  # the digest is known as soon as the service has resolved it


def check_places(clients: Clients, *uris: str) -> None:
    """
    Raises:
        RefusedError: a bucket is outside the European Union, or not in the application's own Region.
        FruitsError: there is no such bucket, or AWS refuses.
    """
    for bucket in dict.fromkeys(bucket_and_key(uri)[0] for uri in uris):
        real = region_of(clients("s3"), bucket)
        if real != clients.region:
            raise RefusedError(
                f"bucket `{bucket}` is in {real}, the application in {clients.region}",
                "copy the data to a bucket in the Region of the application",
            )


def check_role(deployed: Deployed, params: Params) -> None:
    """
    What the role of the runs may not reach is said here, before workers are paid for; `cli/infra/templates/base.yaml` has the role.

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


def quota_vcpu(clients: Clients, application: dict[str, Any], tell: Callable[[str], None]) -> int:
    """What all runs together may have at once: the account's quota or the application's own limit, whichever is less."""
    try:
        with translate_aws_errors("servicequotas:GetServiceQuota"):
            quota = clients("service-quotas").get_service_quota(ServiceCode="emr-serverless", QuotaCode=QUOTA_CODE)["Quota"]["Value"]
    except FruitsError as error:
        if transient_reason(error) == EXPIRED:
            raise
        tell(f"note: cannot read the quota, assuming {QUOTA_VCPU} vCPUs as in a new account: {error}")
        quota = QUOTA_VCPU
    limit = re.match(r"\d+", application.get("maximumCapacity", {}).get("cpu", ""))
    return min(int(quota), int(limit[0])) if limit else int(quota)


def send(clients: Clients, state: Path, sent: Sent, tell: Callable[[str], None]) -> Sent:
    """
    `sent` with the service's own id. It is written down before, so that what was accepted without an answer is found again.

    Raises:
        FruitsError: AWS refuses, or does not answer.
    """
    remember(state, sent)
    hint = f"check with `fruitsctl status {sent.run_id}` whether it was accepted"
    job_run_id = start_once(clients, lambda: _start(clients, sent), tell, PAUSE_SECONDS, sent.run_id, hint)
    known = replace(sent, job_run_id=job_run_id)
    remember(state, known)
    return known


def verify_image(clients: Clients, sent: Sent, digest: str, tell: Callable[[str], None]) -> None:
    """
    Raises:
        FruitsError: the service took another image than `digest`; the run is cancelled.
    """
    identifier = str(sent.job_run_id)
    look = f"run `fruitsctl status {sent.run_id}`: the run continues"

    def resolved() -> str | None:
        job_run = retry_transient(clients, lambda: get_job_run(clients, sent.application_id, identifier), tell, PAUSE_SECONDS, then=look)
        digest: str | None = job_run.get("imageConfiguration", {}).get("resolvedImageDigest")
        return digest

    real = wait_until(resolved, bool, PAUSE_SECONDS, IMAGE_POLLS * PAUSE_SECONDS)
    if not real:
        tell("note: EMR has not reported the image of the run; the image of the application was checked before")
    elif real != digest:
        retry_transient(clients, lambda: cancel(clients, sent), tell, PAUSE_SECONDS, then=f"run `fruitsctl cancel {sent.run_id}`")
        raise FruitsError(
            f"EMR used image `{real}` instead of {digest}; the run is cancelled", "run the command again: it restarts the application"
        )


def cancel(clients: Clients, sent: Sent) -> None:
    """Ask for it; until the run is CANCELLED it holds its workers."""
    client = clients("emr-serverless")
    with translate_aws_errors("emr-serverless:CancelJobRun"):
        try:
            client.cancel_job_run(applicationId=sent.application_id, jobRunId=str(sent.job_run_id))
        except client.exceptions.ValidationException:
            return  # it has ended meanwhile; the next look tells


def _start(clients: Clients, sent: Sent) -> str:
    with translate_aws_errors("emr-serverless:StartJobRun"):
        return str(clients("emr-serverless").start_job_run(**sent.request)["jobRunId"])
