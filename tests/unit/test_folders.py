"""The code stays in folders and files that a reader takes in at a glance."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_ENTRIES = 12
MOST_LINES = 300
LONG = {"cli/photos/drawn/fruits.py": "one drawing for each kind of fruit"}  # file to the reason why it is not cut

FOLDERS = [
    ROOT / "job",
    ROOT / "cli",
    *(path for name in ("job", "cli") for path in (ROOT / name).rglob("*/") if path.name != "__pycache__"),
]
FILES = [path for name in ("job", "cli") for path in (ROOT / name).rglob("*.py")]


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_folder_has_at_most_a_dozen_entries(folder):
    entries = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")

    assert len(entries) <= MOST_ENTRIES, entries


def test_a_file_over_300_lines_has_a_reason():
    assert {path.relative_to(ROOT).as_posix() for path in FILES if lines_of(path) > MOST_LINES} == set(LONG)


def test_every_package_says_what_it_is_for():
    silent = [path for path in FILES if path.name == "__init__.py" and not path.read_text(encoding="utf-8").startswith('"""')]

    assert silent == []
