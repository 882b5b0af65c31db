"""The calls that docs/reference/output.md gives to read a table, on a table with superseded rows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "output.md"
LIST, *READERS = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8").partition("## Read the tables")[2].partition("\n## ")[0], re.S
)
LIBRARIES = ("pandas", "duckdb", "polars")


@pytest.fixture(scope="module")
def out(fruitsctl, photos, tmp_path_factory) -> Path:
    """OUTPUT after two runs, the second with one changed photo."""
    place = tmp_path_factory.mktemp("tables")
    shutil.copytree(photos, place / "photos")
    words = (place / "photos", place / "out", "--model", "mean_colour", "--components", "2")
    fruitsctl.run(*words)
    first, *_, last = sorted((place / "photos").glob("*/*.jpg"))
    first.write_bytes(last.read_bytes())
    fruitsctl.run(*words)
    return place / "out"


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_call_reads_the_current_rows_and_no_others(out: Path, library: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(out.parent)
    (code,) = [code for code in READERS if library in code]
    names: dict[str, object] = {}

    exec(LIST + code, names)

    uris = list(names["features"]["uri"])  # type: ignore[index]
    assert len(uris) == len(set(uris)) == len(list((out.parent / "photos").glob("*/*.jpg")))


def test_a_reader_that_ignores_the_log_sees_superseded_rows_as_the_page_says(out: Path):
    uris = pd.read_parquet(out / "features")["uri"]

    assert len(uris) > len(set(uris))


def test_the_page_has_one_call_for_each_library():
    assert len(READERS) == len(LIBRARIES)
