"""Compare every quotation of a headline figure in README, docs and slides with docs/site/figures.toml, its only source."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = tomllib.loads((ROOT / "docs" / "site" / "figures.toml").read_text(encoding="utf-8"))["figure"]
MEASUREMENTS = {
    ROOT / "docs" / page for page in ("reference/benchmarks.md", "explanation/growth.md", "explanation/soak.md")
}  # sources, with ranges
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - MEASUREMENTS)]


def english(text):
    """Return the numbers of a French text as English writes them: 1 694,5 Mo is 1,694.5 MB, and 64,28 $ is $64.28."""
    text = re.sub(r"(?<=\d)[  \u202f](?=\d{3}\b)", "'", text)
    text = re.sub(r"(?<=\d),(?=\d)", ".", text).replace("'", ",").replace(" Mo", " MB").replace(" Go", " GB")
    return re.sub(r"([\d,]+\.\d\d) \$", r"$\1", text)


def statements(page):
    """Yield each table row with its header, and each sentence, on one line, without bold marks and outputs of commands."""
    text = page.read_text(encoding="utf-8").replace("**", "")
    text = english(text) if page.suffixes == [".fr", ".md"] else text
    for block in re.split(r"\n\s*\n", re.sub(r"```.*?```", "\n\n", text, flags=re.S)):
        if block.lstrip().startswith("|"):
            header, _, *rows = block.strip().splitlines()
            yield from (f"{row} {header}" for row in rows)
        else:
            yield from re.split(r"(?<=[.;!?]) +", " ".join(block.split()))


def quotations(figure, text):
    """Return the numbers of the figure's form in `text`, if it is about the figure."""
    return re.findall(figure["number"], text) if re.search(figure["about"], text, re.I) else []


def others(figure, page):
    """Return the statements of `page` that quote another number than the figure's."""
    allowed = {figure["value"], *figure["also"]}
    return [text for text in statements(page) if set(quotations(figure, text)) - allowed]


def name_of(figure):
    return figure["name"]


@pytest.mark.parametrize("figure", FIGURES, ids=name_of)
def test_the_source_has_the_figure(figure):
    page, words = figure["source"]

    assert words in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("figure", FIGURES, ids=name_of)
def test_no_page_quotes_another_number(figure):
    found = {page.relative_to(ROOT).as_posix(): others(figure, page) for page in PAGES}

    assert {page: texts for page, texts in found.items() if texts} == {}


@pytest.mark.parametrize("figure", FIGURES, ids=name_of)
def test_at_least_one_page_quotes_the_figure(figure):
    assert any(figure["value"] in quotations(figure, text) for page in PAGES for text in statements(page))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "One Python worker takes 165 MB."),
        ("page.fr.md", "| quoi | mesuré | objectif |\n| --- | --- | --- |\n| mémoire d'un processus Python | 1 065 Mo | au plus 400 Mo |"),
    ],
)
def test_an_edited_number_is_found_in_both_languages(tmp_path, name, text):
    page = tmp_path / name
    page.write_text(text, encoding="utf-8")
    memory = next(figure for figure in FIGURES if figure["value"] == "287 MB")

    assert others(memory, page) != []
    page.write_text(re.sub("165|1 065", "287", text), encoding="utf-8")
    assert others(memory, page) == []
