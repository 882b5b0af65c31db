"""The index of decisions: it lists every page with the page's own number, title, date and status."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
HEAD = re.compile(r"# (\d+)\. (.+)\n\n- Date: (\d{4}-\d\d-\d\d)\n- Status: (.+)\n\n## Context\n")
ROW = re.compile(r"\| (\d+) \| \[(.+)\]\((.+)\) \| (.+) \| (.+) \|")
STATUS = re.compile(r"(accepted|proposed|superseded by \[decision \d+\]\(\d{4}-[a-z0-9-]+\.md\))(, .+)?")


def head(page):
    """Number, title, date and status as the page states them; None if the page does not begin in this form."""
    found = HEAD.match(page.read_text(encoding="utf-8"))
    return found and found.groups()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_decision_begins_with_its_number_title_date_and_status(page):
    found = head(page)

    assert found, "the page begins with `# N. TITLE`, `- Date: YYYY-MM-DD`, `- Status: …` and `## Context`"
    number, _, _, status = found
    assert number == str(int(page.name[:4]))
    assert STATUS.fullmatch(status)


def test_numbers_have_no_gap_and_no_duplicate():
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


def test_the_index_lists_every_decision_as_its_page_states_it():
    rows = ROW.findall((FOLDER / "index.md").read_text(encoding="utf-8"))
    listed = {name: (number, title, date, status) for number, title, name, date, status in rows}

    assert listed == {page.name: head(page) for page in PAGES}
    assert list(listed) == [page.name for page in PAGES]
