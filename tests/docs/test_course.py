"""The pages for the course: commands and messages exist, both languages are alike, diagrams are drawn without a script."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.commands.app import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS / "site"))  # as MkDocs does it for a hook

import sequence  # noqa: E402

TWINS = [DOCS / name for name in ("course/index", "course/questions", "reference/faq", "reference/glossary")]
BRICKS = DOCS / "explanation" / "bricks"
SOURCE = "".join(path.read_text(encoding="utf-8") for folder in ("cli", "job") for path in sorted((ROOT / folder).rglob("*.py")))


def page(twin, language=""):
    return Path(f"{twin}{language}.md").read_text(encoding="utf-8")


def commands(text):
    """Return each `fruitsctl …` between backticks, as words, without variables before it."""
    return [shlex.split(found) for found in re.findall(r"`(?:[A-Z_]+=\S+ )?(fruitsctl [^`]+)`", text)]


def messages(text):
    """Return the first cell of each row of the tables of messages."""
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in rows if cell not in ("message", "reason", "raison", "---")]


@pytest.mark.parametrize("words", commands("".join(map(page, TWINS))), ids=" ".join)
def test_a_command_exists_with_its_options(words):
    done = CliRunner().invoke(app, [*words[1:], "--help"])

    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_both_languages_have_the_same_commands_tables_and_sections(twin):
    english, french = page(twin), page(twin, ".fr")

    assert commands(english) == commands(french)
    assert [len(re.findall(mark, english, re.M)) for mark in (r"^## ", r"^\| ", r"^\*\*\d+\. ")] == [
        len(re.findall(mark, french, re.M)) for mark in (r"^## ", r"^\| ", r"^\*\*\d+\. ")
    ]


def test_a_jury_asks_twenty_questions_each_with_a_link():
    answers = re.split(r"^\*\*\d+\. ", page(DOCS / "course" / "questions"), flags=re.M)[1:]

    assert len(answers) == 20
    assert [answer for answer in answers if "](" not in answer] == []


def test_every_message_of_the_faq_is_one_of_the_code():
    faq = DOCS / "reference" / "faq"
    parts = [part.strip(" :,`") for message in messages(page(faq)) for part in message.split("…")]

    assert messages(page(faq)) == messages(page(faq, ".fr"))
    assert len(parts) > 40
    assert [part for part in parts if part and part not in SOURCE] == []


def test_the_glossary_has_the_same_words_in_both_languages():
    glossary = DOCS / "reference" / "glossary"
    anchors = [re.findall(r'<a id="([a-z-]+)">', page(glossary, language)) for language in ("", ".fr")]

    assert anchors[0] == anchors[1]
    assert {"embedding", "etag", "lease", "moments", "chunk", "worker", "executor", "application", "run"} <= set(anchors[0])


def test_the_run_has_the_same_steps_in_both_languages():
    drawings = [sequence.read(sequence.FENCE.search(page(BRICKS, language))[1]) for language in ("", ".fr")]

    assert [[row[:3] for row in drawing.rows] for drawing in drawings] == [[row[:3] for row in drawings[0].rows]] * 2
    assert list(drawings[0].names) == list(drawings[1].names)


def test_a_diagram_is_drawn_and_its_words_are_escaped():
    text = "Before\n\n```mermaid\nsequenceDiagram\n  accTitle: Two\n  autonumber\n  participant A as One\n  participant B as Other\n"
    text += "  A->>B: a < b\n  Note over A,B: both\n  B-->>B: self\n```\n"
    drawn = sequence.drawn(text)

    assert drawn.startswith("Before\n\n<div")
    assert 'aria-label="Two"' in drawn
    assert ">1. a &lt; b</text>" in drawn
    assert ">2. self</text>" in drawn
    assert ">both</text>" in drawn
    assert "mermaid" not in drawn


@pytest.mark.parametrize(("line", "words"), [("A=>B: x", "is not known"), ("A->>C: x", "`C` is not a participant")])
def test_a_diagram_that_cannot_be_drawn_ends_the_build(line, words):
    with pytest.raises(ValueError, match=words):
        sequence.drawn(f"```mermaid\nsequenceDiagram\n  participant A as One\n  participant B as Other\n  {line}\n```")
