"""A notebook that is executed while photos are erased, in a real kernel."""

from __future__ import annotations

import traceback
from pathlib import Path

import nbformat
import pytest

from job.contract.params import Params
from job.spark.notebook import NotebookError, execute, headings
from job.storage.folders import open_folder


@pytest.mark.parametrize("erases", [True, False])
def test_what_a_failed_cell_said_is_in_no_outcome_once_an_erasure_ran(tmp_path: Path, erases: bool):
    output, path = tmp_path / "out", tmp_path / "mine.ipynb"
    cells = [f"import os; os.makedirs({str(output / 'erasures')!r}); open({str(output / 'erasures/1.json')!r}, 'w').close()"] * erases
    source = "\n".join([*cells, "print('photos/Anna.jpg')", "raise ValueError('cannot read photos/Anna.jpg')"])
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    params = Params(f"file://{tmp_path}/photos", f"file://{output}", run_id="r", notebook=str(path))

    with pytest.raises(NotebookError, match=r"^cell `\[1\]` of the notebook failed") as raised:
        execute(params, open_folder(params.output))

    said = "".join(traceback.format_exception(raised.value))
    kept = nbformat.read(output / "runs" / "r" / "mine.ipynb", as_version=4).cells[0].outputs
    assert ("photos/Anna.jpg" in str(raised.value), "photos/Anna.jpg" in said, bool(kept)) == (not erases, not erases, not erases)
    assert "mine.ipynb" in raised.value.hint


def test_the_heading_of_a_cell_is_the_english_one():
    text = nbformat.v4.new_markdown_cell('# A run\n\n## Publish\n\n<div lang="fr">\n\n# Une exécution\n\n## Publier\n\n</div>')
    code = nbformat.v4.new_code_cell("# not a heading")

    assert headings(nbformat.v4.new_notebook(cells=[code, text, code])) == ["", "Publish", "Publish"]
