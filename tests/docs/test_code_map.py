"""The code map shows the imports as they are, and pages name files that exist."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs" / "site"))  # as MkDocs does it for a hook

import code_map  # noqa: E402

PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILE = re.compile(r"(?<![\w/.-])(?:cli|job|tests|docker|docs|supply|benchmarks)/[\w/-]+\.(?:py|yaml|sh|toml)\b")


def test_the_picture_is_that_of_the_imports():
    """`python docs/site/code_map.py` writes it again."""
    assert code_map.DIAGRAM.findall(code_map.PAGE.read_text(encoding="utf-8")) == [code_map.diagram()]


def test_an_import_that_follows_from_others_is_not_drawn():
    assert code_map.reduced({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}


def test_every_folder_is_described():
    folders = {f"{name}/{path.name}" for name in ("job", "cli") for path in (ROOT / name).iterdir() if (path / "__init__.py").exists()}

    assert set(re.findall(r"(?m)^\| `(\w+/\w+)` \|", code_map.PAGE.read_text(encoding="utf-8"))) == folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_file_that_a_page_names_exists(page):
    named = set(FILE.findall(page.read_text(encoding="utf-8")))

    assert {name for name in named if not (ROOT / name).exists()} == set()
