"""
Erasure on one screen: images named by URI, prefix or age in; OUTPUT and INPUT without them, and a receipt, out.

Every step can be done twice: what was interrupted goes on with the targets that were kept before the first step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from job import moments
from job.erasure import proof, receipt, refit, runs, tables
from job.erasure.known import Known
from job.erasure.log_group import LogGroup
from job.erasure.receipt import Receipt
from job.erasure.targets import Targets, find, keep, kept, read_photos, read_shared
from job.erasure.versions import Progress, remove, unfinished, unseen, versions_below, versions_of_each
from job.errors import JobError, OutputError
from job.lease import Lease
from job.objects import Folder
from job.params import Forget
from job.progress import Report, showing_tasks
from job.records import Manifest
from job.session import start_session
from job.tombstones import FOLDER, bury, key_of, keyed
from job.uris import is_s3, join, printable


class LeftOverError(JobError):
    """The erasure is done, and the search found something all the same."""


def require_results(folder: Folder) -> None:
    """
    Raises:
        OutputError: `folder` has none. In a mistyped OUTPUT the photo would be deleted, and its features stay in the real one.
    """
    if not {*tables.TABLES, "runs", FOLDER} & {*folder.names()}:
        raise OutputError(f"there are no results in `{folder.uri}`", "give the OUTPUT of the runs that have the photos")


def plan(wanted: Forget, folder: Folder, report: Report) -> Targets:
    """
    What `erase` would remove; nothing is changed.

    Raises:
        SetupError: it could not be proven afterwards, because the log group cannot be read.
    """
    if wanted.log_group:
        LogGroup(wanted.log_group).check()
    with report.stage("start", unit="steps"):
        spark = start_session(f"fruitsctl {wanted.run_id}", is_s3(wanted.output))
    with report.stage("find", unit="tasks") as stage, showing_tasks(spark.sparkContext, stage):
        targets = _meant(spark, wanted, folder)
    with report.stage("read", total=len(targets.uris)) as stage:
        read_photos(targets, stage.update)
        read_shared(folder, targets)
    return targets


def erase(wanted: Forget, folder: Folder, lease: Lease, report: Report) -> Receipt:
    """
    Erase, search what is left, write the receipt. Where nothing is to be erased, none is written.

    Raises:
        LeftOverError: something is left; the receipt says where.
        JobError: as the tree in job/errors.py says; the same command goes on from there.
    """
    targets = plan(wanted, folder, report)
    spark = SparkSession.active()
    if not targets.uris:
        return _receipt(wanted, [], targets, [], [], proof.Proof())
    begun = [join(folder.uri, name) for name, _ in kept(folder)]
    targets.runs |= {run for run in folder.names("runs") if runs.rows_of(folder, run, targets)}
    keep(folder, wanted.run_id, targets)
    _remove_files(begun)  # what they held is in the new one
    _remove_files(unfinished(folder.uri))
    if wanted.tombstone:
        bury(folder, targets.contents)

    def done(**removed: int) -> None:
        targets.removed.update(removed)
        keep(folder, wanted.run_id, targets)

    with report.stage("photos", total=len(targets.uris)) as stage:
        done(photos=remove(versions_of_each(sorted(targets.uris), stage.update)))
    with report.stage("tables", unit="tasks") as stage, showing_tasks(spark.sparkContext, stage):
        done(**tables.erase(spark, folder, targets.uris, lease))
        moments.drop(folder, targets.chunks)
        folder.delete_tree("work")
    with report.stage("runs", unit="runs") as stage:
        for number, run in enumerate(folder.names("runs"), start=1):
            done(rows=runs.clean(folder, run, targets, lease))
            stage.update(number)
    fitted = [run for run in folder.names("runs") if _fitted_with(folder, run, targets.runs | set(refit.interrupted(folder)))]
    if wanted.refit and fitted:
        with report.stage("refit", total=len(fitted), unit="runs") as stage:
            for number, run in enumerate(_own_first(folder, fitted), start=1):
                refit.refit(spark, folder, run, lease)
                stage.update(number)
    with report.stage("report", unit="runs") as stage:
        for number, run in enumerate(folder.names("runs"), start=1):
            runs.settle(folder, run, wanted.cache, (runs.REFITTED if wanted.refit else runs.FITTED) if run in fitted else "", lease)
            stage.update(number)
    with report.stage("purge", unit="versions") as stage:
        done(versions=_purge(folder, stage.update))

    pending = join(folder.uri, FOLDER, f"{wanted.run_id}.pending")
    addresses = tables.Addresses(folder)
    needles = proof.Needles(targets, addresses.longer, addresses.around)
    left = _prove(spark, wanted, folder, lease, needles, {pending}, report)
    key = key_of(folder)
    images = sorted(keyed(key, value) for value in targets.uris | targets.contents)
    made = _receipt(wanted, images, targets, fitted if wanted.refit else [], [] if wanted.refit else fitted, left)
    receipt.write(folder, made)
    if left.found:
        unread = left.found[0].endswith(proof.NOT_SEARCHED)
        what = "it is not known whether there are erased photos in" if unread else "erased photos still found in"
        raise LeftOverError(f"{what} `{left.found[0]}`", "delete the files that the receipt lists by hand")
    _remove_files([pending])
    return made


def _remove_files(uris: Iterable[str]) -> None:
    """In all their versions."""
    remove(versions_of_each(uris))


def unknown(wanted: Forget, folder: Folder, known: Callable[[str], bool]) -> list[str]:
    """Those of the addresses that `wanted` names which are not `known`, and its prefixes below which there are photos that are not."""
    asked, photos = _asked(wanted), Known(folder).photos_below
    missing = {uri for uri in asked["uris"] if not known(uri)}
    missing |= {prefix for prefix in asked["prefixes"] if not all(known(uri) for uri in photos(prefix))}
    return sorted(map(printable, missing))


def _asked(wanted: Forget) -> dict[str, list[str]]:
    with open(wanted.targets, encoding="utf-8") as file:
        asked: dict[str, list[str]] = json.load(file)
    return asked


def _meant(spark: SparkSession, wanted: Forget, folder: Folder) -> Targets:
    asked = _asked(wanted)
    return find(spark, folder, asked["uris"], asked["prefixes"], wanted.older_than, wanted.copies)


def _fitted_with(folder: Folder, run: str, touched: Iterable[str]) -> bool:
    """Whether the PCA that a run uses was fitted with rows that are erased now."""
    stored = folder.read(f"runs/{run}/manifest.json") or folder.read(f"runs/{run}/{refit.ASIDE}")
    return stored is not None and Manifest.from_json(stored.content).fitted_by in touched


def _own_first(folder: Folder, found: list[str]) -> list[str]:
    """Runs that fitted their PCA themselves, before those that use it."""

    def borrowed(run: str) -> bool:
        stored = folder.read(f"runs/{run}/manifest.json") or folder.read(f"runs/{run}/{refit.ASIDE}")
        return stored is not None and Manifest.from_json(stored.content).fitted_by != run

    return sorted(found, key=borrowed)


def _purge(folder: Folder, progress: Progress = unseen) -> int:
    """Older versions of everything in OUTPUT, and delete markers: what was rewritten or deleted is still in them."""
    return remove([version for version in versions_below(folder.uri + "/") if not version.current], progress)


def _prove(
    spark: SparkSession, wanted: Forget, folder: Folder, lease: Lease, needles: proof.Needles, ours: set[str], report: Report
) -> proof.Proof:
    places = [folder.uri, *([wanted.logs] if wanted.logs else [])]
    with report.stage("prove", unit="files") as stage:
        left = proof.search(places, needles, ours, stage.update)
        held = [name for name in tables.TABLES if any(f"/{name}/_delta_log/" in where for where in left.found)]
        if held:  # a commit of somebody else's said it
            for name in held:
                tables.forget_history(folder, name, lease)
            _purge(folder)
            left = proof.search(places, needles, ours, stage.update)
        if wanted.log_group:
            LogGroup(wanted.log_group).search(needles, left)
    return left


def _receipt(wanted: Forget, images: list[str], targets: Targets, refitted: list[str], marked: list[str], left: proof.Proof) -> Receipt:
    asked = {name: value for name, value in asdict(wanted).items() if name in ("older_than", "tombstone", "copies", "refit")}
    return Receipt(
        id=wanted.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=wanted.by,
        asked=asked,
        images=images,
        removed=dict(targets.removed),
        refitted=refitted,
        marked=marked,
        copies_left=len(targets.copies),
        searched=receipt.searched(left),
        found=left.found,
    )
