"""No command takes an option that has no effect: it says so, and where the option belongs."""

import pytest
import typer.main

from cli.commands.app import app
from cli.commands.run import notebook
from cli.errors import UsageError

ROOT = typer.main.get_command(app)
NOTEBOOK = ROOT.commands["notebook"]


def error_of(*arguments):
    with pytest.raises(UsageError) as raised:
        ROOT.main([str(argument) for argument in arguments], "fruitsctl", standalone_mode=False)
    assert raised.value.exit_code == 2
    return str(raised.value), raised.value.hint


PLACES = {
    notebook.OPEN: [],
    notebook.EXECUTE: ["--execute"],
    notebook.COMPOSE: ["--compose"],
    notebook.COMPOSE_EXECUTE: ["--compose", "--execute"],
    notebook.SERVERLESS: ["--serverless"],
}
FOR_ALL = {"compose_", "serverless", "input", "output", "dry_run", "as_json"}


def words(name):
    parameter = next(found for found in NOTEBOOK.params if found.name == name)
    if not parameter.opts[0].startswith("--"):
        return ["folder"]
    return [parameter.opts[0]] if getattr(parameter, "is_flag", False) else [f"{parameter.opts[0]}=5"]


def test_the_notebooks_table_has_every_option_that_is_not_for_all():
    assert set(notebook.TAKEN_BY) == {parameter.name for parameter in NOTEBOOK.params} - FOR_ALL


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, taken_by in notebook.TAKEN_BY.items() for place in PLACES if place not in taken_by and name != "execute"],
)
def test_a_notebook_refuses_the_options_of_other_places(name, place):
    said, hint = error_of("notebook", *PLACES[place], *words(name))

    shown = words(name)[0].partition("=")[0].replace("folder", "FOLDER")
    assert said.startswith(f"`{shown}` cannot be used with ")
    assert hint == f"remove it: {shown} needs {' or '.join(sorted(notebook.TAKEN_BY[name]))}"


def test_a_notebook_on_the_service_is_always_executed():
    assert error_of("notebook", "--serverless", "--execute")[0] == "`--execute` cannot be used with `--serverless`"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("doctor", "out", "--aws"), "`OUTPUT` cannot be used with `--aws`"),
        (("cost", "r1", "--month", "2026-11"), "`RUN_ID` and `--month` cannot be combined"),
        (("image", "push", "ghcr.io/me/fruits", "--region", "eu-west-1"), "`--region` cannot be used with `ghcr.io/me/fruits`"),
        (("image", "push", "--kms-key", "arn"), "`--kms-key` is given without `--create-repository`"),
        (("infra", "policy", "operator", "--vpc"), "`--vpc` cannot be used with `operator`"),
        (("infra", "policy", "operator", "--budget"), "`--budget` cannot be used with `operator`"),
    ],
)
def test_an_option_without_effect_is_refused(arguments, said):
    assert error_of(*arguments)[0] == said
