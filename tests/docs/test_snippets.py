"""The Python on the pages of docs/ that shows its output: it prints just that."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNIPPET = re.compile(r"<!-- snippet -->\n```python\n(.*?)```\n\n```text\n(.*?)```", re.S)
FOUND = [
    (page.relative_to(ROOT).as_posix(), *snippet)
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for snippet in SNIPPET.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "code", "shown"), FOUND, ids=[f"{page} {number}" for number, (page, _, _) in enumerate(FOUND)])
def test_a_snippet_prints_what_the_page_shows(page, code, shown):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr, done.stdout) == (0, "", shown)


def test_every_marked_snippet_is_found():
    marks = sum(page.read_text(encoding="utf-8").count("<!-- snippet -->") for page in (ROOT / "docs").rglob("*.md"))

    assert len(FOUND) == marks > 5
