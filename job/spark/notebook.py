"""
Run the pipeline from the cells of a notebook, and store the executed notebook with the run.

`execute` runs in the driver, the cells in a kernel, a separate process. The kernel starts the Spark session: it inherits the way to
the JVM that spark-submit opened (PYSPARK_GATEWAY_PORT), so the session is a classic one, and this process must never start any.
The cells call `run_params` and `Steps`, wherever the notebook runs.

`python -m job.spark.notebook PATH` is for a person without a browser: every cell in order, in PATH's folder, the executed notebook on
stdout.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TextIO

from job.contract.errors import JobError, SetupError
from job.contract.params import ADDRESSES, Params, address
from job.contract.records import MARK, STAGES, Stage, counted
from job.contract.uris import from_text, join, shown
from job.spark.progress import ProgressReport, RunningStage
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.tombstones import FOLDER

if TYPE_CHECKING:
    import nbformat

ARGUMENTS = "FRUITS_ARGUMENTS"  # of the kernel's environment: the run's Params as JSON
OUR_STACK = {"input": "s3://fruits/photos", "output": "s3://fruits/out"}  # of docker-compose.yml


class NotebookError(JobError):
    """A cell raised, or the kernel died. `where` is the message without what the cell said, which may name a photo."""

    def __init__(self, where: str, why: str = "", hint: str = "") -> None:
        super().__init__(f"{where}: {why}" if why else where, hint)
        self.where = where


class Steps(ProgressReport):
    """The stages of a run, each printed when it is done; the process that started the run gets progress lines too."""

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Iterator[RunningStage]:
        running = (RunningStage if ARGUMENTS in os.environ else _SilentStage)(name, total, unit)
        running.send()
        yield running
        stage = self.stages[name] = Stage(round(running.seconds, 3), running.done)
        running.send(finished=True)
        rate = f", {counted(stage.images, unit)}, {stage.images_per_second:,.0f} {unit}/s" if stage.images else ""
        sys.stdout.write(f"{STAGES[name]}: {stage.seconds:.1f} s{rate}\n")


class _SilentStage(RunningStage):
    """A stage without progress lines."""

    def send(self, finished: bool = False) -> None:
        """Send nothing: no process follows this one."""


def run_params(**values: Any) -> Params:
    """
    Return the Params of the run that executes this notebook.

    For a person: FRUITS_INPUT and FRUITS_OUTPUT, or the bucket of the stack; a new run id; the weights of FRUITS_ASSETS or FRUITS_CACHE.
    `values`, fields of Params, override them.
    """
    if ARGUMENTS in os.environ:
        return Params.from_argv(json.loads(os.environ[ARGUMENTS]))
    cache = Path(os.environ.get("FRUITS_CACHE") or "~/.cache/fruitsctl").expanduser()
    places = [Path(os.environ["FRUITS_ASSETS"]), cache] if os.environ.get("FRUITS_ASSETS") else [cache]
    weights = next((path for place in places for path in sorted((place / "weights").glob("*no_top*.h5"))), None)
    known: dict[str, Any] = {
        **{name: from_text(os.environ.get(f"FRUITS_{name.upper()}") or there) for name, there in OUR_STACK.items()},
        "run_id": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        "cache": str(cache),
        "weights": str(weights) if weights else None,
    }
    given: dict[str, Any] = {name: address(value) if name in ADDRESSES else value for name, value in values.items()}
    return Params(**(known | given))


def execute(params: Params, folder: Folder) -> str:
    """
    Execute the notebook `params.notebook`, store it in `runs/<run_id>/` of `folder` and return its URI.

    Raises:
        SetupError: there is no such notebook.
        NotebookError: a cell raised, or the kernel died. The notebook is stored as far as it was executed.
        LeaseError: another run or an erasure holds OUTPUT now; the notebook is not stored.
    """
    import nbformat

    path = Path(str(params.notebook))
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:  # nbformat's NotJSONError is a ValueError
        raise SetupError(f"`{path}` is not a valid notebook: {error}", "use a notebook in /opt/fruits/notebooks of the image") from error
    name = f"runs/{params.run_id}/{path.name}"
    erasures = folder.names(FOLDER)
    cleared = False
    try:
        try:
            with tempfile.TemporaryDirectory(prefix="fruitsctl-") as scratch:
                run_cells(notebook, Path(scratch), {ARGUMENTS: json.dumps(params.to_argv())}, f"see {shown(join(folder.uri, name))}")
        finally:
            with Lease.acquire(folder, params.run_id, params.lease_seconds):
                if folder.names(FOLDER) != erasures:  # its cells may show erased photos
                    _clear(notebook)
                    cleared = True
                folder.write(name, nbformat.writes(notebook).encode())  # type: ignore[no-untyped-call]
    except NotebookError as error:
        if cleared:  # the outcome must not say it either
            raise NotebookError(error.where, hint=error.hint) from None
        raise
    return join(folder.uri, name)


def _clear(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []


def run_cells(
    notebook: nbformat.NotebookNode,
    folder: Path,
    variables: dict[str, str],
    hint: str = "",
    keep: Callable[[str, str], str] | None = None,
    begin: Callable[[int], None] = lambda _: None,
) -> None:
    """
    Execute every cell in order, in a kernel of this Python that works in `folder`; outputs go into `notebook`.

    `variables` are added to the kernel's environment. `keep` returns the part of a stream's text that belongs into the notebook;
    `forward_output` by default. `begin` is called with the index of each code cell before it is executed.

    Raises:
        NotebookError: a cell raised, or the kernel died; with `hint`.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    class Client(NotebookClient):
        def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
            if msg["msg_type"] == "stream":
                msg["content"]["text"] = (keep or forward_output)(msg["content"]["name"], msg["content"]["text"])
                if not msg["content"]["text"]:
                    return None
            return super().output(outs, msg, display_id, cell_index)

    begun: list[int] = []
    with tempfile.TemporaryDirectory(prefix="fruitsctl-") as private:
        # Sockets in a temporary folder instead of ports. The home folder is not used: a worker may have none.
        manager = AsyncKernelManager(transport="ipc", ip=f"{private}/socket", connection_file=f"{private}/kernel.json")
        quiet = "--IPKernelApp.log_level=50"  # its messages at the end do not help
        manager._kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet], language="python"
        )
        homes = {name: f"{private}/{name.lower()}" for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")}

        def note(**cell: Any) -> None:
            begun.append(cell["cell_index"])
            begin(cell["cell_index"])

        client = Client(notebook, km=manager, timeout=None, coalesce_streams=True, on_cell_execute=note)
        try:
            client.execute(cwd=str(folder), env={**os.environ, **homes, **variables}, cleanup_kc=True)
        except CellExecutionError as error:
            why = f"{error.ename}: {error.evalue}".strip()
            raise NotebookError(f"cell `[{len(begun)}]` of the notebook failed", why[:300], hint) from error
        except (DeadKernelError, AssertionError) as error:  # after a signal nbclient stops the kernel twice, and the second time fails
            raise NotebookError(f"the kernel of the notebook stopped in cell `[{len(begun)}]`", hint=hint) from error


def forward_output(stream: str, text: str) -> str:
    """Forward the job's own lines to stdout and Spark's to stderr; return the text that belongs into the notebook."""
    if stream == "stderr":
        sys.stderr.write(text)
        return ""
    lines = text.splitlines(keepends=True)
    told = [line for line in lines if line.startswith(MARK)]
    with suppress(BrokenPipeError):  # the process that started the run is gone; the notebook continues
        sys.stdout.write("".join(told))
        sys.stdout.flush()
    return "".join(line for line in lines if not line.startswith(MARK))


def main(path: Path) -> int:
    """
    Execute a notebook and return the exit code.

    Headings are printed on stderr as their cells begin. After a failed cell the notebook up to there is on stdout.
    """
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: `{path}` is not a valid notebook: {error}\n")
        return 2
    titles, told, code = headings(notebook), set[str](), 0
    with own_streams() as (given, told_to):

        def begin(index: int) -> None:
            if titles[index] not in told:
                told.add(titles[index])
                told_to.write(f"{titles[index]}\n")

        try:
            run_cells(notebook, path.parent, {}, keep=lambda _, text: text, begin=begin)
        except NotebookError as error:
            told_to.write(f"error: {error}\n")
            code = 1
        given.write(nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    return code


@contextmanager
def own_streams() -> Iterator[tuple[TextIO, TextIO]]:
    """Yield this process's stdout and stderr; discard what the kernel and its JVM write while they start and end."""
    with open(os.dup(1), "w", encoding="utf-8") as out, open(os.dup(2), "w", encoding="utf-8", buffering=1) as err:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        yield out, err


def headings(notebook: nbformat.NotebookNode) -> list[str]:
    """Return for each cell the heading above it, in English: a text has its French translation below it."""
    found = [""]
    for cell in notebook.cells:
        text = cell.source.partition('<div lang="fr">')[0] if cell.cell_type == "markdown" else ""
        titles = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
        found.append((titles or found)[-1])
    return found[1:]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
