"""The calls that docs/reference/output.md gives to read a table: with each library that is installed, on a table with superseded rows."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "output.md"
READERS = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8").partition("## Read the tables")[2].partition("\n## ")[0], re.S
)
LIBRARIES = ("pandas", "duckdb", "polars")


@pytest.fixture
def out(run_job, after_a_run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """OUTPUT after a run with one changed photo, as `out` in the current folder."""
    output, photos = after_a_run
    first, *_, last = sorted(photos.glob("*/*.jpg"))
    first.write_bytes(last.read_bytes())
    run_job(photos, output, components=2)
    monkeypatch.chdir(output.parent)
    return output


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_call_reads_the_current_rows_and_no_others(out: Path, library: str):
    if library == "duckdb":
        pytest.importorskip("duckdb").install_extension("delta")
    pytest.importorskip(library)
    (code,) = [code for code in READERS if library in code]
    names: dict[str, object] = {}

    exec(code, names)

    uris = list(names["features"]["uri"])  # type: ignore[index]
    assert len(uris) == len(set(uris)) == 60


def test_a_reader_that_ignores_the_log_sees_superseded_rows_as_the_page_says(out: Path):
    uris = pd.read_parquet(out / "features")["uri"]

    assert len(uris) > len(set(uris)) == 60


def test_the_page_has_one_call_for_each_library():
    assert len(READERS) == len(LIBRARIES)
