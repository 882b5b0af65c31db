"""
Write a run's files: matrix, model, report, then the manifest, then `latest.json`. Visible only once complete.

Everything goes to `runs/<run_id>/`, which does not exist for a reader until its `manifest.json` does.
"""

from __future__ import annotations

import io
import json
import platform
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from csv import writer
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyspark
from PIL import Image
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped] # it has no stubs
from pyspark import TaskContext
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from job.contract.errors import LeaseError, SetupError
from job.contract.params import UNTRAINED, Params
from job.contract.records import Manifest, Stage, counted, is_or_are
from job.contract.uris import shown
from job.imaging.untrained import NOTE
from job.inputs.fetch import ListedImage
from job.inputs.rows import ArrowRows, Rows, SparkRows
from job.product.matrix import BYTES_PER_NUMBER, write_part
from job.stages.pca import Fitted
from job.stages.spark_model import write_spark_model
from job.stages.versions import outdated_note
from job.storage.lease import Lease
from job.storage.object_store import Conflict, Folder
from job.storage.schema import LISTED, SCORES, only

CSV_PART_BYTES = 200_000_000  # of at most 256 MB, with room for an estimate that is a little off
PACKAGES = ("numpy", "pillow", "pyarrow", "ai-edge-litert")  # what a result depends on


def write_matrix(spark: SparkSession, scores: Rows, folder: Folder, run_id: str, rows: int, k: int) -> None:
    """Write `scores` (SCORES, materialized) sorted by uri, as `pca/` (Parquet) and `csv/` (uri, label, pc1 … pck)."""
    for name in ("pca", "csv"):
        folder.delete_tree(f"runs/{run_id}/{name}")  # of an earlier attempt
    if not isinstance(scores, SparkRows):
        write_part(folder.uri, run_id, 0, scores.to_arrow().sort_by("uri"), k)
        return
    uri = folder.uri

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        part = pa.Table.from_batches(batches, SCORES)
        if task and len(part):
            write_part(uri, run_id, task.partitionId(), part, k)
        yield from SCORES.empty_table().to_batches()

    parts = max(1, -(-rows * (150 + k * BYTES_PER_NUMBER) // CSV_PART_BYTES))
    ordered = scores.frame.repartitionByRange(parts, "uri") if parts > 1 else scores.frame.repartition(1)
    ordered.sortWithinPartitions("uri").mapInArrow(write, from_arrow_schema(SCORES)).count()


def write_model(folder: Folder, run_id: str, fitted: Fitted) -> None:
    """Write `pca_model/` for Spark, `pca.npz` for NumPy and `variance.csv` for people."""
    write_spark_model(folder, f"runs/{run_id}/pca_model", fitted)
    buffer = io.BytesIO()
    np.savez(
        buffer, mean=fitted.mean, scale=fitted.scale, components=fitted.components, eigenvalues=fitted.eigenvalues, n=np.int64(fitted.n)
    )
    folder.write(f"runs/{run_id}/pca.npz", buffer.getvalue())
    text = io.StringIO()
    table = writer(text, lineterminator="\n")
    table.writerow(["component", "eigenvalue", "ratio", "cumulated"])
    cumulated = np.cumsum(fitted.ratios)
    for i, values in enumerate(zip(fitted.eigenvalues, fitted.ratios, cumulated, strict=True), start=1):
        table.writerow([i, *(repr(float(value)) for value in values)])
    folder.write(f"runs/{run_id}/variance.csv", text.getvalue().encode())


def read_fitted(folder: Folder, run_id: str, model: str) -> Fitted:
    """
    Read the PCA of an earlier run.

    Raises:
        SetupError: there is no such complete run, or its PCA was fitted on features of another model.
    """
    manifest = folder.read(f"runs/{run_id}/manifest.json")
    stored = folder.read(f"runs/{run_id}/pca.npz") if manifest else None
    if manifest is None or stored is None:
        runs = ", ".join(list_complete_runs(folder)[:3]) or "none"
        raise SetupError(f"there is no finished run `{run_id}` in `{shown(folder.uri)}`", f"set --pca to one of: {runs}")
    made_with = Manifest.from_json(manifest.content).model
    if made_with != model:
        raise SetupError(
            f"the PCA of run `{run_id}` was fitted on features of `{made_with}`, not of `{model}`",
            "set --pca to a run with the same model, or leave it out",
        )
    with np.load(io.BytesIO(stored.content)) as arrays:
        return Fitted(arrays["mean"], arrays["scale"], arrays["components"], arrays["eigenvalues"], int(arrays["n"]))


def prepare_report(params: Params) -> None:
    """Load what a report needs besides the run, while Spark writes. An error is reported by `add_report`, which tries again."""
    from job.product.report.vega import bundle

    with suppress(SetupError, OSError):
        bundle(Path(params.cache) if params.cache else None)


def add_report(spark: SparkSession, folder: Folder, manifest: Manifest, images: Rows, lease: Lease) -> Manifest:
    """
    Write `report.html` of a published run, from its scores and its listing `images` (LISTED). Tasks make the pictures.

    Return the manifest with the results, for `update_manifest`. Never fails a run whose results are good: without a report the manifest has
    a note.

    Raises:
        LeaseError: another run or an erasure took over; the report, which may show what was erased, is not written.
    """
    from job.product import thumbnails
    from job.product.report import report

    def keys_of(uris: list[str]) -> list[ListedImage]:
        wanted = ArrowRows(pa.table({"uri": pa.array(uris, pa.string())}))
        return (
            [ListedImage(**row) for row in images.semi_join(wanted, "uri").select(*ListedImage._fields).to_arrow().to_pylist()]
            if uris
            else []
        )

    def tiles_of(keys: list[ListedImage]) -> dict[str, Image.Image]:
        rows = ArrowRows(pa.Table.from_pylist([key._asdict() for key in keys], only(LISTED, ListedImage._fields)))
        tasks = spark.sparkContext.defaultParallelism
        return thumbnails.tiles_from_rows(rows.map_in_arrow(spark, tasks, thumbnails.shrink, thumbnails.TILES).to_arrow())

    try:
        html, identify = report.build(folder, manifest, keys_of, tiles_of)
        lease.check()
        folder.write(f"runs/{manifest.run_id}/report.html", html.encode())
    except LeaseError:
        raise
    except (*report.ERRORS, Py4JJavaError) as error:
        traceback.print_exception(error)  # on stderr: the run's log
        reason = str(error).partition("\n")[0] or type(error).__name__
        return replace(
            manifest, notes=[*manifest.notes, f"the report could not be written: {reason}; retry with `fruitsctl report --rebuild`"]
        )
    return replace(manifest, identify=identify)


def update_manifest(folder: Folder, manifest: Manifest, lease: Lease) -> None:
    """
    Replace the manifest of a published run by one with the results of its report.

    Raises:
        LeaseError: another run has taken over meanwhile.
    """
    lease.check()
    folder.write(f"runs/{manifest.run_id}/manifest.json", manifest.to_json().encode())


def publish(folder: Folder, manifest: Manifest, lease: Lease) -> None:
    """
    Make the run visible: its manifest, then `latest.json`, by compare-and-swap.

    Raises:
        LeaseError: another run has taken over; its files are not overwritten.
    """
    latest = folder.read("latest.json")
    if latest is not None and json.loads(latest.content)["generation"] > lease.generation:
        raise LeaseError(f"a later run has published to `{shown(folder.uri)}`", "see latest.json")
    lease.check()
    folder.write(f"runs/{manifest.run_id}/manifest.json", manifest.to_json().encode())
    pointer = json.dumps({"run_id": manifest.run_id, "generation": lease.generation}) + "\n"
    try:
        folder.compare_and_swap("latest.json", pointer.encode(), latest.version if latest else None)
    except Conflict as error:
        raise LeaseError(f"another run has published to `{shown(folder.uri)}`", "see latest.json") from error


def list_complete_runs(folder: Folder) -> list[str]:
    """Return the run_ids with a manifest, newest first: a run_id begins with its time."""
    return [run for run in sorted(folder.names("runs"), reverse=True) if folder.read(f"runs/{run}/manifest.json")]


def manifest_of(folder: Folder, run: str) -> Manifest | None:
    """Return the manifest of a complete run."""
    stored = folder.read(f"runs/{run}/manifest.json")
    return Manifest.from_json(stored.content) if stored else None


def pca_lineage(run: str, manifest_of: Callable[[str], Manifest | None]) -> list[str]:
    """
    Return `run` and the runs through which it got its PCA; the last one fitted it.

    Manifests of earlier versions name the run that --pca named, whose PCA may come from a third run.
    """
    runs = [run]
    while (manifest := manifest_of(runs[-1])) and manifest.fitted_by not in runs:
        runs.append(manifest.fitted_by)
    return runs


def prune_runs(folder: Folder, keep: int, lease: Lease) -> None:
    """Delete all but the newest `keep` complete runs, the runs that fitted their PCA, and dead attempts that are not older."""
    kept = list_complete_runs(folder)[:keep]
    if len(kept) < keep:
        return
    used = {other for run in kept for other in pca_lineage(run, lambda run: manifest_of(folder, run))}
    for run in folder.names("runs"):
        if run not in used and run < kept[-1]:
            lease.check()
            folder.delete(f"runs/{run}/manifest.json")  # first: from here on the run does not exist
            folder.delete_tree(f"runs/{run}")


def make_manifest(
    params: Params,
    model: str,
    generation: int,
    stages: dict[str, Stage],
    counts: dict[str, int],
    rejects: dict[str, int],
    ignored: dict[str, int],
    fitted: Fitted,
    cores: int,
    fitted_by: str | None = None,
) -> Manifest:
    """Return the manifest of a run that is about to be published. `fitted_by`: the run that fitted the PCA, if another."""
    notes = [NOTE] if params.model == UNTRAINED else []
    if params.components and fitted.k < params.components:
        notes.append(
            f"{counted(fitted.k, 'components')} instead of {params.components}: the rank of {counted(fitted.n, 'images')} allows no more"
        )
    if counts["beyond_limit"]:
        taken = counts["listed"] - counts["beyond_limit"]
        notes.append(f"--limit took {taken:,} of {counted(counts['listed'], 'photos')}; a run without it continues with the rest")
    if counts["outdated"]:
        notes.append(outdated_note(counts["outdated"]))
    constant = int((fitted.scale == 0).sum())
    if constant:
        notes.append(f"{counted(constant, 'features')} {is_or_are(constant)} constant and excluded from the standardised PCA")
    return Manifest(
        run_id=params.run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        generation=generation,
        params=asdict(params),
        model=model,
        versions={"python": platform.python_version(), "pyspark": pyspark.__version__, **{name: version(name) for name in PACKAGES}},
        counts=counts,
        rejects=dict(rejects),
        ignored=ignored,
        stages=stages,
        k=fitted.k,
        variance=float(fitted.ratios[: fitted.k].sum()),
        fitted_by=fitted_by or params.run_id,
        notes=notes,
        cores=cores,
    )
