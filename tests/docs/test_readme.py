"""README and the pages that it leads to: their commands exist, their figures are those of the code. tests/reference runs the commands."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.billing import costs, prices, sizing
from cli.commands.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN_PHOTOS = (ROOT / "docs" / "how-to" / "own-photos.md").read_text(encoding="utf-8")
AWS = (ROOT / "docs" / "how-to" / "aws.md").read_text(encoding="utf-8")


def block(name, page=README):
    """Return the fenced block after the comment `name`."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", page, re.S)
    assert found, name
    return found.group(1)


def commands_in(text):
    """Of each line that starts `fruitsctl`, without its comment and what takes its output."""
    lines = [command.strip() for line in text.splitlines() for command in re.split(r"  #| > ", line)[0].split("&&")]
    return [shlex.split(line) for line in lines if line.startswith("fruitsctl ")]


def commands():
    return commands_in(block("commands") + block("more-commands", OWN_PHOTOS))


def aws_commands():
    """README's, and those of the page that takes an account from nothing to a result; each once."""
    page = "".join(re.findall(r"```sh\n(.*?)```", AWS, re.S))
    return [shlex.split(line) for line in dict.fromkeys(map(shlex.join, commands_in(block("aws")) + commands_in(page)))]


def test_readme_is_short():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("words", aws_commands(), ids=" ".join)
def test_each_command_for_aws_exists_with_its_options(words):
    """The whole story of them runs in tests/aws; `--help` comes last, after every option was understood."""
    done = CliRunner().invoke(app, [*words[1:], "--help"])

    assert done.exit_code == 0, done.output


def test_an_option_that_is_none_would_be_noticed():
    assert CliRunner().invoke(app, ["infra", "up", "--no-such-option", "--help"]).exit_code == 2


def test_what_a_run_costs_is_what_the_code_computes():
    fleet, paris = sizing.fleet(None, None, None), prices.estimated_prices("eu-west-3", "x86_64")
    rows = [
        f"| {n:,} | {sizing.minutes_for(n, 3):.1f} | ${costs.estimated_cost(fleet, paris, n):.2f} | ${costs.request_cost(n, n):.3f} |"
        for n in (1_000, 10_000, 100_000)
    ]

    assert [row for row in rows if row not in AWS] == []
    assert f"${costs.fleet_hourly_cost(fleet, paris):.2f} an hour" in AWS
    assert f"180 minutes that is ${costs.round_up_cents(costs.worst_case(fleet, paris, 1, 180))}" in AWS
    assert f"`--max-cost 2` shortens the timeout to {costs.longest_timeout(2, fleet, paris, 1)} minutes" in AWS


def test_every_message_that_the_page_explains_is_one_that_is_said():
    source = "".join(path.read_text(encoding="utf-8") for folder in ("cli", "job") for path in sorted((ROOT / folder).rglob("*.py")))
    table = AWS.partition("| message | cause and fix |")[2]
    messages = [row.split("|")[1] for row in table.splitlines() if row.startswith("| ") and "---" not in row]
    parts = [part.strip(" :") for message in messages for part in message.split("…") if part.strip(" :")]

    assert len(messages) > 20
    assert [part for part in parts if part not in source] == []
