"""
Convert notebooks to pages: notebooks/*.ipynb goes in, Markdown and pictures come out.

The text of a notebook is in English, and below it in French, in `<div lang="fr">`; each language has its own page. Notebooks are
stored without outputs. A page shows the outputs of a copy in build/notebooks that has the same cells. Tests write
such copies, and `python docs/site/executed.py` makes one of local.ipynb. cloud.ipynb needs a cluster: its page has no outputs
until its test has run.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "notebooks"
# An inline formula as JupyterLab writes it; on the pages a single `$` is the currency.
DOLLARS = re.compile(r"(?<![\\$])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?!\d)")
# The French half of a cell: an empty line lets JupyterLab read what is inside as Markdown.
FRENCH = re.compile(r'\n*<div lang="fr">\n(.*?)\n</div>\n*', re.S)
# The theme does not style a table with a class, which is then wider than a phone.
PANDAS = re.compile(r"<style scoped>.*?</style>\s*<table [^>]*>", re.S)


def pages(folder: Path = ROOT / "notebooks", kept: Path = KEPT) -> dict[str, bytes]:
    """Return {path below docs/: content}: one page in each language for each notebook of `folder`, and its pictures."""
    made: dict[str, bytes] = {}
    for source in sorted(folder.glob("*.ipynb")):
        book = read(kept / source.name) if is_executed(source, kept) else read(source)
        made |= page(in_english(book), source.stem) | page(in_french(book), f"{source.stem}.fr")
    return made


def in_english(notebook: Any) -> Any:
    """Return a copy without the French text."""
    return _with_text(notebook, lambda text: FRENCH.sub("", text))


def in_french(notebook: Any) -> Any:
    """Return a copy whose cells have their French text only; a cell without one keeps its English text."""

    def french(text: str) -> str:
        found = FRENCH.search(text)
        return found.group(1).strip("\n") if found else text

    return _with_text(notebook, french)


def _with_text(notebook: Any, change: Callable[[str], str]) -> Any:
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        if cell.cell_type == "markdown":
            cell.source = change(cell.source)
    return changed


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def is_executed(source: Path, kept: Path) -> bool:
    """Return whether `kept` has a copy with the same cells."""
    executed = kept / source.name
    return executed.is_file() and [cell.source for cell in read(executed).cells] == [cell.source for cell in read(source).cells]


def execute(source: Path, kept: Path = KEPT) -> None:
    """
    Execute `source` with a kernel of this Python and write the copy to `kept`, unless it is there already.

    Raises:
        CellExecutionError: a cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    if is_executed(source, kept):
        return
    notebook = read(source)
    with tempfile.TemporaryDirectory() as folder:  # the notebook writes photos and results beside itself
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": folder}}).execute()
    kept.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, kept / source.name)


def page(notebook: Any, name: str) -> dict[str, bytes]:
    """Return the page of a notebook, and its pictures in a folder beside it."""
    from nbconvert import MarkdownExporter

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = DOLLARS.sub(r"\\(\1\\)", cell.source)
    folder = f"{name.removesuffix('.fr')}_files"  # both languages show the same pictures
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources={"output_files_dir": folder})
    text = PANDAS.sub("<table>", text)
    pictures = {f"notebooks/{picture}": content for picture, content in resources["outputs"].items()}
    return {f"notebooks/{name}.md": text.encode(), **pictures}


if __name__ == "__main__":
    execute(ROOT / "notebooks" / "local.ipynb")
