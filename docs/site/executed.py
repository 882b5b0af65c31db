"""
Convert notebooks to pages: notebooks/*.ipynb goes in, Markdown and pictures come out.

Notebooks are stored without outputs. A page shows the outputs of a copy in build/notebooks that has the same cells. Tests write
such copies, and `python docs/site/executed.py` makes one of local.ipynb. cloud.ipynb needs a cluster: its page has no outputs
until its test has run.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "notebooks"
# An inline formula as JupyterLab writes it; on the pages a single `$` is the currency.
DOLLARS = re.compile(r"(?<![\\$])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?!\d)")
# The theme does not style a table with a class, which is then wider than a phone.
PANDAS = re.compile(r"<style scoped>.*?</style>\s*<table [^>]*>", re.S)


def pages(folder: Path = ROOT / "notebooks", kept: Path = KEPT) -> dict[str, bytes]:
    """Return {path below docs/: content}: one page for each notebook of `folder`, and its pictures."""
    made: dict[str, bytes] = {}
    for source in sorted(folder.glob("*.ipynb")):
        made |= page(read(kept / source.name) if is_executed(source, kept) else read(source), source.stem)
    return made


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def is_executed(source: Path, kept: Path) -> bool:
    """Return whether `kept` has a copy with the same cells."""
    copy = kept / source.name
    return copy.is_file() and [cell.source for cell in read(copy).cells] == [cell.source for cell in read(source).cells]


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
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources={"output_files_dir": f"{name}_files"})
    text = PANDAS.sub("<table>", text)
    pictures = {f"notebooks/{picture}": content for picture, content in resources["outputs"].items()}
    return {f"notebooks/{name}.md": text.encode(), **pictures}


if __name__ == "__main__":
    execute(ROOT / "notebooks" / "local.ipynb")
