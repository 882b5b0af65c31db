"""The Typer app; the one place that turns an error into words on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import __version__
from cli.commands.aws import cost, data, eks, image, image_push, infra
from cli.commands.results import forget, identify, report, serve
from cli.commands.run import demo, notebook, run, runs
from cli.commands.setup import doctor, init, sample
from cli.ui.boundary import explain
from cli.ui.examples import examples
from cli.ui.output import say_error

app = typer.Typer(
    name="fruitsctl",
    help="Fruit photos to MobileNetV2 features and a PCA matrix, with Spark. Runs on Linux, macOS and WSL2.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # plain help: importing what draws boxes takes longer than all the rest of `--help`
)
app.command(epilog=examples("run"))(run.run)
app.command(epilog=examples("status"))(runs.status)
app.command(epilog=examples("logs"))(runs.logs)
app.command(epilog=examples("cancel"))(runs.cancel)
app.command(epilog=examples("ui"))(runs.ui)
app.command(epilog=examples("cost"))(cost.cost)
app.command(epilog=examples("report"))(report.report)
app.command(epilog=examples("identify"))(identify.identify)
app.command(epilog=examples("notebook"))(notebook.notebook)
app.command(epilog=examples("serve"))(serve.serve)
app.command(epilog=examples("forget"))(forget.forget)
app.command(epilog=examples("sample"))(sample.sample)
app.command(epilog=examples("demo"))(demo.demo)
app.command(epilog=examples("doctor"))(doctor.doctor)
app.command(epilog=examples("init"))(init.init)
image.app.command(epilog=examples("image push"))(image_push.push)
app.add_typer(image.app, name="image")
app.add_typer(data.app, name="data")
app.add_typer(eks.app, name="eks")
app.add_typer(infra.app, name="infra")


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
