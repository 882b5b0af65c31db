"""An option of `run` that the chosen target does not take is an error; none is ignored."""

import pytest
import typer.main

from cli.commands.app import app
from cli.errors import UsageError
from cli.targets import compose
from cli.targets.options import RUN, Target, refuse_foreign
from job.contract.params import Params

COMMAND = typer.main.get_command(app).commands["run"]
FLAGS = {"local_", "compose_", "submit", "serverless", "eks"}
VALUES = {"model": "mean_colour", "engine": "tensorflow"}


def words(name):
    """The parameter `name` on a command line, with a value that it takes."""
    parameter = next(found for found in COMMAND.params if found.name == name)
    if not parameter.opts[0].startswith("--"):
        return ["a", "b"]
    if getattr(parameter, "is_flag", False):
        return [parameter.opts[0]]
    return [f"{parameter.opts[0]}={VALUES.get(name, 5)}"]


def error_of(*arguments):
    with pytest.raises(UsageError) as raised:
        COMMAND.main(list(arguments), "run", standalone_mode=False)
    return raised.value


def test_the_table_has_every_option_of_the_command_and_no_other():
    assert set(RUN) == {parameter.name for parameter in COMMAND.params} - FLAGS


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("name", RUN)
def test_an_option_is_taken_by_its_targets_and_refused_by_the_others(name, target):
    arguments = words(name)
    if target in RUN[name]:
        refuse_foreign(COMMAND.make_context("run", [target, *arguments]), target, RUN)
        return

    error = error_of(target, *arguments)

    flag = arguments[0].partition("=")[0]
    assert (error.exit_code, str(error)) == (2, f"`{flag}` cannot be used with `{target}`")
    assert error.hint == f"remove it: {flag} needs {' or '.join(sorted(RUN[name]))}"


@pytest.mark.parametrize("name", [name for name, targets in RUN.items() if targets != set(Target)])
def test_help_names_the_targets_of_an_option(name):
    text = next(parameter for parameter in COMMAND.params if parameter.name == name).help

    assert {target for target in Target if target in text} == RUN[name] - {Target.SUBMIT}


def test_all_foreign_options_are_named_together():
    error = error_of("a", "b", "--local", "--deadline", "3", "--executors", "9", "--timeout", "60", "--detach")

    assert str(error) == "`--detach`, `--executors`, `--deadline`, `--timeout` cannot be used with `--local`"
    assert error.hint.startswith("remove them: --detach needs --eks or --serverless, --executors needs ")


def test_a_default_given_by_hand_is_refused_like_any_other_value():
    assert str(error_of("a", "b", "--local", "--attempts", "1")) == "`--attempts` cannot be used with `--local`"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a", "b", "--serverless", "--images", "5"), "`--images` is given without `--deadline`"),
        (("s3://a/b", "c", "--local", "--content-hash"), "`--content-hash` cannot be used with `s3://a/b`"),
        (("a", "b", "--local", "--model", "mean_colour", "--weights", "w.h5"), "`--weights` cannot be used with `--model mean_colour`"),
        (("a", "b", "--local", "--model", "mean_colour", "--engine", "litert"), "`--engine` cannot be used with `--model mean_colour`"),
    ],
)
def test_an_option_without_effect_on_this_run_is_refused(arguments, said):
    assert str(error_of(*arguments)) == said


def test_the_command_inside_the_stack_takes_every_option_that_the_stack_is_given(monkeypatch):
    monkeypatch.delenv("SPARK_HOME", raising=False)
    inside = compose.plan(Params("s3://a/b", "s3://a/c", "r1", model="mean_colour", limit=5), [], as_json=False, terminal=True).command

    assert str(error_of(*inside[inside.index("run", 1) + 1 :])) == "SPARK_HOME is not set"


def test_two_targets_are_refused():
    error = error_of("a", "b", "--local", "--serverless")

    assert (str(error), error.hint, error.exit_code) == ("`--local`, `--serverless` cannot be combined", "choose one target", 2)


def test_without_a_target_the_hint_names_them():
    error = error_of("a", "b")

    assert (str(error), error.hint) == ("no target given", "add --local, --compose, --serverless or --eks")


def test_settings_of_the_file_and_the_environment_are_no_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fruits.toml").write_text('input = "photos"\nproject = "mine"\n')
    for variable in ("FRUITS_OUTPUT", "AWS_REGION", "FRUITS_DRIVER_MEMORY"):
        monkeypatch.setenv(variable, "eu-west-3")

    error = error_of("--compose")

    assert str(error).endswith("is not accessible from the local stack")
