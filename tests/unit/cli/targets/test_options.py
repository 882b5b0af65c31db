"""An option of `run` that the chosen target does not take is an error; none is ignored."""

from dataclasses import fields

import pytest
import typer.main

from cli.commands.app import app
from cli.commands.run.run import COMMON
from cli.errors import UsageError
from cli.settings.release import BASES
from cli.targets.compose import process as compose
from cli.targets.options import PANELS, declared
from cli.targets.registry import TARGETS, options, taken_by
from cli.ui.given_options import refuse_foreign
from job.contract.params import Params

COMMAND = typer.main.get_command(app).commands["run"]
FLAGS = [f"--{target.name}" for target in TARGETS]
RUN = taken_by(("input", "output", *COMMON))
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
    assert set(RUN) == {parameter.name for parameter in COMMAND.params} - {target.name for target in TARGETS}


@pytest.mark.parametrize("target", FLAGS)
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


def test_the_targets_take_these_options_and_no_others():
    """The table is made from the dataclasses; this is what it must come to."""
    own = {target.name: {one.name for one in declared(target.options)} - {"dry_run", "as_json"} for target in TARGETS}

    assert own == {
        "local": {"weights", "content_hash"},
        "compose": set(),
        "submit": {"weights", "content_hash", "master"},
        "serverless": {"detach", "executors", "attempts", "max_cost", "executor_memory", "images", "deadline", "timeout", "yes"},
        "eks": {"detach", "executors", "attempts", "virtual_cluster", "execution_role", "image", "log_group"},
    }


@pytest.mark.parametrize("name", [name for name, targets in RUN.items() if targets != set(FLAGS)])
def test_help_names_the_targets_of_an_option(name):
    text = next(parameter for parameter in COMMAND.params if parameter.name == name).help
    offered = {f"--{target.name}" for target in TARGETS if target.offered}

    assert {target for target in FLAGS if target in text} == (RUN[name] & offered or RUN[name])


def test_every_option_has_a_panel_and_the_panels_are_in_order():
    help_ = COMMAND.get_help(COMMAND.make_context("run", [], resilient_parsing=True))
    heads = [line.rstrip(":") for line in help_.splitlines() if line.rstrip(":") in PANELS]

    assert {one.option.panel for one in options()} <= set(PANELS)
    assert heads == ["Target", "PCA", "Features", "Reliability", "Serverless size and cost", "EMR on EKS", "Output"]


def test_an_option_is_declared_once_where_targets_share_it():
    """Two targets with an option of one name have it from one class: its help, type and default are the same."""
    for one in options():
        assert (
            len(
                {
                    (found.type, found.default, found.option)
                    for target in TARGETS
                    for found in declared(target.options)
                    if found.name == one.name
                }
            )
            == 1
        )


def test_all_foreign_options_are_named_together():
    error = error_of("a", "b", "--local", "--deadline", "3", "--executors", "9", "--timeout", "60", "--detach")

    assert {flag.strip("` ") for flag in str(error).partition(" cannot")[0].split(",")} == {
        "--detach",
        "--executors",
        "--deadline",
        "--timeout",
    }
    assert str(error).endswith(" cannot be used with `--local`")
    assert error.hint.startswith("remove them: ")
    assert "--detach needs --eks or --serverless" in error.hint


def test_a_default_given_by_hand_is_refused_like_any_other_value():
    assert str(error_of("a", "b", "--local", "--attempts", "1")) == "`--attempts` cannot be used with `--local`"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a", "b", "--serverless", "--images", "5"), "`--images` is given without `--deadline`"),
        (("a", "b", "--serverless", "--max-cost", "nan"), "`nan` is not a valid value of `--max-cost`"),
        (("a", "b", "--serverless", "--deadline", "inf"), "`inf` is not a valid value of `--deadline`"),
        (("s3://a/b", "c", "--local", "--content-hash"), "`--content-hash` cannot be used with `s3://a/b`"),
        (("a", "b", "--local", "--model", "mean_colour", "--weights", "w.h5"), "`--weights` cannot be used with `--model mean_colour`"),
        (("a", "b", "--local", "--model", "mean_colour", "--engine", "litert"), "`--engine` cannot be used with `--model mean_colour`"),
    ],
)
def test_an_option_without_effect_on_this_run_is_refused(arguments, said):
    assert str(error_of(*arguments)) == said


def test_the_command_inside_the_stack_takes_every_option_that_the_stack_is_given(monkeypatch):
    monkeypatch.delenv("SPARK_HOME", raising=False)
    params = Params("s3://a/b", "s3://a/c", "r1", model="mean_colour", limit=5, target="compose")
    inside = compose.plan(params, [], as_json=False, terminal=True).command

    assert str(error_of(*inside[inside.index("run", 1) + 1 :])) == "SPARK_HOME is not set"


def test_an_image_is_built_for_a_target():
    """`image build --target` and `run --<target>` have one word for one thing."""
    assert set(BASES) <= {target.name for target in TARGETS}


def test_two_targets_are_refused():
    error = error_of("a", "b", "--local", "--serverless")

    assert (str(error), error.hint, error.exit_code) == ("`--local`, `--serverless` cannot be combined", "choose one target", 2)


def test_without_a_target_the_hint_names_them():
    error = error_of("a", "b")

    assert (str(error), error.hint) == ("no target given", "add --local, --compose, --serverless or --eks")


@pytest.fixture
def settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("FRUITS_TARGET", "FRUITS_CONFIG", "SPARK_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "fruits.toml"


def test_settings_of_the_file_and_the_environment_are_no_options(settings_file, monkeypatch):
    settings_file.write_text('input = "photos"\nproject = "mine"\n[serverless]\nmax_cost = 2\n')
    for variable in ("FRUITS_OUTPUT", "AWS_REGION", "FRUITS_DRIVER_MEMORY"):
        monkeypatch.setenv(variable, "eu-west-3")

    error = error_of("--compose")

    assert str(error).endswith("is not accessible from the local stack")


def test_the_target_of_the_file_is_used_where_no_flag_names_one(settings_file, monkeypatch):
    settings_file.write_text('target = "submit"\n')
    assert str(error_of("s3://a/b", "s3://a/c", "--model", "mean_colour")) == "SPARK_HOME is not set"
    assert str(error_of("a", "b", "--compose")).endswith("is not accessible from the local stack")

    monkeypatch.setenv("FRUITS_TARGET", "compose")
    assert str(error_of("a", "b")).endswith("is not accessible from the local stack")


def test_a_foreign_option_is_refused_also_where_the_file_names_the_target(settings_file):
    settings_file.write_text('target = "local"\n')

    assert str(error_of("a", "b", "--deadline", "3")) == "`--deadline` cannot be used with `--local`"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('target = "mars"', "unknown target `mars`", "use local, compose, submit, serverless or eks"),
        (
            'target = "local"\n[mars]\nx = 1',
            "unknown table `[mars]` in fruits.toml",
            "use [local], [compose], [submit], [serverless] or [eks]",
        ),
        ('target = "local"\n[eks]\nmax_cost = 1', "unknown option `max_cost` in `[eks]` of fruits.toml", "use virtual_cluster, "),
        (
            'target = "local"\n[serverless]\nmax_cost = "2"',
            "value of `max_cost` in `[serverless]` of fruits.toml is not a number: `2`",
            "write it",
        ),
        (
            'target = "local"\n[serverless]\nexecutors = 0',
            "value of `executors` in `[serverless]` of fruits.toml is out of range: `0`",
            "give at least 1",
        ),
        (
            'target = "local"\n[serverless]\ntimeout = true',
            "value of `timeout` in `[serverless]` of fruits.toml is not a whole number: `True`",
            "write it",
        ),
        ('target = "serverless"\n[serverless]\nyes = true', "unknown option `yes` in `[serverless]` of fruits.toml", "use "),
        ('target = "serverless"\n[serverless]\nmax_cost = nan', "`nan` is not a valid value of `--max-cost`", "give a finite number"),
        ('target = "serverless"\n[serverless]\nimages = 3', "`--images` is given without `--deadline`", "add --deadline MINUTES"),
    ],
)
def test_a_wrong_target_or_table_is_named(settings_file, text, said, hint):
    settings_file.write_text(text + "\n")
    error = error_of("a", "b")

    assert (str(error), error.exit_code) == (said, 2)
    assert error.hint.startswith(hint)


def test_options_of_the_file_are_the_targets_and_the_command_line_beats_them(settings_file):
    from cli.settings.config import settings
    from cli.targets.registry import named, options_of

    settings_file.write_text("[eks]\nvirtual_cluster = 'abc'\nexecutors = 3\n")
    values = {field.name: field.default for field in fields(named("eks").options)} | {"executors": 7}

    assert options_of(named("eks"), values, {"executors"}, settings()).executors == 7
    assert options_of(named("eks"), values, (), settings()).executors == 3
    assert options_of(named("eks"), values, (), settings()).virtual_cluster == "abc"
