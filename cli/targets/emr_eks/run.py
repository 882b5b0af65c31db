"""`fruitsctl run … --eks`: the run as a StartJobRun of EMR on EKS, sent, followed, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError, UsageError
from cli.settings.config import Settings
from cli.ui.output import emit, say
from job.contract.params import Params
from job.contract.records import Manifest
from job.contract.uris import bucket_and_key, join

if TYPE_CHECKING:
    from cli.aws.clients import Clients

# For the signature of `run`, beside those of the other targets.
Eks = Annotated[bool, typer.Option("--eks", help="Run on an existing EMR on EKS virtual cluster.")]
VirtualCluster = Annotated[str | None, typer.Option(metavar="ID", help="With --eks: the virtual cluster; required.")]
ExecutionRole = Annotated[str | None, typer.Option(metavar="ARN", help="With --eks: role of the job; required. See `fruitsctl eks trust`.")]
Image = Annotated[
    str | None, typer.Option(metavar="NAME@DIGEST", help="With --eks: image as `image push` prints it. [default: the last one pushed]")
]
LogGroup = Annotated[str | None, typer.Option(metavar="NAME", help="With --eks: CloudWatch log group that receives the logs, besides S3.")]

POD = (2, 8)  # vCPUs and GB, driver and executors alike: one fits on a node of 4 vCPUs and 16 GB beside what Kubernetes keeps for itself
SOVEREIGN = "eusc-de-east-1"  # has EMR Serverless, but not EMR on EKS


@dataclass(frozen=True)
class Wanted:
    virtual_cluster: str | None
    execution_role: str | None
    image: str | None = None
    log_group: str | None = None
    executors: int | None = None
    attempts: int = 1


def run_eks(params: Params, config: Settings, wanted: Wanted, dry_run: bool, detach: bool, as_json: bool) -> None:
    """
    Raises:
        UsageError: something is missing, or can only be had on EMR Serverless; the image is for another target.
        RefusedError: Region, bucket or registry outside the European Union.
        FruitsError: AWS refuses, or the run failed.
    """
    from cli.aws.clients import Clients
    from cli.aws.session import aws_session
    from cli.billing.sizing import DEFAULT_EXECUTORS, Fleet, Worker
    from cli.container.ecr import checked_region
    from cli.targets.emr_eks import follow
    from cli.targets.emr_eks import plan as eks
    from cli.targets.emr_eks.image import check_target

    session = aws_session()
    region = session.region_name
    refuse_outside_eu(region)
    if region == SOVEREIGN:
        raise UsageError(f"there is no EMR on EKS in `{region}`", "use --serverless in this Region")
    if not wanted.virtual_cluster or not wanted.execution_role:
        needed = {"--virtual-cluster": wanted.virtual_cluster, "--execution-role": wanted.execution_role}
        missing = [option for option, value in needed.items() if not value]
        raise UsageError(f"`--eks` needs {' and '.join(f'`{option}`' for option in missing)}", "`fruitsctl run --help` describes them")
    image = wanted.image or _pushed_last(session, region, config)
    checked_region(image)
    options = eks.Options(region, wanted.virtual_cluster, wanted.execution_role, image, config.project, wanted.log_group, wanted.attempts)
    todo = eks.plan(params, options, Fleet(Worker(*POD), Worker(*POD), wanted.executors or DEFAULT_EXECUTORS))
    _same_region(session, region, params)
    if dry_run:
        emit(todo.request, json.dumps(todo.request, indent=2), as_json=False)
        return
    check_target(session, image)
    clients = Clients(session, region)
    job_run_id = follow.start(clients, todo.request)
    again = f"`fruitsctl eks status {job_run_id} --virtual-cluster {wanted.virtual_cluster}`, `fruitsctl eks cancel` cancels it"
    say(f"Run {params.run_id} is job run {job_run_id}")
    if detach:
        emit({"run_id": params.run_id, "job_run_id": job_run_id}, job_run_id, as_json)
        return
    try:
        job_run = follow.follow(clients, wanted.virtual_cluster, job_run_id, say)
    except KeyboardInterrupt:
        say(f"Detached, the run continues: {again}")
        emit({"run_id": params.run_id, "job_run_id": job_run_id}, job_run_id, as_json)
        return
    logs = f"{eks.log_uri(params)}{wanted.virtual_cluster}/jobs/{job_run_id}/"
    follow.raise_unless_done(clients, job_run, params.output, params.run_id, logs)
    _summary(clients, params, wanted, as_json)


def _pushed_last(session: object, region: str, config: Settings) -> str:
    """Of the account's own repository, by this machine."""
    from cli.container.ecr import own_registry
    from cli.container.pushed import last_pushed

    repository = f"{own_registry(session, region)}/{config.project}"
    pushed = last_pushed(config.state, repository)
    if pushed is None:
        raise UsageError(
            f"no image was pushed to `{repository}` from this machine",
            "run `fruitsctl image build --target eks` and `fruitsctl image push`, or add --image",
        )
    return pushed.image


def _same_region(session: object, region: str, params: Params) -> None:
    """Raises UsageError if INPUT or OUTPUT lies in another Region than the cluster: bytes between Regions are slow, and paid for."""
    from cli.aws import s3 as buckets

    for uri in (params.input, params.output):
        bucket = bucket_and_key(uri)[0]
        real = buckets.client_for(session, bucket).meta.region_name
        if real != region:
            raise UsageError(f"bucket `{bucket}` is in `{real}`, the virtual cluster in `{region}`", f"use a bucket in {region}")


def _summary(clients: Clients, params: Params, wanted: Wanted, as_json: bool) -> None:
    from cli.targets.emr_serverless.follow import read
    from cli.ui.summary import summary

    uri = join(params.output, "runs", params.run_id, "manifest.json")
    content = read(clients, uri)
    if content is None:
        raise FruitsError(f"the run has finished, but `{uri}` is missing", "run the same command again")
    manifest = Manifest.from_json(content)
    where = f"--eks --virtual-cluster {wanted.virtual_cluster} --execution-role {wanted.execution_role}"
    emit(json.loads(manifest.to_json()), summary(manifest, params, where), as_json)
