"""Run the commands of README and of the page about own photos in an empty folder, on the published photos."""

import re

import pytest

from tests.docs.test_readme import block, commands


def shape(text):
    """Return the lines of `text` with every number as 0 and every run of blanks as one: what stays the same from run to run."""
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
    done = fruitsctl("demo", "build/demo", cwd=folder)

    shown, printed = shape(block("demo").strip()), iter(shape(done.stdout.strip()))
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(shown) == 8
    assert [line for line in shown if line not in printed] == []  # an iterator: each line is looked for after the one before
