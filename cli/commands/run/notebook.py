"""`fruitsctl notebook`: JupyterLab with the two notebooks, here or in the local stack; or one executed as a run on EMR Serverless."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from cli.billing.sizing import DEFAULT_EXECUTORS
from cli.errors import UsageError
from cli.settings.config import Settings, settings
from cli.settings.folders import local
from cli.targets import compose
from cli.targets.emr_serverless import run as run_serverless
from cli.targets.local import notebooks
from cli.targets.options import refuse_foreign
from cli.ui.output import emit, say
from job.contract.locations import check_folder, check_no_overlap
from job.contract.params import DEFAULT_COMPONENTS, Params, RangeError
from job.contract.uris import from_text, join

OPEN, EXECUTE, COMPOSE, COMPOSE_EXECUTE, SERVERLESS = (
    "a local JupyterLab",
    "--execute",
    "--compose",
    "--compose --execute",
    "--serverless",
)
# The options that do not belong to every target; for those of `run` see cli/targets/options.py.
TAKEN_BY = {
    "folder": {OPEN, EXECUTE, COMPOSE_EXECUTE},
    "port": {OPEN},
    "browser": {OPEN},
    "execute": {EXECUTE, COMPOSE_EXECUTE},  # --serverless always executes
    "components": {SERVERLESS},
    "variance": {SERVERLESS},
    "detach": {SERVERLESS},
    "max_cost": {SERVERLESS},
    "executors": {SERVERLESS},
    "executor_memory": {SERVERLESS},
    "timeout": {SERVERLESS},
    "run_id": {SERVERLESS},
    "yes": {SERVERLESS},
}
IN_THE_IMAGE = "/opt/fruits/notebooks/cloud.ipynb"  # see Dockerfile


def notebook(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(help="Where the notebooks are, and are put if they are not.")] = "notebooks",
    compose_: Annotated[bool, typer.Option("--compose", help="JupyterLab of the local stack, on its cluster.")] = False,
    serverless: Annotated[
        bool, typer.Option("--serverless", help="Execute cloud.ipynb as a run on EMR Serverless; it is stored in the run.")
    ] = False,
    input: Annotated[  # noqa: A002
        str | None, typer.Option("--input", help="For cloud.ipynb. [default: fruits.toml, or the stack's bucket]")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", help="For cloud.ipynb. [default: fruits.toml, or the stack's bucket]")] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="On 127.0.0.1.")] = notebooks.PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    execute: Annotated[
        bool, typer.Option("--execute", help="Open nothing: run all cells of local.ipynb, or with --compose of cloud.ipynb.")
    ] = False,
    components: Annotated[
        int | None, typer.Option(min=1, help=f"With --serverless: components to keep. [default: {DEFAULT_COMPONENTS}]")
    ] = None,
    variance: Annotated[float | None, typer.Option(help="With --serverless, instead: keep as many as explain this share.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With --serverless: send it and do not wait.")] = False,
    max_cost: run_serverless.MaxCost = None,
    executors: Annotated[
        int | None,
        typer.Option(min=1, help=f"With --serverless: maximum number. [default: {DEFAULT_EXECUTORS}, fewer if the quota is small]"),
    ] = None,
    executor_memory: run_serverless.ExecutorMemory = None,
    timeout: run_serverless.Timeout = None,
    run_id: Annotated[str | None, typer.Option(hidden=True)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the application is made.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started, start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
) -> None:
    """Open the notebooks: the chain step by step, to run and show."""
    if compose_ and serverless:
        raise UsageError("`--compose`, `--serverless` cannot be combined", "choose one target")
    target = SERVERLESS if serverless else (OPEN, EXECUTE, COMPOSE, COMPOSE_EXECUTE)[2 * compose_ + execute]
    refuse_foreign(context, target, TAKEN_BY)
    place = local(folder, "give a local folder")
    config = settings()
    if serverless:
        wishes = run_serverless.Wishes(
            detach, executors, executor_memory, timeout_minutes=timeout, max_cost=max_cost, yes=yes, dry_run=dry_run, as_json=as_json
        )
        identity = run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"
        execute_there(identity, input or config.input, output or config.output, components, variance, config, wishes)
        return
    if compose_:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        todo, copied = notebooks.plan_compose(compose.program(), input, output, terminal, execute), []
    else:
        config = replace(config, input=input or config.input, output=output or config.output)
        check_folder(str(place))
        todo = notebooks.plan_here(place, port, browser, execute, config)
        copied = [] if dry_run else notebooks.copy(place)
    if compose_:
        compose.require_file()
    if dry_run:
        emit(asdict(todo), todo.as_shell(), as_json)
        return
    if compose_:
        compose.require_stack()
    for name in copied:
        say(f"{place / name}: new")
    if execute:
        path = place / "executed" / (notebooks.CLOUD if compose_ else notebooks.LOCAL)
        notebooks.execute(todo, path)
        emit({"executed": str(path), "copied": copied}, f"Executed notebook: {path}", as_json)
        return
    token = notebooks.new_token()
    address = f"{todo.address}?token={token}"
    emit({"address": address, "copied": copied}, f"JupyterLab is starting; press Ctrl-C to stop\n  {address}", as_json)
    notebooks.open_jupyterlab(todo, token)


def execute_there(
    run_id: str,
    source: str | None,
    target: str | None,
    components: int | None,
    variance: float | None,
    config: Settings,
    wishes: run_serverless.Wishes,
) -> None:
    """
    As `fruitsctl run --serverless`, but the driver executes cloud.ipynb.

    Raises:
        FruitsError: the run cannot be sent, or a cell failed; what was executed is stored all the same.
    """
    stored = []

    def make_params(source: str, target: str) -> Params:
        places = from_text(source), from_text(target)
        check_no_overlap(*places)
        stored.append(join(places[1], "runs", run_id, Path(IN_THE_IMAGE).name))
        try:
            return Params(*places, run_id, components=components, variance=variance, notebook=IN_THE_IMAGE)
        except RangeError as error:
            raise UsageError(str(error), error.hint) from error

    run_serverless.run(make_params, source, target, config, wishes)
    if not wishes.dry_run:
        say(f"Executed notebook{', available when the run has finished' if wishes.detach else ''}: {stored[-1]}")
