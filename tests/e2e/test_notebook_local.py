"""
Both notebooks as they are stored, and what ends a run by notebook.

local.ipynb is executed on published photos in tests/reference, cloud.ipynb on its cluster in tests/container.
"""

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

from cli.targets.local.java import find_java_home
from cli.targets.local.notebooks import NAMES
from tests.e2e.conftest import CLI
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"


def read(path):
    return nbformat.read(path, as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    return "".join(output.text for cell in code_of(notebook) for output in cell.outputs if output.output_type == "stream")


def pictures(notebook):
    return [output for cell in code_of(notebook) for output in cell.outputs if "image/png" in output.get("data", {})]


@pytest.fixture(scope="module")
def java(short_jvm):
    home = find_java_home(None)
    assert home
    return {**short_jvm, "JAVA_HOME": str(home[0])}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs_and_with_nothing_of_the_user_who_ran_it(name):
    notebook = read(NOTEBOOKS / name)

    nbformat.validate(notebook)
    assert [cell.outputs for cell in code_of(notebook) if cell.outputs] == []
    assert {cell.execution_count for cell in code_of(notebook)} == {None}
    assert {json.dumps(cell.metadata) for cell in notebook.cells} == {"{}"}
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_calls_functions_of_the_job_and_defines_none(name):
    tree = ast.parse("\n".join(cell.source for cell in code_of(read(NOTEBOOKS / name))))

    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)] == []
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} >= {
        "job.stages.embed",
        "job.imaging.networks",
        "job.stages.tables.store",
    }


def job(cache, java, *arguments):
    """The job as spark-submit starts it; what it said on stdout, as records."""
    environment = {**java, "FRUITS_CACHE": str(cache), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "job", *map(str, arguments)], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    records = [json.loads(line.removeprefix("@fruits ")) for line in done.stdout.splitlines() if line.startswith("@fruits ")]
    return done, records


def test_a_cell_that_fails_ends_the_run_and_what_was_executed_is_stored(tmp_path, photos, cache, java):
    cells = ["from job.spark.notebook import run_params\nprint(run_params().run_id)", "raise ValueError('no such fruit')", "print('never')"]
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    places = (f"--input=file://{photos}", f"--output=file://{tmp_path}/out", "--run-id=b1")

    done, records = job(cache, java, *places, f"--notebook={tmp_path}/broken.ipynb")

    stored = tmp_path / "out" / "runs" / "b1" / "broken.ipynb"
    assert done.returncode == 1
    assert records == [json.loads((stored.parent / "outcome.json").read_text()) | {"record": "Outcome"}]
    assert records[0]["message"] == "cell `[2]` of the notebook failed: ValueError: no such fruit"
    assert records[0]["hint"] == f"see {stored}"
    assert [output.output_type for cell in code_of(read(stored)) for output in cell.outputs] == ["stream", "error"]
    assert printed(read(stored)) == "b1\n"
    assert json.loads((tmp_path / "out" / "lease.json").read_text())["released"] is True


def test_a_notebook_during_whose_run_photos_were_erased_is_stored_without_what_its_cells_show(tmp_path, photos, cache, java):
    """An erasure may begin once the run of the cells is published: its search cannot see a notebook that is stored later."""
    receipt = tmp_path / "out" / "erasures" / "an-erasure.json"
    cells = ["print('a photo')", f"import pathlib\np = pathlib.Path({str(receipt)!r})\np.parent.mkdir(parents=True)\np.touch()"]
    showing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(showing, tmp_path / "showing.ipynb")
    places = (f"--input=file://{photos}", f"--output=file://{tmp_path}/out")

    first, second = (job(cache, java, *places, f"--run-id={run}", f"--notebook={tmp_path}/showing.ipynb")[0] for run in ("s1", "s2"))

    assert (first.returncode, second.returncode) == (0, 1)  # the second one finds the folder of the receipt
    assert printed(read(tmp_path / "out" / "runs" / "s1" / "showing.ipynb")) == ""
    assert printed(read(tmp_path / "out" / "runs" / "s2" / "showing.ipynb")) == "a photo\n"


def test_a_kernel_that_dies_ends_the_run_too(tmp_path, photos, cache, java):
    dying = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os; os._exit(9)")])
    nbformat.write(dying, tmp_path / "dying.ipynb")
    places = (f"--input=file://{photos}", f"--output=file://{tmp_path}/out", "--run-id=d1")

    done, records = job(cache, java, *places, f"--notebook={tmp_path}/dying.ipynb")

    assert (done.returncode, records[-1]["kind"]) == (1, "NotebookError")
    assert "the kernel of the notebook stopped in cell `[1]`" in records[-1]["message"]


def test_a_notebook_that_is_not_there_is_named(tmp_path, photos, cache, java):
    places = (f"--input=file://{photos}", f"--output=file://{tmp_path}/out", "--run-id=m1", f"--notebook={tmp_path}/missing.ipynb")
    done, records = job(cache, java, *places)

    assert (done.returncode, records[-1]["kind"]) == (2, "SetupError")
    assert f"`{tmp_path}/missing.ipynb` is not a valid notebook" in records[-1]["message"]


def answer(address):
    """(status, body), or None while there is no answer."""
    try:
        with urllib.request.urlopen(address) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as error:
        return error.code, None
    except urllib.error.URLError:
        return None


def test_jupyterlab_serves_copies_of_both_notebooks_to_a_client_with_the_token(fruitsctl, tmp_path, free_port):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "local.ipynb").write_text("my own")
    process = fruitsctl.start("notebook", tmp_path / "mine", "--no-browser", "--port", free_port, "--json")
    try:
        said = json.loads(process.stdout.readline())
        base, _, token = said["address"].partition("/lab/tree/local.ipynb?token=")
        found = wait_until(lambda: answer(f"{base}/api/contents?token={token}"), lambda: process.poll() is None)
        assert base == f"http://127.0.0.1:{free_port}"
        assert sorted(item["name"] for item in found[1]["content"]) == ["cloud.ipynb", "local.ipynb"]
        assert answer(f"{base}/api/contents") == (403, None)
        assert said["copied"] == ["cloud.ipynb"]
        assert (tmp_path / "mine" / "local.ipynb").read_text() == "my own"
    finally:
        process.terminate()
        process.wait()
    assert process.returncode == 0
    assert answer(f"{base}/api") is None


def write(folder, *cells):
    """`local.ipynb` in `folder`: a heading and these cells of code."""
    folder.mkdir()
    cells = [nbformat.v4.new_markdown_cell("That was it.\n\n## 1. Begin"), *(nbformat.v4.new_code_cell(cell) for cell in cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "local.ipynb")


def test_without_a_browser_the_notebook_is_executed_beside_the_copy(fruitsctl, tmp_path):
    loud = "import atexit, os\natexit.register(os.system, 'echo the kernel ends; echo the kernel ends >&2')"  # as the JVM below it does
    write(tmp_path / "mine", "import os, sys\nprint(os.getcwd())\nsys.stderr.write('aside')", loud)
    as_it_was = (tmp_path / "mine" / "local.ipynb").read_bytes()

    done = fruitsctl("notebook", tmp_path / "mine", "--execute", "--json")

    executed = tmp_path / "mine" / "executed" / "local.ipynb"
    assert (done.returncode, json.loads(done.stdout)["executed"]) == (0, str(executed))
    assert done.stderr.splitlines() == [f"{tmp_path / 'mine' / 'cloud.ipynb'}: new", "1. Begin"]
    assert printed(read(executed)) == f"{tmp_path / 'mine'}\naside"
    assert (tmp_path / "mine" / "local.ipynb").read_bytes() == as_it_was
    assert [path.name for path in executed.parent.iterdir()] == ["local.ipynb"]


def test_a_cell_that_fails_leaves_the_notebook_as_far_as_it_came(fruitsctl, tmp_path):
    write(tmp_path / "mine", "print('first')", "raise ValueError('no such fruit')", "print('never')")

    done = fruitsctl("notebook", tmp_path / "mine", "--execute")

    executed = tmp_path / "mine" / "executed" / "local.ipynb"
    assert done.returncode == 1
    assert "cell `[2]` of the notebook failed: ValueError: no such fruit" in done.stderr
    assert f"see the executed cells in {executed}" in " ".join(done.stderr.split())
    assert printed(read(executed)) == "first\n"


def test_ctrl_c_ends_the_execution_and_its_kernel(fruitsctl, tmp_path):
    write(tmp_path / "mine", "import os\nopen('pid', 'w').write(str(os.getpid()))", "import time\ntime.sleep(600)")
    process = fruitsctl.start("notebook", tmp_path / "mine", "--execute", own_group=True)
    begun = tmp_path / "mine" / "pid"
    wait_until(lambda: begun.is_file() and begun.read_text(), lambda: process.poll() is None)

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of them

    assert process.wait() == 130
    said = process.stderr.read()
    assert "Traceback" not in said
    assert f"see the executed cells in {tmp_path}/mine/executed/local.ipynb" in " ".join(said.split())
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_a_dry_run_puts_nothing_anywhere_and_shows_no_token(fruitsctl, tmp_path):
    done = fruitsctl("notebook", tmp_path / "nb", "--dry-run", "--json")

    plan = json.loads(done.stdout)
    assert plan["command"][1:4] == ["-m", "jupyterlab", "--ip=127.0.0.1"]
    assert "token" not in done.stdout.lower()
    assert not (tmp_path / "nb").exists()


def test_two_places_at_once_are_refused():
    done = subprocess.run([*CLI, "notebook", "--compose", "--serverless"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "choose one target" in done.stderr


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
