"""Every default that help names is the one that the code uses."""

import inspect
import re
from dataclasses import fields
from importlib.resources import files

import pytest
import typer.main
import yaml

from cli.aws.regions import PARIS
from cli.billing import sizing
from cli.commands.app import app
from cli.commands.aws.infra import SERVICE_WORDS
from cli.photos.drawn.generated import generate_photos
from cli.settings.config import SETTINGS
from cli.targets.emr_serverless import prepare
from cli.targets.emr_serverless.options import ServerlessOptions
from job.contract.params import DEFAULT_COMPONENTS, Params


class Template(yaml.SafeLoader):
    """CloudFormation's short forms are read as nothing."""


Template.add_multi_constructor("!", lambda loader, suffix, node: None)


def of_template(name, parameter):
    return yaml.load((files("cli.infra") / "templates" / f"{name}.yaml").read_text(), Template)["Parameters"][parameter]["Default"]


def commands(command, name=""):
    for word, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, command


COMMANDS = dict(commands(typer.main.get_command(app)))
# Of an option whose own default is None: the value that the code takes then. Asked of the code that takes it, where there is a way.
CODE = {
    "components": DEFAULT_COMPONENTS,  # used by job/stages/pca.py and by help alike
    "executors": sizing.fleet(None, None, None, quota_vcpu=1000).max_executors,
    "executor_memory": sizing.fleet(None, None, None).executor.memory_gb,
    "timeout": prepare.timeout_for(None, None, ServerlessOptions()),
    "seed": inspect.signature(generate_photos).parameters["seed"].default,
    "region": PARIS,
    "project": next(setting.default for setting in SETTINGS if setting.name == "project"),
    "log_days": of_template("base", "LogDays"),
    "max_vcpu": of_template("app", "MaxVcpu"),
    "architecture": next(word for word, service in SERVICE_WORDS.items() if service == of_template("app", "Architecture")),
    "budget_usd": of_template("budget", "Usd"),
}


def spelt():
    """(command, option, what help says after `default:`) of each option that spells its default out."""
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if found := re.search(r"\[default: (.+?)\]", getattr(parameter, "help", None) or ""):
                yield name, parameter.name, found[1]


@pytest.mark.parametrize(
    ("command", "option", "said"), [case for case in spelt() if case[1] == "project" or re.search(r"\d", case[2].replace("s3://", ""))]
)
def test_a_default_that_help_spells_out_is_that_of_the_code(command, option, said):
    assert option in CODE, "help has a value, add where the code has it"
    assert re.findall(r"[\w-]*\d[\w-]*", said) in ([], [str(CODE[option])])
    assert re.search(rf"(?<![\w-]){re.escape(str(CODE[option]))}(?![\w-])", said)


def test_no_option_shows_two_defaults():
    for _, command in COMMANDS.items():
        for parameter in command.params:
            record = parameter.get_help_record(command.context_class(command))
            assert record is None or record[1].count("default: ") <= 1


@pytest.mark.parametrize(
    "field", [field for field in fields(Params) if field.name not in ("input", "output", "run_id", "cache", "notebook", "target")]
)
def test_an_option_of_run_has_the_default_of_the_jobs_argument(field):
    option = next(parameter for parameter in COMMANDS["run"].params if parameter.name == field.name)

    assert option.default == field.default


def test_the_data_stack_keeps_logs_as_long_as_the_base_stack():
    assert of_template("data", "LogDays") == of_template("base", "LogDays")


def test_infra_plan_takes_what_infra_up_takes():
    options = {name: {option.name: (option.help, option.opts) for option in COMMANDS[f"infra {name}"].params} for name in ("plan", "up")}

    assert options["up"].pop("dry_run")[1] == ["--dry-run"]
    assert options["plan"] == options["up"]
    assert len(options["plan"]) == 18
