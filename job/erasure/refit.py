"""A published run in, the same run with its PCA fitted and its rows projected anew out, from features that are there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from job import moments, pca, publish
from job.errors import SetupError
from job.lease import Lease
from job.objects import Folder
from job.params import Params
from job.records import Manifest
from job.session import work_uri
from job.storage.delta_log import DeltaLog
from job.store import Features
from job.uris import join

ASIDE = "manifest.refit"  # the manifest while its run is being written anew, and so does not exist for a reader


def refit(spark: SparkSession, folder: Folder, run: str, lease: Lease) -> None:
    """
    Fit `runs/<run>/` with its own parameters on its own images; one that used another run's PCA is projected on that anew.

    Interrupted, the run is invisible, and `interrupted` finds it again.

    Raises:
        VarianceError: what is left has no variance.
        LeaseError: another run took over.
    """
    stored = folder.read(f"runs/{run}/manifest.json") or folder.read(f"runs/{run}/{ASIDE}")
    if stored is None:
        raise SetupError(f"there is no complete run `{run}` in `{folder.uri}`")
    manifest = Manifest.from_json(stored.content)
    params = Params(**manifest.params)
    features = _features(spark, folder, manifest)
    if manifest.fitted_by == run:
        total = moments.moments_of(features, params.input, params.fit_on, folder)
        fitted = pca.fit(total, params.components, params.variance, params.standardize)
    else:
        fitted = publish.read_fitted(folder, manifest.fitted_by, manifest.model)
    work = join(work_uri(spark, folder.uri, run), "refit")
    pca.project(features.embeddings(), fitted).write.mode("overwrite").parquet(work)
    scores = spark.read.parquet(work)
    lease.check()
    folder.write(f"runs/{run}/{ASIDE}", stored.content)
    folder.delete(f"runs/{run}/manifest.json")
    folder.delete(f"runs/{run}/report.html")
    publish.write_matrix(scores, join(folder.uri, "runs", run), scores.count(), fitted.k)
    publish.write_model(spark, folder, run, fitted)
    lease.check()
    changed = {"k": fitted.k, "variance": float(fitted.ratios[: fitted.k].sum())}
    folder.write(f"runs/{run}/manifest.json", Manifest(**{**vars(manifest), **changed}).to_json().encode())
    folder.delete(f"runs/{run}/{ASIDE}")


def interrupted(folder: Folder) -> list[str]:
    """Runs whose refit has not ended."""
    return [run for run in folder.names("runs") if folder.read(f"runs/{run}/{ASIDE}")]


def _features(spark: SparkSession, folder: Folder, manifest: Manifest) -> Features:
    """The images of the run's matrix, as they were when it was made: the newest row of each that is no younger."""
    log = DeltaLog(folder, "features")
    rows = Features(spark, log.uri, tuple(log.files()), manifest.model)
    made = datetime.fromisoformat(manifest.created_at)
    uris = spark.read.parquet(join(folder.uri, "runs", manifest.run_id, "pca")).select("uri")
    known = rows.keys().join(uris, "uri", "left_semi").where(F.col("embedded_at") <= F.lit(made) + F.expr("INTERVAL 1 SECOND"))
    newest = known.groupBy("uri").agg(F.max("embedded_at").alias("embedded_at"))
    return replace(rows, choose=lambda frame: frame.join(newest, ["uri", "embedded_at"], "left_semi"))
