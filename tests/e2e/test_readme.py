"""README's commands, as they stand there, in an empty folder; what it shows is what is printed."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(name):
    """The fenced block after the comment `name`."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.S)
    assert found, name
    return found.group(1)


def commands():
    lines = [line.partition("  #")[0].strip() for line in block("commands").splitlines()]
    return [shlex.split(line) for line in lines if line]


def shape(text):
    """`text` with every number as 0 and every run of blanks as one: what stays the same from run to run."""
    return [re.sub(r"\s+", " ", re.sub(r"\d[\dTZ:,.]*(-[0-9a-f]{4})?", "0", line)).strip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize("words", [words for words in commands() if "s3://" not in " ".join(words)], ids=" ".join)
def test_each_command_works(fruitsctl, folder, words):
    assert words[0] == "fruitsctl"
    done = fruitsctl(*words[1:], cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_result_of_the_demo_is_shown_as_it_is_printed(fruitsctl, folder):
    fruitsctl("sample", "build/demo/photos", cwd=folder)
    done = fruitsctl("run", "build/demo/photos", "build/demo/out", "--local", cwd=folder)

    assert shape(block("demo").strip()) == shape(done.stdout.strip())
