"""Refit the PCA of a published run and project its rows again, from features that exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from job.contract.errors import NoPhotosError, SetupError, VarianceError
from job.contract.params import Params
from job.contract.records import Manifest, counted
from job.contract.uris import join, shown
from job.erasure import parquet
from job.erasure.known import REFIT_MANIFEST, REFIT_URIS, manifest_of, uris_of_run
from job.inputs.rows import ArrowRows
from job.spark.session import work_uri
from job.stages import moments, pca, publish
from job.stages.tables.features import Features
from job.storage.delta_log import DeltaLog
from job.storage.lease import Lease
from job.storage.object_store import Folder


def refit(spark: SparkSession, folder: Folder, run: str, lease: Lease) -> int | None:
    """
    Fit `runs/<run>/` with its own parameters on its own images; one that used another run's PCA is projected on that again.

    Interrupted, the run is invisible, and `interrupted` finds it again.

    Return how many rows went because their photos have changed since the run, so that their features of then are gone; the manifest gets
    a note about them. None, and nothing is changed, if too few images are left.

    Raises:
        LeaseError: another run took over.
    """
    aside = folder.read(f"runs/{run}/{REFIT_MANIFEST}")
    manifest = Manifest.from_json(aside.content) if aside else manifest_of(folder, run)
    if manifest is None:
        raise SetupError(f"there is no finished run `{run}` in `{shown(folder.uri)}`")
    images = uris_of_run(folder, run)
    features = _features(spark, folder, manifest, images)
    try:
        fitted = _fit(features, folder, manifest, lease)
    except (NoPhotosError, VarianceError):
        return None
    scores = pca.project(features, fitted).materialize(join(work_uri(spark, folder.uri, run), "refit"))
    rows = scores.count()
    changed = 0 if aside else len(images) - rows  # already noted by an interrupted refit
    if changed:
        manifest = _without_changed(manifest, changed)
    lease.check()
    parquet.write(folder, f"runs/{run}/{REFIT_URIS}", pa.table({"uri": pa.array(images, pa.string())}))
    folder.write(f"runs/{run}/{REFIT_MANIFEST}", manifest.to_json().encode())
    folder.delete(f"runs/{run}/manifest.json")
    folder.delete(f"runs/{run}/report.html")
    publish.write_model(folder, run, fitted)  # first: the PCA of before tells the features of what was erased
    lease.check()  # an erasure that was suspended has scores of what another one may have erased meanwhile
    publish.write_matrix(spark, scores, folder, run, rows, fitted.k)
    lease.check()
    manifest = replace(manifest, k=fitted.k, variance=float(fitted.ratios[: fitted.k].sum()))
    folder.write(f"runs/{run}/manifest.json", manifest.to_json().encode())
    folder.delete(f"runs/{run}/{REFIT_MANIFEST}")
    folder.delete(f"runs/{run}/{REFIT_URIS}")
    return changed


def root_of(folder: Folder, run: str) -> str:
    """Return the run that has fitted the PCA of `run`."""
    return publish.pca_lineage(run, lambda run: manifest_of(folder, run))[-1]


def interrupted(folder: Folder) -> list[str]:
    """Return the runs whose refit did not end."""
    return [run for run in folder.names("runs") if folder.read(f"runs/{run}/{REFIT_MANIFEST}")]


def _fit(features: Features, folder: Folder, manifest: Manifest, lease: Lease) -> pca.Fitted:
    if (root := root_of(folder, manifest.run_id)) != manifest.run_id:
        return publish.read_fitted(folder, root, manifest.model)
    params = Params.from_manifest(manifest.params)
    total = moments.MomentsCache(folder, features.model, lease).get(features, params.input, params.fit_on)
    return pca.fit(total, params.components, params.variance, params.standardize)


def _without_changed(manifest: Manifest, rows: int) -> Manifest:
    """Return the manifest of a matrix that lost `rows` not by erasure, so that they are not counted as erased."""
    note = f"{counted(rows, 'rows')} {'was' if rows == 1 else 'were'} dropped by a refit: their photos have changed since this run"
    return replace(manifest, counts={**manifest.counts, "rows": manifest.counts["rows"] - rows}, notes=[*manifest.notes, note])


def _features(spark: SparkSession, folder: Folder, manifest: Manifest, uris: list[str]) -> Features:
    """Return the features of `uris` as they were when the run was made: for each image its newest row that is not younger."""
    features = Features.load(spark, DeltaLog(folder, "features"), manifest.model)
    made = datetime.fromisoformat(manifest.created_at).timestamp() + 1  # created_at is cut to the second
    images = ArrowRows(pa.table({"uri": pa.array(uris, pa.string())}))
    known = features.keys.semi_join(images, "uri").to_arrow().filter(pc.field("micros") <= int(made * 1e6))
    newest = known.sort_by([("uri", "ascending"), ("micros", "descending")])
    _, first = np.unique(newest["uri"].to_numpy(), return_index=True)
    return features.restrict(ArrowRows(newest.take(first)))
