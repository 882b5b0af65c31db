"""The Typer app; the one place that turns an error into words on stderr and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cli import __version__
from cli.commands.aws import cost, data, eks, image, image_push, infra
from cli.commands.results import forget, identify, report, serve, teach
from cli.commands.run import demo, notebook, run, runs
from cli.commands.setup import doctor, init, sample
from cli.ui.boundary import explain
from cli.ui.examples import examples
from cli.ui.output import say_error
from cli.ui.panels import PanelCommand, PanelGroup

app = typer.Typer(
    name="fruitsctl",
    help="Fruit photos to MobileNetV2 features and a PCA matrix, with Spark. Runs on Linux, macOS and WSL2.",
    cls=PanelGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # plain help: importing what draws boxes takes longer than all the rest of `--help`
)
PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Work": {
        "run": run.run,
        "status": runs.status,
        "logs": runs.logs,
        "cancel": runs.cancel,
        "ui": runs.ui,
        "runs": runs.runs,
        "demo": demo.demo,
        "notebook": notebook.notebook,
    },
    "Results": {
        "report": report.report,
        "identify": identify.identify,
        "teach": teach.teach,
        "serve": serve.serve,
        "forget": forget.forget,
    },
    "AWS": {"cost": cost.cost},
    "Setup": {"sample": sample.sample, "doctor": doctor.doctor, "init": init.init},
}
GROUPS = {"image": image.app, "data": data.app, "eks": eks.app, "infra": infra.app}  # of panel AWS
image.app.command(epilog=examples("image push"))(image_push.push)
for panel, commands in PANELS.items():
    for name, command in commands.items():
        app.command(name, epilog=examples(name), cls=PanelCommand, rich_help_panel=panel)(command)
    if panel == "AWS":
        for name, group in GROUPS.items():
            app.add_typer(group, name=name, rich_help_panel=panel)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fruitsctl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by a guard, 130 interrupted, 143 by SIGTERM."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the edge of the command: its user is owed one line, not a traceback
        ended = explain(error)
        say_error(str(ended), ended.hint)
        sys.exit(ended.exit_code)
