"""Target `--eks`: a job run on an EMR on EKS virtual cluster that is there already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cli.aws.clients import Clients, connect, retry_throttled
from cli.aws.redact import redact
from cli.errors import FruitsError, UsageError
from cli.settings.config import Settings, settings
from cli.targets.base import Ended, LogLine, Plan, RunStatus, SubmittedRun, Target, Tell, unsupported
from cli.targets.emr.driver_log import LogLocation, driver_log, latest_progress
from cli.targets.emr_eks.options import EksOptions
from cli.targets.runs.saved import save
from job.contract.params import Params
from job.contract.records import Outcome
from job.contract.uris import bucket_and_key, join

POD = (2, 8)  # vCPUs and GB, driver and executors alike: one fits on a node of 4 vCPUs and 16 GB beside what Kubernetes keeps for itself
SOVEREIGN = "eusc-de-east-1"  # has EMR Serverless, but not EMR on EKS


@dataclass(frozen=True)
class EksPlan(Plan):
    """The request to send, and the image in it."""

    clients: Clients
    image: str


class EmrEks(Target[EksOptions, EksPlan]):
    """EMR on EKS."""

    name, title, help = "eks", "EMR on EKS", "Run on an existing EMR on EKS virtual cluster."
    offered, options = True, EksOptions

    def plan(self, params: Params, options: EksOptions) -> EksPlan:
        """
        Return the exact StartJobRun request.

        Raises:
            UsageError: an option is missing, or the Region has no EMR on EKS.
            RefusedError: a bucket is in another Region; or that, or the user's, is outside the European Union.
        """
        from cli.aws.s3 import check_region
        from cli.billing.sizing import DEFAULT_EXECUTORS, Fleet, Worker
        from cli.container.ecr import checked_region
        from cli.targets.emr_eks import plan as eks

        clients, config = connect(), settings()
        if clients.region == SOVEREIGN:
            raise UsageError(f"there is no EMR on EKS in `{clients.region}`", "use --serverless in this Region")
        _check_required(options)
        image = options.image or _pushed_last(clients, config)
        checked_region(image)
        fleet = Fleet(Worker(*POD), Worker(*POD), options.executors or DEFAULT_EXECUTORS)
        request = eks.plan(params, replace(options, image=image), fleet, clients.region, config.project)
        check_region(clients("s3"), clients.region, "the virtual cluster", params.input, params.output)
        return EksPlan(params, request, json.dumps(request, indent=2), clients, image)

    def submit(self, plan: EksPlan, tell: Tell) -> SubmittedRun:
        """
        Send the run once.

        Raises:
            UsageError: the image was built for another target.
            FruitsError: AWS refuses, or does not answer.
        """
        from cli.targets.emr_eks import follow
        from cli.targets.emr_eks.image import check_target

        clients, params, state = plan.clients, plan.params, settings().state
        check_target(clients.session, plan.image)
        where = {"virtual_cluster_id": plan.data["virtualClusterId"], "region": clients.region}
        run = SubmittedRun(params.run_id, self.name, params.output, datetime.now(UTC).isoformat(), where, plan.data)
        save(state, run)
        run = replace(run, job_run_id=follow.start(clients, plan.data, tell))
        save(state, run)
        tell(f"Run {run.run_id} is job run {run.job_run_id}")
        return run

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        """
        Wait for the end, and return the manifest.

        Raises:
            FruitsError: the run failed; with the job's own exit code.
        """
        from cli.targets.emr.run_files import read_manifest
        from cli.targets.emr_eks import follow

        clients = _clients(run)
        job_run = follow.follow(clients, run.where["virtual_cluster_id"], str(run.job_run_id), tell)
        follow.raise_unless_done(clients, job_run, run.output, run.run_id, _logs_of(run))
        manifest = read_manifest(clients, run.output, run.run_id)
        if manifest is None:
            uri = join(run.output, "runs", run.run_id, "manifest.json")
            raise FruitsError(f"the run has finished, but `{uri}` is missing", "run the same command again")
        return Ended(manifest)

    def resolve(self, run_id: str | None, tell: Tell) -> SubmittedRun | None:
        """Return a run of the virtual cluster that fruits.toml names; None where it names none."""
        from cli.targets.emr_eks.follow import find

        cluster = settings().tables.get(self.name, {}).get("virtual_cluster")
        if cluster is None:
            return None
        clients = connect()
        return retry_throttled(clients, lambda: find(clients, str(cluster), run_id), tell)

    def describe(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        from cli.targets.emr.run_files import read_outcome
        from cli.targets.emr_eks import follow

        clients = _clients(run)
        job_run = _described(clients, run, tell)
        state, details = follow.state(job_run), redact(job_run.get("stateDetails", ""))
        if not state.ended:
            return RunStatus(state, job_run["state"], details, progress=latest_progress(clients, _place(run, job_run)))
        try:
            follow.raise_unless_done(clients, job_run, run.output, run.run_id, _logs_of(run))
            outcome = read_outcome(clients, run.output, run.run_id) or Outcome(run.run_id, 0, "done")
        except FruitsError as error:
            outcome = Outcome(run.run_id, error.exit_code, state.value.capitalize(), str(error), error.hint)
        return RunStatus(state, job_run["state"], details, outcome=outcome)

    def logs(self, run: SubmittedRun, follow: bool, stderr: bool, tell: Tell) -> Iterator[LogLine]:
        """Yield the driver's log: live from CloudWatch where the run has a log group, else from the bucket after the end."""
        from cli.targets.emr_eks.follow import state

        clients = _clients(run)
        place = _place(run, _described(clients, run, tell))

        def over() -> bool:
            return state(_described(clients, run, tell)).ended

        yield from driver_log(clients, place, run, follow, "stderr" if stderr else "stdout", over, tell)

    def cancel(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        from cli.targets.emr_eks import follow

        job_run = follow.cancel(_clients(run), run.where["virtual_cluster_id"], _job_run_id(run), tell)
        return RunStatus(follow.state(job_run), job_run["state"])

    def ui(self, run: SubmittedRun, tell: Tell) -> str:
        raise unsupported("ui", self, "read its log with `fruitsctl logs`: AWS keeps no Spark UI of it")

    def cost(self, run: SubmittedRun, tell: Tell) -> float | None:
        raise unsupported("cost", self, "see the bill of the cluster's nodes: AWS bills nodes, not runs")


def _check_required(options: EksOptions) -> None:
    """Raise UsageError if virtual cluster or role is missing."""
    needed = {"--virtual-cluster": options.virtual_cluster, "--execution-role": options.execution_role}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise UsageError(f"`--eks` needs {' and '.join(f'`{name}`' for name in missing)}", "`fruitsctl run --help` describes them")


def _clients(run: SubmittedRun) -> Clients:
    return Clients(connect().session, run.where["region"])


def _job_run_id(run: SubmittedRun) -> str:
    """Return the service's id. Raises UsageError if its answer was lost."""
    if run.job_run_id is None:
        raise UsageError(
            f"no response from AWS when starting run `{run.run_id}`",
            f"run the same command with --run-id {run.run_id}: the run starts once",
        )
    return run.job_run_id


def _described(clients: Clients, run: SubmittedRun, tell: Tell) -> dict[str, Any]:
    from cli.targets.emr_eks import follow

    return follow.describe(clients, run.where["virtual_cluster_id"], _job_run_id(run), tell)


def _logs_of(run: SubmittedRun) -> str:
    return f"s3://{bucket_and_key(run.output)[0]}/logs/{run.where['virtual_cluster_id']}/jobs/{run.job_run_id}/"


def _place(run: SubmittedRun, job_run: Mapping[str, Any]) -> LogLocation:
    """
    Return where the driver's log is.

    https://docs.aws.amazon.com/emr/latest/EMR-on-EKS-DevelopmentGuide/emr-eks-jobs-s3.html
    """

    monitoring = job_run.get("configurationOverrides", {}).get("monitoringConfiguration", {})
    watch = monitoring.get("cloudWatchMonitoringConfiguration", {})
    below = f"{run.where['virtual_cluster_id']}/jobs/{run.job_run_id}/"
    prefix = watch.get("logStreamNamePrefix")
    return LogLocation(watch.get("logGroupName"), f"{prefix}/{below}" if prefix else below, _logs_of(run), "-driver/")


def _pushed_last(clients: Clients, config: Settings) -> str:
    """Return the image of the account's own repository that this machine pushed last. Raises UsageError if there is none."""
    from cli.container.ecr import own_registry
    from cli.container.pushed import last_pushed

    repository = f"{own_registry(clients.session, clients.region)}/{config.project}"
    pushed = last_pushed(config.state, repository)
    if pushed is None:
        raise UsageError(
            f"no image was pushed to `{repository}` from this machine",
            "run `fruitsctl image build --target eks` and `fruitsctl image push`, or add --image",
        )
    return pushed.image
