"""Execute local.ipynb as a reader does, on published photos."""

import json

import nbformat
import pytest

from job.spark.notebook import run_cells
from tests.e2e.test_notebook_local import NOTEBOOKS, ROOT, pictures, printed, read
from tests.e2e.test_notebook_local import java as java

SHOWN = ROOT / "build" / "notebooks"  # the docs show what was executed here


@pytest.fixture(scope="module")
def local(tmp_path_factory, cache, java):
    """local.ipynb, executed: (notebook, the folder it worked in)."""
    folder, notebook = tmp_path_factory.mktemp("local"), read(NOTEBOOKS / "local.ipynb")
    run_cells(notebook, folder, {**java, "FRUITS_CACHE": str(cache)})
    SHOWN.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, SHOWN / "local.ipynb")
    return notebook, folder


def test_local_goes_from_photos_to_the_map(local):
    notebook, _ = local
    said = printed(notebook)

    for line in (
        "500 photos of 25 fruits",
        "fingerprint  mobilenet_v2-b45530352008",
        "1,280 numbers out",
        "500 photos listed, 500 new, 500 embedded now, 0 rejected",
        "Gram matrix (1280, 1280): 13 MB",
        "k = 50 components explain 85.8% of the variance",
        "the same eigenvalues as by SVD; the components are orthonormal",
        "500 photos listed, 0 to embed",
    ):
        assert line in said
    assert len(pictures(notebook)) == 6


def test_nearly_every_photo_has_one_of_its_own_fruit_beside_it(local):
    said = printed(local[0])

    right = int(said.partition("nearest photo has the same label: ")[2].split()[0])
    assert 495 <= right <= 500


def test_a_python_worker_serves_many_tasks(local):
    said = printed(local[0])

    cores = int(said.partition(" cores: 40 tasks")[0].rpartition(" ")[2])
    workers = int(said.partition("40 tasks ran in ")[2].split()[0])
    assert 1 <= workers <= cores


def test_local_gives_the_lease_back_and_leaves_nothing_half_done(local):
    _, folder = local

    assert json.loads((folder / "notebook-out" / "lease.json").read_text())["released"] is True
    assert not (folder / "notebook-out" / "work").exists()
