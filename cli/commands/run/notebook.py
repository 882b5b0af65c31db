"""`fruitsctl notebook`: JupyterLab with the two notebooks, here or in the local stack; or one executed as a run on EMR Serverless."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import UsageError
from cli.settings.config import settings
from cli.settings.folders import local
from cli.targets.base import Target, TargetOptions
from cli.targets.compose import process as compose
from cli.targets.emr.request import check_run_id
from cli.targets.local import notebooks
from cli.targets.options import OUTPUT, PCA, option, takes
from cli.targets.registry import named, options_of, parameters
from cli.targets.runs.launch import launch, new_run_id
from cli.ui.given_options import given, refuse_foreign
from cli.ui.output import emit, say
from job.contract.locations import check_folder, check_no_overlap
from job.contract.params import DEFAULT_COMPONENTS, Params, RangeError, of_schedule
from job.contract.uris import from_text, join

OPEN, EXECUTE, COMPOSE, COMPOSE_EXECUTE, SERVERLESS = (
    "a local JupyterLab",
    "--execute",
    "--compose",
    "--compose --execute",
    "--serverless",
)
TAKEN = ("detach", "max_cost", "executors", "executor_memory", "timeout", "yes")  # of the options of EMR Serverless
# The options that do not belong to every way to open notebooks.
TAKEN_BY = {
    "folder": {OPEN, EXECUTE, COMPOSE_EXECUTE},
    "port": {OPEN},
    "browser": {OPEN},
    "execute": {EXECUTE, COMPOSE_EXECUTE},  # --serverless always executes
    **{name: {SERVERLESS} for name in (*TAKEN, "components", "variance", "run_id")},
}
IN_THE_IMAGE = "/opt/fruits/notebooks/cloud.ipynb"  # see Dockerfile


@dataclass(frozen=True)
class NotebookOptions:
    """What `notebook` has besides the options of EMR Serverless."""

    components: int | None = option(None, f"With --serverless: principal components to keep. [default: {DEFAULT_COMPONENTS}]", PCA, min=1)
    variance: float | None = option(None, "With --serverless, instead: keep as many as explain this share.", PCA)
    run_id: str | None = option(None, "", OUTPUT, hidden=True)


@takes(parameters(NotebookOptions, only=TAKEN, prefix="With --serverless"))
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started, start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
    **values: Any,
) -> None:
    """Open the notebooks: the chain step by step, to run and show."""
    if compose_ and serverless:
        raise UsageError("`--compose`, `--serverless` cannot be combined", "choose one target")
    target = SERVERLESS if serverless else (OPEN, EXECUTE, COMPOSE, COMPOSE_EXECUTE)[2 * compose_ + execute]
    refuse_foreign(context, target, TAKEN_BY)
    place = local(folder, "give a local folder")
    config = settings()
    if serverless:
        there = named("serverless")
        options = options_of(there, values | {"dry_run": dry_run, "as_json": as_json}, given(context), config)
        execute_there(there, options, values, (input or config.input, output or config.output))
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
    target: Target[Any, Any], options: TargetOptions, values: Mapping[str, Any], places: tuple[str | None, str | None]
) -> None:
    """
    Run the job as `fruitsctl run --serverless` does, but with the driver executing cloud.ipynb.

    Raises:
        FruitsError: the run cannot be sent, or a cell failed; the notebook is stored as far as it was executed.
    """
    run_id = of_schedule(values["run_id"] or new_run_id())
    check_run_id(run_id)
    stored = []

    def make_params(source: str, output: str) -> Params:
        uris = from_text(source), from_text(output)
        check_no_overlap(*uris)
        stored.append(join(uris[1], "runs", run_id, Path(IN_THE_IMAGE).name))
        try:
            return Params(
                *uris, run_id, components=values["components"], variance=values["variance"], notebook=IN_THE_IMAGE, target=target.name
            )
        except RangeError as error:
            raise UsageError(str(error), error.hint) from error

    launch(target, options, make_params, places)
    if not options.dry_run:
        say(f"Executed notebook{', available when the run has finished' if values['detach'] else ''}: {stored[-1]}")
