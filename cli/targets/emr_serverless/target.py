"""Target `--serverless`: a job run of EMR Serverless, in the European Union."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.aws.clients import Clients, connect, retry_throttled
from cli.aws.emr_serverless import state_of
from cli.aws.redact import redact
from cli.errors import UsageError
from cli.settings.config import settings
from cli.targets.base import Ended, LogLine, Plan, RunStatus, SubmittedRun, Target, Tell
from cli.targets.emr.driver_log import LogLocation, driver_log, latest_progress
from cli.targets.emr_serverless import job_runs
from cli.targets.emr_serverless.options import ServerlessOptions
from cli.ui.output import say
from job.contract.params import Params

if TYPE_CHECKING:
    from cli.billing.prices import Prices
    from cli.billing.sizing import Fleet
    from cli.infra.deploy import Deployed


@dataclass(frozen=True)
class ServerlessPlan(Plan):
    """The request to send, what is deployed for it, and the fleet and prices behind its worst case."""

    options: ServerlessOptions
    clients: Clients
    deployed: Deployed
    application: dict[str, Any]
    fleet: Fleet
    prices: Prices
    timeout_minutes: int


class EmrServerless(Target[ServerlessOptions, ServerlessPlan]):
    """EMR Serverless."""

    name, title, help = "serverless", "EMR Serverless", "Run on EMR Serverless, in the European Union."
    offered, options = True, ServerlessOptions

    def places(self, source: str | None, output: str | None) -> tuple[str, str]:
        """Return INPUT and OUTPUT; the stack's bucket has those that are not given."""
        if source is None or output is None:
            from cli.targets.emr_serverless.prepare import deployed

            bucket = deployed(connect()).bucket
            source, output = source or f"s3://{bucket}/photos", output or f"s3://{bucket}/out"
        return source, output

    def prepare(self, options: ServerlessOptions) -> None:
        """Create a missing application. Raises UsageError if there is no image for it, or the user does not agree."""
        from cli.targets.emr_serverless.prepare import create_application, deployed

        clients = connect()
        found = deployed(clients)
        if found.application_id is None:
            create_application(clients, found, settings(), options.yes)

    def plan(self, params: Params, options: ServerlessOptions) -> ServerlessPlan:
        """
        Return the exact StartJobRun request.

        Raises:
            UsageError: there is no application, or an option cannot be met.
            RefusedError: the run could cost more than --max-cost, or a bucket is in another Region.
            FruitsError: AWS refuses.
        """
        from cli.aws.s3 import check_region
        from cli.targets.emr_serverless import application as applications
        from cli.targets.emr_serverless import plan as serverless
        from cli.targets.emr_serverless import prepare
        from cli.targets.emr_serverless.watch import prices_of

        clients, config = connect(), settings()
        found = prepare.deployed(clients)
        if found.application_id is None:
            raise prepare.no_application(config, found)
        identifier = found.application_id
        application = retry_throttled(clients, lambda: applications.get(clients, identifier), say)
        fleet = prepare.fleet_for(clients, application, params, options)
        prices = prices_of(clients, application, config)
        timeout = prepare.timeout_for(fleet, prices, options)
        request = serverless.plan(params, found, fleet, config.project, timeout, options.attempts)
        check_region(clients("s3"), clients.region, "the application", params.input, params.output)
        prepare.check_role(found, params)
        return ServerlessPlan(params, request, "", options, clients, found, application, fleet, prices, timeout)

    def dry_run(self, plan: ServerlessPlan) -> tuple[Mapping[str, Any], str]:
        """Return the request, its worst case, and what its sender must be allowed."""
        from cli.targets.emr_serverless.prepare import request_in_words

        return request_in_words(plan.data, plan.fleet, plan.prices, plan.options.attempts, plan.timeout_minutes)

    def submit(self, plan: ServerlessPlan, tell: Tell) -> SubmittedRun:
        """Send the run once, to an application that has the image; cancel it if the service takes another image."""
        from cli.targets.emr_serverless import prepare

        clients, config, params = plan.clients, settings(), plan.params
        digest = retry_throttled(
            clients, lambda: prepare.prepare_image(clients, plan.deployed, plan.application, params.run_id, config), tell
        )
        where = {"application_id": plan.data["applicationId"], "region": clients.region}
        run = SubmittedRun(params.run_id, self.name, params.output, datetime.now(UTC).isoformat(), where, plan.data)
        run = job_runs.send(clients, config.state, run, tell)
        if digest:
            job_runs.verify_image(clients, run, digest, tell)
        return run

    def follow(self, run: SubmittedRun, tell: Tell) -> Ended:
        from cli.targets.emr_serverless.watch import watch

        return watch(_clients(run), run, settings(), tell)

    def resolve(self, run_id: str | None, tell: Tell) -> SubmittedRun | None:
        """Return a run of the application that the stack has. Raises UsageError if there is none, or no application."""
        from cli.targets.emr_serverless.prepare import deployed

        clients = connect()
        application = deployed(clients).application_id
        if application is None:
            raise UsageError("there is no application, so there are no runs", "start a run with `fruitsctl run … --serverless`")
        found = retry_throttled(clients, lambda: job_runs.find(clients, application, run_id), tell)
        if found is None:
            raise UsageError(f"no run `{run_id or ''}` on EMR Serverless", "start a run with `fruitsctl run … --serverless`")
        return found

    def describe(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        from cli.targets.emr_serverless import follow

        clients, run, job_run = _asked(run, tell)
        state, details = state_of(job_run), redact(job_run.get("stateDetails", ""))
        if state.ended:
            outcome = follow.outcome_of(clients, run, job_run, tell)
            return RunStatus(state, job_run["state"], details, job_run.get("attempt", 1), outcome=outcome)
        return RunStatus(state, job_run["state"], details, job_run.get("attempt", 1), latest_progress(clients, LogLocation.of(job_run)))

    def logs(self, run: SubmittedRun, follow: bool, stderr: bool, tell: Tell) -> Iterator[LogLine]:
        """Yield the driver's log: live from CloudWatch, else from the bucket."""

        clients, run, job_run = _asked(run, tell)

        def over() -> bool:
            return state_of(job_runs.get_job_run(clients, run.where["application_id"], str(run.job_run_id))).ended

        yield from driver_log(clients, LogLocation.of(job_run), run, follow, "stderr" if stderr else "stdout", over, tell)

    def cancel(self, run: SubmittedRun, tell: Tell) -> RunStatus:
        from cli.targets.emr_serverless.follow import wait_until_over

        clients, run, job_run = _asked(run, tell)
        if not state_of(job_run).ended:
            if job_run["state"] != "CANCELLING":
                retry_throttled(clients, lambda: job_runs.cancel(clients, run), tell)
            tell(f"Run {run.run_id}: waiting until its workers have stopped")
            job_run = wait_until_over(clients, run, tell)
        return RunStatus(state_of(job_run), job_run["state"])

    def ui(self, run: SubmittedRun, tell: Tell) -> str:
        """Return a link that opens without a login for an hour."""

        clients, run, _ = _asked(run, tell)
        return retry_throttled(clients, lambda: job_runs.dashboard(clients, run), tell)

    def cost(self, run: SubmittedRun, tell: Tell) -> float | None:
        """Return USD of the workers, stored beside OUTPUT once it is known."""
        from cli.targets.emr_serverless.watch import store_cost, stored_cost

        usd = stored_cost(_clients(run), run)
        if usd is not None:
            return usd
        clients, run, job_run = _asked(run, tell)
        return store_cost(clients, run, job_run) if state_of(job_run).ended else None


def _clients(run: SubmittedRun) -> Clients:
    return Clients(connect().session, run.where["region"])


def _asked(run: SubmittedRun, tell: Tell) -> tuple[Clients, SubmittedRun, dict[str, Any]]:
    """
    Return clients of the run's Region, the run with the service's id, and GetJobRun's answer.

    Raises:
        UsageError: the service does not have the run.
        FruitsError: no credentials, or AWS refuses.
    """

    clients = _clients(run)

    def ask() -> tuple[SubmittedRun, dict[str, Any]]:
        known = job_runs.resolved(clients, settings().state, run)
        return known, job_runs.get_job_run(clients, known.where["application_id"], str(known.job_run_id))

    known, job_run = retry_throttled(clients, ask, tell)
    return clients, known, job_run
