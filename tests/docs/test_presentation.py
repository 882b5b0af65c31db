"""The slides, the demo script and the critical review: number of slides, links, commands, and the figures of the benchmarks page."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.billing import costs, prices, sizing
from cli.commands.app import app

ROOT = Path(__file__).parents[2]
BENCHMARKS = (ROOT / "docs" / "reference" / "benchmarks.md").read_text(encoding="utf-8")
PRESENTATION, EXPLANATION = ROOT / "docs" / "presentation", ROOT / "docs" / "explanation"
DECKS = [PRESENTATION / "slides.md", PRESENTATION / "slides.fr.md"]
REVIEWS = [EXPLANATION / "critical-review.md", EXPLANATION / "critical-review.fr.md"]
WITH_COMMANDS = [
    *DECKS,
    PRESENTATION / "demo-script.md",
    *REVIEWS,
    *(EXPLANATION / name for name in ("aws-services.md", "costs.md", "gdpr.md", "gdpr.fr.md")),
]
FRENCH = {"au moins": "at least", "au plus": "at most", " Mo": " MB", " Go": " GB"}


def slides(deck):
    """The text of each, without the settings at the top."""
    _, _, body = deck.read_text(encoding="utf-8").split("---\n", 2)
    return re.split(r"^---$", body, flags=re.M)


def english(cell):
    for french, word in FRENCH.items():
        cell = cell.replace(french, word)
    cell = re.sub(r"(?<=\d),(?=\d+x|\d\d? [GMs])", ".", cell)
    return re.sub(r"\s*:\s*", ": ", cell)


def measured(text):
    """Return (figure, target) of each table row with a target; a figure keeps its `**`, ranges and remarks in brackets are left out."""
    found = []
    for line in text.splitlines():
        cells = [english(cell.strip()) for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.search(r"\bat (least|most)\b", cells[-1]):
            found.append((re.sub(r"\s*\(.*", "", cells[-2]), cells[-1]))
    return found


def reaches(figure, target):
    """Return whether the figure of a row reaches the target of the row."""
    value, bound = (float(re.search(r"\d[\d,.]*", text).group().replace(",", "")) for text in (figure, target))
    return value >= bound if target.startswith("at least") else value <= bound


def commands(page):
    """Each `fruitsctl …` in a block of commands or between backticks, as words; `…` stands for what is left out."""
    text = page.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M))
    lines = [re.split(r"\s+#", line)[0] for line in blocks.splitlines()] + re.findall(
        r"`(fruitsctl [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S)
    )
    return [shlex.split(line.replace("…", "")) for line in lines if line.startswith("fruitsctl ")]


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.name)
def test_a_deck_has_twelve_to_fifteen_slides_each_with_a_title_and_notes(deck):
    found = slides(deck)

    assert 12 <= len(found) <= 15
    assert [len(re.findall(r"^# ", slide, re.M)) for slide in found] == [1] * len(found)
    assert all(len(re.findall(r"<!--\n.+?\n-->", slide, re.S)) == 1 for slide in found)


def test_both_languages_have_the_same_slides_with_the_same_pictures_figures_and_commands():
    ours, theirs = map(slides, DECKS)

    assert len(ours) == len(theirs)
    assert [re.findall(r"\]\((.+?)\)", slide) for slide in ours] == [
        [name.replace(".fr.svg", ".svg") for name in re.findall(r"\]\((.+?)\)", slide)] for slide in theirs
    ]
    assert [measured(slide) for slide in ours] == [measured(slide) for slide in theirs]
    assert commands(DECKS[0]) == commands(DECKS[1])


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_of_the_checkout(page):
    named = re.findall(r"\]\((?!\w+:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [name for name in named if not (page.parent / name).exists()] == []


def test_a_picture_that_is_missing_would_be_noticed():
    assert not (PRESENTATION / "no-such.svg").is_file()
    assert len(list(PRESENTATION.glob("*.svg"))) == 7


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_every_command_exists_with_its_options(page):
    found = commands(page)
    known = set(typer.main.get_command(app).commands)

    assert found
    assert [words for words in found if words[1] not in known] == []
    for words in found:
        done = CliRunner().invoke(app, [*words[1:], "--help"])  # comes last, after every option was understood
        assert done.exit_code == 0, (words, done.output)


@pytest.mark.parametrize("page", [*DECKS, *REVIEWS, EXPLANATION / "volume.md"], ids=lambda page: page.name)
def test_every_figure_with_a_target_is_one_of_the_benchmarks(page):
    known = measured(BENCHMARKS)
    found = measured(page.read_text(encoding="utf-8"))

    assert len(known) > 15
    assert len(found) > 8
    assert [row for row in found if row not in known] == []


@pytest.mark.parametrize("page", [*DECKS, *REVIEWS], ids=lambda page: page.name)
def test_no_figure_below_its_target_is_left_out(page):
    below = {row for row in measured(BENCHMARKS) if not reaches(*row)}

    assert below <= set(measured(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "page", [ROOT / "docs" / "reference" / "benchmarks.md", *DECKS, *REVIEWS, EXPLANATION / "volume.md"], ids=lambda page: page.name
)
def test_a_figure_is_bold_where_it_does_not_reach_its_target(page):
    rows = measured(page.read_text(encoding="utf-8"))

    assert [row for row in rows if row[0].startswith("**") == reaches(*row)] == []


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.name)
def test_what_a_run_costs_is_what_the_code_computes(deck):
    fleet, paris = sizing.fleet(None, None, None), prices.estimated_prices("eu-west-3", "x86_64")
    text = deck.read_text(encoding="utf-8")
    if deck.name.endswith(".fr.md"):
        text = re.sub(r"(\d),(\d+) \$", r"$\1.\2", re.sub(r"(?<=\d) (?=\d{3}\b)", ",", text)).replace("| 5,0 |", "| 5.0 |")
        text = text.replace("| 7,5 |", "| 7.5 |").replace("| 233,5 |", "| 233.5 |")
    rows = [
        f"| {n:,} | {sizing.minutes_for(n, 3):.1f} | ${costs.estimated_cost(fleet, paris, n):.2f} "
        f"| ${costs.request_cost(n, n):.{digits}f} |"
        for n, digits in ((1_000, 3), (100_000, 3), (9_048_300, 2))
    ]

    assert [row for row in rows if row not in text] == []
    assert f"${costs.fleet_hourly_cost(fleet, paris):.2f}" in text


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.name)
def test_what_broadcast_saves_is_what_the_page_computes(deck):
    page = (EXPLANATION / "broadcast.md").read_text(encoding="utf-8")
    slide = next(text for text in slides(deck) if "# Broadcast of" in text or "# Le broadcast" in text)
    numbers = re.search(r"unpacked (\d+) times, [\d,]+ MB\nby broadcast: sent (\d+) times, (\d+) MB; unpacked (\d+) times", page)

    assert numbers
    assert [number for number in numbers.groups() if not re.search(rf"\b{number}\b", slide)] == []
