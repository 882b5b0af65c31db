"""
Erase images, named by URI, prefix or age, from OUTPUT and INPUT, and write a receipt.

Every step is idempotent: an interrupted erasure continues with the targets that were stored before the first step.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain

from pyspark.sql import SparkSession

from job.contract.errors import JobError, OutputError
from job.contract.locations import is_part
from job.contract.params import ForgetParams
from job.contract.uris import is_s3, join, printable, shown
from job.erasure import receipt, refit, runs, tables
from job.erasure.known import KnownPhotos, manifest_of
from job.erasure.pending import OPTIONS, Targets, save_targets
from job.erasure.receipt import Receipt
from job.erasure.search import proof
from job.erasure.search.log_group import LogGroup
from job.erasure.targets import find, read_photos, read_shared, rows_in
from job.erasure.versions import Progress, Version, no_progress, remove, unfinished, unfinished_of, versions_below, versions_of_each
from job.inputs.rows import driver_rows
from job.spark.progress import ProgressReport, showing_tasks
from job.spark.session import start_session
from job.stages import moments
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.tombstones import FOLDER, KEY, add_tombstones, keyed_hash, read_or_create_key


class LeftOverError(JobError):
    """The erasure is done, and the search found something all the same."""


def require_results(folder: Folder) -> None:
    """
    Raise OutputError if `folder` has no results.

    With a mistyped OUTPUT the photo would be deleted and its features would stay in the real one.
    """
    if not {*tables.TABLES, "runs", FOLDER} & {*folder.names()}:
        raise OutputError(f"there are no results in `{shown(folder.uri)}`", "give the OUTPUT of the runs that have the photos")


def plan(wanted: ForgetParams, folder: Folder, report: ProgressReport) -> Targets:
    """
    Return what `erase` would remove; change nothing. A dry run over few rows needs no Spark.

    Raises:
        SetupError: it could not be proven afterwards, because the log group cannot be read.
    """
    if wanted.log_group:
        LogGroup(wanted.log_group).check()
    spark = None
    if not wanted.dry_run or rows_in(folder) > driver_rows():
        with report.stage("start", unit="steps"):
            spark = start_session(f"fruitsctl {wanted.run_id}", is_s3(wanted.output))
    with report.stage("find", unit="tasks") as stage, showing_tasks(spark.sparkContext, stage) if spark else nullcontext():
        targets = _meant(spark, wanted, folder)
    with report.stage("read", total=len(targets.uris)) as stage:
        read_photos(targets, stage.update, wanted.tombstone or "tombstone" in targets.asked)
        read_shared(folder, targets)
    return targets


def erase(wanted: ForgetParams, folder: Folder, lease: Lease, report: ProgressReport) -> Receipt:
    """
    Erase, search what is left, write the receipt. Where nothing is to be erased, none is written.

    Raises:
        LeftOverError: something is left; the receipt says where.
        JobError: the tree is in job/contract/errors.py; the same command continues from there.
    """
    targets = plan(wanted, folder, report)
    lease.check()
    spark = SparkSession.active()
    if not targets.uris:
        return _receipt(wanted, [], targets, [], [], proof.Proof())
    in_runs = [(run, uri) for run in folder.names("runs") for uri in runs.uris_of(folder, run, targets)]
    targets.runs |= {run for run, _ in in_runs}
    targets.note("rows", (f"{run} {uri}" for run, uri in in_runs))
    targets.asked |= {name for name in OPTIONS if getattr(wanted, name)}
    save_targets(folder, wanted.run_id, targets)
    _remove_files(join(folder.uri, name) for name in targets.begun)  # the new one has their content
    remove(version for version in unfinished(folder.uri) if is_part(version.uri, folder.uri))
    if "tombstone" in targets.asked:
        add_tombstones(folder, targets.contents)

    with report.stage("photos", total=len(targets.uris)) as stage:
        photos = chain(unfinished_of(targets.uris), versions_of_each(sorted(targets.uris), stage.update))
        _remove_noted(wanted, folder, targets, "photos", photos)
    with report.stage("tables", unit="tasks") as stage, showing_tasks(spark.sparkContext, stage):
        tables.erase(spark, folder, targets.uris, lease)
        moments.drop_outdated(spark, folder)
        folder.delete_tree("work")
    with report.stage("runs", unit="runs") as stage:
        for number, run in enumerate(folder.names("runs"), start=1):
            runs.erase_from_run(folder, run, targets, lease)
            stage.update(number)
    fitted = [run for run in folder.names("runs") if _fitted_with(folder, run, targets.runs | set(refit.interrupted(folder)))]
    refitted = _refit(spark, folder, fitted, lease, report) if "refit" in targets.asked else []
    with report.stage("report", unit="runs") as stage:
        for number, run in enumerate(folder.names("runs"), start=1):
            note = runs.REFITTED if run in refitted else runs.FITTED if run in fitted else ""
            runs.update_manifest_and_report(folder, run, wanted.cache, note, lease)
            stage.update(number)
    with report.stage("purge", unit="versions") as stage:
        _purge(wanted, folder, targets, stage.update)

    pending = join(folder.uri, FOLDER, f"{wanted.run_id}.pending")
    addresses = tables.Addresses(folder)
    terms = proof.SearchTerms(targets, addresses.beginning_with, addresses.containing)
    left = _prove(wanted, folder, targets, lease, terms, {pending}, report)
    key = read_or_create_key(folder)
    images = sorted(keyed_hash(key, value) for value in targets.uris | targets.contents)
    made = _receipt(wanted, images, targets, refitted, [run for run in fitted if run not in refitted], left)
    receipt.write(folder, made)
    if left.found:
        unread = left.found[0].endswith(proof.NOT_SEARCHED)
        what = "it is not known whether there are erased photos in" if unread else "erased photos still found in"
        raise LeftOverError(
            f"{what} `{shown(left.found[0])}`", "delete the files that the receipt lists by hand, then run the command again"
        )
    _remove_files([pending])
    return made


def _remove_files(uris: Iterable[str]) -> None:
    """Delete the files in all their versions."""
    remove(versions_of_each(uris))


def unknown_photos(wanted: ForgetParams, folder: Folder, known: Callable[[str], bool]) -> dict[str, object]:
    """
    Return two fields of the answer, `unknown` and `before`.

    `unknown` has the addresses in `wanted` that are not `known`, and its prefixes that contain unknown photos. `before` has addresses that
    would be unknown if a receipt did not have them, and when they were erased.
    """
    asked, photos = _asked(wanted), KnownPhotos(folder).photos_below
    missing = {uri for uri in asked["uris"] if not known(uri)}
    before = _erased_before(folder, missing)
    missing |= {prefix for prefix in asked["prefixes"] if not all(known(uri) for uri in photos(prefix))}
    return {
        "unknown": sorted(map(printable, missing - before.keys())),
        "before": {printable(uri): at for uri, at in sorted(before.items())},
    }


def _erased_before(folder: Folder, uris: set[str]) -> dict[str, str]:
    """
    Return those of `uris` that a receipt has, and when that was, unless there is a file again.

    The answer of that erasure may have got lost.
    """
    key = folder.read(KEY)
    times = receipt.times_of(folder) if uris and key else {}
    if not (times and key):
        return {}
    real = KnownPhotos(folder).real
    found = {uri: times[one] for uri in uris for one in (keyed_hash(key.content, real(uri)), keyed_hash(key.content, uri)) if one in times}
    there = {version.uri for version in versions_of_each(sorted(found)) if not version.marker}
    return {uri: at for uri, at in found.items() if uri not in there}


def _asked(wanted: ForgetParams) -> dict[str, list[str]]:
    with open(wanted.targets, encoding="utf-8") as file:
        asked: dict[str, list[str]] = json.load(file)
    return asked


def _meant(spark: SparkSession | None, wanted: ForgetParams, folder: Folder) -> Targets:
    asked = _asked(wanted)
    return find(spark, folder, asked["uris"], asked["prefixes"], wanted.older_than, wanted.copies)


def _fitted_with(folder: Folder, run: str, touched: Container[str]) -> bool:
    """
    Return whether the PCA that a run uses was fitted with rows that are erased now.

    What a deleted run had is unknown: it is assumed to have had what the run that uses its PCA has.
    """
    root = refit.root_of(folder, run)
    known = root if manifest_of(folder, root) is not None else run
    return manifest_of(folder, run) is not None and known in touched


def _refit(spark: SparkSession, folder: Folder, fitted: list[str], lease: Lease, report: ProgressReport) -> list[str]:
    """Refit the runs `fitted` and return those with enough images left. Runs that use another's PCA come last."""
    by = {run: refit.root_of(folder, run) for run in fitted}
    done: set[str] = set()
    with report.stage("refit", total=len(fitted), unit="runs") as stage:
        for number, run in enumerate(sorted(fitted, key=lambda run: by[run] != run), start=1):
            if by[run] in {run, *done} and refit.refit(spark, folder, run, lease) is not None:
                done.add(run)
            stage.update(number)
    return [run for run in fitted if run in done]


def _remove_noted(
    wanted: ForgetParams, folder: Folder, targets: Targets, name: str, versions: Iterable[Version], progress: Progress = no_progress
) -> None:
    """Remove `versions`; before that, note them under `name` of Receipt.removed."""
    found = list(versions)
    targets.note(name, (f"{version.version} {version.uri}" for version in found))
    save_targets(folder, wanted.run_id, targets)
    remove(found, progress)


def _purge(wanted: ForgetParams, folder: Folder, targets: Targets, progress: Progress = no_progress) -> None:
    """
    Remove older versions and delete markers from OUTPUT: they still hold what was rewritten or deleted.

    Photos and other files beside what OUTPUT is made of keep theirs.
    """
    older = (version for version in versions_below(folder.uri + "/") if not version.current and is_part(version.uri, folder.uri))
    _remove_noted(wanted, folder, targets, "versions", older, progress)


def _prove(
    wanted: ForgetParams, folder: Folder, targets: Targets, lease: Lease, terms: proof.SearchTerms, ours: set[str], report: ProgressReport
) -> proof.Proof:
    places = [folder.uri, *([wanted.logs] if wanted.logs else [])]
    with report.stage("prove", unit="files") as stage:
        left = proof.search(places, terms, ours, stage.update)
        held = [name for name in tables.TABLES if any(f"/{name}/_delta_log/" in where for where in left.found)]
        if held:  # from a commit of another writer
            for name in held:
                tables.forget_history(folder, name, lease)
            _purge(wanted, folder, targets)
            left = proof.search(places, terms, ours, stage.update)
        if wanted.log_group:
            LogGroup(wanted.log_group).search(terms, left)
    return left


def _receipt(
    wanted: ForgetParams, images: list[str], targets: Targets, refitted: list[str], marked: list[str], left: proof.Proof
) -> Receipt:
    asked = {name: value for name, value in asdict(wanted).items() if name in ("older_than", "tombstone", "copies", "refit")}
    asked |= dict.fromkeys(targets.asked, True)
    return Receipt(
        id=wanted.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=wanted.by,
        asked=asked,
        images=images,
        removed={name: targets.removed.get(name, Counter()).total() for name in receipt.REMOVED} if images else {},
        refitted=refitted,
        marked=marked,
        copies_left=len(targets.copies),
        searched=receipt.searched(left),
        found=left.found,
    )
