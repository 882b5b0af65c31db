"""Which language a visitor reads, and that both have all words."""

import re
from pathlib import Path

import pytest

from job.product.web.html import words
from job.product.web.html.words import WORDS, language_of

TEMPLATES = Path(words.__file__).parent / "templates"


def test_both_languages_have_the_same_words_and_the_same_gaps():
    assert set(WORDS["en"]) == set(WORDS["fr"])
    for name, text in WORDS["en"].items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", WORDS["fr"][name]), name


def test_every_word_is_used():
    used = "".join(path.read_text(encoding="utf-8") for path in [*TEMPLATES.glob("*.html"), *TEMPLATES.parent.glob("*.py")])
    shown_by_name = {"unknown", "unreadable", *(name for name in WORDS["en"] if name.startswith("error."))}

    assert {name for name in WORDS["en"] if f"words.{name}" not in used and f'["{name}"]' not in used} <= shown_by_name


@pytest.mark.parametrize(
    ("wanted", "accept", "language"),
    [
        (None, "", "en"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        (None, "de, en;q=0.5, fr;q=0.7", "fr"),
        (None, "en-GB,en;q=0.9,fr;q=0.8", "en"),
        (None, "fr;q=0, de", "en"),
        (None, "FR", "fr"),
        (None, ";;;q=,,fr;q=x", "en"),
        ("en", "fr", "en"),
        ("fr", "en", "fr"),
        ("de", "fr", "fr"),
    ],
)
def test_the_language_is_what_was_asked_for_or_what_the_browser_prefers(wanted, accept, language):
    assert language_of(wanted, accept) == language
