"""
The notebooks as pages: notebooks/*.ipynb goes in, Markdown and pictures come out.

They are stored without outputs. Those of an executed copy in build/notebooks are shown if it is a copy of the same cells; tests leave
theirs there, and `python docs/site/executed.py` makes the local one. The cloud's needs a cluster: without its test it is shown as it is.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "notebooks"
DOLLARS = re.compile(
    r"(?<![\\$])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?!\d)"
)  # a formula in a line, as JupyterLab knows it; on pages one `$` is money
PANDAS = re.compile(
    r"<style scoped>.*?</style>\s*<table [^>]*>", re.S
)  # a table with a class is not the theme's, and is wider than a phone


def pages(folder: Path = ROOT / "notebooks", kept: Path = KEPT) -> dict[str, bytes]:
    """Path below docs/ -> content: one page for each notebook of `folder`, and its pictures."""
    made: dict[str, bytes] = {}
    for source in sorted(folder.glob("*.ipynb")):
        made |= page(read(kept / source.name) if is_executed(source, kept) else read(source), source.stem)
    return made


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def is_executed(source: Path, kept: Path) -> bool:
    """Whether `kept` has a copy of these very cells."""
    copy = kept / source.name
    return copy.is_file() and [cell.source for cell in read(copy).cells] == [cell.source for cell in read(source).cells]


def execute(source: Path, kept: Path = KEPT) -> None:
    """
    Leave an executed copy of `source` in `kept`, by a kernel of this Python; nothing is done if it is there.

    Raises:
        CellExecutionError: a cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    if is_executed(source, kept):
        return
    notebook = read(source)
    with tempfile.TemporaryDirectory() as folder:  # it gets photos and writes results beside itself
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": folder}}).execute()
    kept.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, kept / source.name)


def page(notebook: Any, name: str) -> dict[str, bytes]:
    """Of a notebook its page, and its pictures in a folder beside it."""
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
