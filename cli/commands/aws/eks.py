"""`fruitsctl eks`: what belongs to runs on EMR on EKS beside `fruitsctl run … --eks`: the role's trust, a run's state, its end."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cli.aws.clients import connect
from cli.ui.examples import examples
from cli.ui.output import emit, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Runs on an EMR on EKS virtual cluster: role, state, cancel.")

JobRun = Annotated[str, typer.Argument(metavar="JOB_RUN_ID", help="As `run --eks` prints it.")]
VirtualCluster = Annotated[str, typer.Option("--virtual-cluster", metavar="ID", help="Of EMR on EKS.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


@app.command(epilog=examples("eks trust"))
def trust(
    virtual_cluster: VirtualCluster,
    role: Annotated[str, typer.Option(metavar="NAME", help="Of the execution role, not its ARN.")],
) -> None:
    """Print the trust policy of the role that the cluster's jobs assume.

    Changes nothing.
    """
    from cli.aws.session import aws_session
    from cli.targets.emr_eks.trust import trust_of

    session = aws_session()
    policy = trust_of(session, session.region_name, virtual_cluster, role)
    emit(policy, json.dumps(policy, indent=2), as_json=False)


@app.command(epilog=examples("eks status"))
def status(job_run: JobRun, virtual_cluster: VirtualCluster, as_json: AsJson = False) -> None:
    """Say how far a run is."""
    from cli.targets.emr_eks import follow

    _show(follow.describe(connect(), virtual_cluster, job_run, say), as_json)


@app.command(epilog=examples("eks cancel"))
def cancel(job_run: JobRun, virtual_cluster: VirtualCluster, as_json: AsJson = False) -> None:
    """Cancel a run and wait until it has ended."""
    from cli.targets.emr_eks import follow

    _show(follow.cancel(connect(), virtual_cluster, job_run, say), as_json)


def _show(job_run: dict[str, Any], as_json: bool) -> None:
    from cli.aws.redact import redact

    shown = {key: str(job_run[key]) for key in ("id", "name", "state", "createdAt", "finishedAt") if job_run.get(key)}
    if job_run.get("stateDetails"):
        shown["stateDetails"] = redact(job_run["stateDetails"])
    emit(shown, "\n".join(f"{key:<14}{value}" for key, value in shown.items()), as_json)
