"""Run the whole pipeline: list photos, compute features, fit a PCA, publish the run."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from job.contract.errors import RejectsError
from job.contract.params import Params
from job.contract.records import Manifest, counted
from job.contract.uris import is_s3, join, shown
from job.imaging.networks import load_model
from job.inputs.first_photos import first_photos
from job.spark.progress import ProgressReport, counting_tasks
from job.spark.session import start_session, start_workers, work_uri
from job.stages import moments, pca, publish
from job.stages.chunks import chunks
from job.stages.embed import Reject, embed_images, tasks_for
from job.stages.listing import list_in_tasks, list_on_driver, read_listing, refuse_empty
from job.stages.tables.store import FeatureStore
from job.stages.versions import refuse_uncomputable, version_to_use
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.tombstones import read_tombstones


def run(params: Params, folder: Folder, lease: Lease, report: ProgressReport) -> Manifest:
    """
    Run the pipeline into `folder` (OUTPUT) under `lease`. Each stage reports its progress.

    Raises:
        JobError: the tree is in job/contract/errors.py. Features that were computed stay in OUTPUT.
    """
    beside = ThreadPoolExecutor()  # for work that depends on no other stage
    listed = beside.submit(list_on_driver, params.input, params.content_hash)
    with report.stage("start", unit="steps"):
        spark = start_session(f"fruitsctl {params.run_id}", is_s3(params.input) or is_s3(params.output))
        work = work_uri(spark, params.output, params.run_id)
        beside.submit(start_workers, spark)
    with report.stage("model", unit="steps"):
        model = load_model(params)
        version = version_to_use(folder, params.pca, model.fingerprint)
        store = FeatureStore(spark, folder, version, params.run_id, lease)
        store.open()

    with report.stage("list") as stage:
        found = listed.result() or list_in_tasks(spark, params.input, join(work, "listing"), params.content_hash)
        listing = read_listing(found)
        stage.update(listing.count)
        refuse_empty(listing.count + len(listing.problems), listing.ignored, params.input)
    with report.stage("new") as stage:
        taken = first_photos(listing.images, params.limit).materialize(join(work, "taken")) if params.limit else listing.images
        count = min(listing.count, params.limit or listing.count)
        missing = store.missing_from(taken, join(work, "missing"), params.retry_rejects)
        refuse_uncomputable(missing.count, version, model.fingerprint)
        outdated = store.outdated(missing)
        stage.update(count)

    with report.stage("embed", total=missing.count) as stage:
        store.append_rejects({Reject(uri, "", None, "list", reason) for uri, reason in listing.problems})
        broadcast, erased = spark.sparkContext.broadcast(model), read_tombstones(folder)
        cores = spark.sparkContext.defaultParallelism
        for chunk in chunks(missing, cores, params.chunk_images):
            tasks = tasks_for(chunk.images, cores)
            with counting_tasks(spark.sparkContext, stage, chunk.images, tasks):
                files, rejects = embed_images(spark, chunk.keys, tasks, broadcast, erased, store.target())
            store.append(files)
            store.append_rejects(rejects)
            stage.update(chunk.end)
    undecoded, unlisted = store.reject_reasons(taken), Counter(reason for _, reason in listing.problems)
    reasons = undecoded + unlisted
    if count == listing.count:
        refuse_too_many(reasons, count + len(listing.problems), params)
    else:  # listing problems are counted over all of INPUT, rejects over the photos that were taken
        refuse_too_many(undecoded, count, params)
        refuse_too_many(unlisted, listing.count + len(listing.problems), params)

    cache = moments.MomentsCache(folder, model.fingerprint, lease)
    with report.stage("fit") as stage:
        current = store.current(listing.images, params.input, join(work, "current"), taken if count < listing.count else None)
        if params.pca:
            fitted = publish.read_fitted(folder, params.pca, version)
        else:
            total = cache.get(current.features, params.input, params.fit_on)
            fitted = pca.fit(total, params.components, params.variance, params.standardize)
        stage.update(fitted.n)
    with report.stage("project") as stage:
        scores = pca.project(current.features, fitted).materialize(join(work, "scores"))
        rows, labels = scores.count(), scores.count_distinct("label")
        stage.update(rows)
    with report.stage("publish") as stage:
        lease.check()  # a run that was suspended must not write rows that were erased meanwhile
        with ThreadPoolExecutor() as writers:  # on S3 each of them mostly waits
            matrix = writers.submit(publish.write_matrix, spark, scores, folder, params.run_id, rows, fitted.k)
            writers.submit(publish.prepare_report, params)
            publish.write_model(folder, params.run_id, fitted)
            store.delete_superseded(current)
            matrix.result()
        stage.update(rows)

    counts = {
        "listed": listing.count,
        "beyond_limit": listing.count - count,
        "ignored": sum(listing.ignored.values()),
        "new": missing.count,
        "embedded": missing.count - store.rejected_here,
        "rejected": reasons.total(),
        "superseded": current.superseded_count,
        "removed": current.removed,
        "outdated": outdated,
        "rows": rows,
        "labels": labels,
    }
    fitted_by = publish.pca_lineage(params.pca, lambda run: publish.manifest_of(folder, run))[-1] if params.pca else params.run_id
    manifest = publish.make_manifest(
        params, version, lease.generation, report.stages, counts, reasons, listing.ignored, fitted, cores, fitted_by
    )
    publish.publish(folder, manifest, lease)
    with report.stage("report") as stage:
        manifest = publish.add_report(spark, folder, manifest, listing.images, lease)
        stage.update(rows)
    publish.update_manifest(folder, manifest, lease)
    publish.prune_runs(folder, params.keep_runs, lease)
    store.compact()
    if not params.pca:
        cache.compact()
    folder.delete_tree("work")
    return manifest


def refuse_too_many(reasons: Counter[str], listed: int, params: Params) -> None:
    """Raise RejectsError if more than `max_reject_ratio` of `listed` images were rejected."""
    rejected = reasons.total()
    if rejected > params.max_reject_ratio * listed:
        worst = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
        raise RejectsError(
            f"`{rejected}` of {counted(listed, 'images')} {'was' if listed == 1 else 'were'} rejected ({worst}); "
            f"--max-reject-ratio is {params.max_reject_ratio:g}",
            f"fix or remove these photos (the table {join(shown(params.output), 'rejects')} names them), or raise --max-reject-ratio",
        )
