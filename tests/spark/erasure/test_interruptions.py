"""Erasures that stop anywhere, and what other processes leave: a second try converges."""

import json
import shutil
from types import SimpleNamespace

import pyarrow.dataset as ds
import pytest

from job import erasure
from job.contract.errors import LeaseError
from job.contract.uris import from_text
from job.erasure import runs, tables, versions
from job.inputs.rows import ArrowRows
from job.product.report import report
from job.stages import moments
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.conftest import SHORT
from tests.leases import take_over
from tests.spark.erasure.traces import files_that_hold, stored

STEPS = ["remove", "tables.erase", "runs.erase_from_run", "runs.update_manifest_and_report", "proof.search"]


def test_erasures_that_stop_before_any_step_are_brought_to_their_end_by_the_next(forget, after_a_run, monkeypatch):
    output, photos = after_a_run
    files = sorted(photos.glob("*/*.jpg"))

    def stop(*arguments):
        raise KeyboardInterrupt

    for step, file in zip(STEPS, files, strict=False):
        place, _, name = step.rpartition(".")
        with monkeypatch.context() as patch:
            patch.setattr(getattr(erasure, place) if place else erasure, name, stop)
            with pytest.raises(KeyboardInterrupt):
                forget(output, [file])
    assert len(list((output / "erasures").glob("*.pending"))) == 1  # each takes over what the one before had begun
    done = forget(output, [files[30]])  # somebody else's: what was begun is not left behind

    gone = [*files[: len(STEPS)], files[30]]
    assert done.found == []
    assert len(stored(output)) == 60 - len(gone)
    assert [file for file in gone if file.exists()] == []
    assert files_that_hold(output, *(str(file).encode() for file in gone)) == []
    assert not list((output / "erasures").glob("*.pending"))


STAGES = ["tables.erase", "runs.erase_from_run", "_fitted_with", "refit.refit", "runs.update_manifest_and_report", "_purge", "proof.search"]


@pytest.mark.parametrize("refits", [False, True], ids=["mark", "refit"])
@pytest.mark.parametrize("step", STAGES[2:3] if SHORT else STAGES)
def test_an_erasure_that_stops_between_two_stages_ends_as_one_that_did_not(forget, after_a_run, monkeypatch, tmp_path, step, refits):
    """The same state of OUTPUT and the same receipt, once the same command was repeated."""
    output, photos = after_a_run
    files = sorted(photos.glob("*/*.jpg"))[:2]
    calm_photos, calm = tmp_path / "calm photos", tmp_path / "calm"
    shutil.copytree(output, calm)
    shutil.copytree(photos, calm_photos)
    expected = forget(calm, files, refit=refits)
    for file in files:  # the calm erasure took the photos, too
        shutil.copy2(calm_photos / file.relative_to(photos), file)

    def stop(*arguments):
        raise KeyboardInterrupt

    place, _, name = step.rpartition(".")
    with monkeypatch.context() as patch:
        patch.setattr(getattr(erasure, place) if place else erasure, name, stop)
        if step == "refit.refit" and not refits:
            forget(output, files, refit=refits)  # has no such stage
            return
        with pytest.raises(KeyboardInterrupt):
            forget(output, files, refit=refits)
    done = forget(output, files, refit=refits)

    assert (done.images != [], len(done.images)) == (True, len(expected.images))
    assert (done.removed, done.refitted, done.marked) == (expected.removed, expected.refitted, expected.marked)
    assert (done.refitted if refits else done.marked) != []
    assert end_state(output) == end_state(calm)


def second_call(function):
    """`function`, but a KeyboardInterrupt instead of its second call."""
    calls = []

    def stopping(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return function(*arguments, **named)

    return stopping


WITHIN = {  # a stage -> what it does twice
    "photos": (versions, "_unlink"),
    "tables": (DeltaLog, "vacuum"),
    "runs": (runs, "_rewrite_csv"),
}


@pytest.mark.parametrize("stage", WITHIN)
def test_an_erasure_that_stops_within_a_stage_counts_in_the_end_what_it_had_removed(run_job, forget, after_a_run, monkeypatch, stage):
    """Also if the command that continues it names another photo too."""
    output, photos = after_a_run
    torn = min(photos.iterdir()) / "torn.jpg"
    torn.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    run_job(photos, output, pca="first", run_id="second")
    files = [path for path in sorted(photos.glob("*/*.jpg")) if path != torn][:3]
    place, name = WITHIN[stage]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, second_call(getattr(place, name)))
        with pytest.raises(KeyboardInterrupt):
            forget(output, [*files[:2], torn])

    done = forget(output, [*files, torn])

    assert done.removed == {"photos": 4, "features": 3, "rejects": 1, "rows": 6, "versions": 0}


def end_state(output):
    """Matrix and manifest of each run, and what the tables hold, but for times and names of files."""
    runs = {}
    for manifest in sorted(output.glob("runs/*/manifest.json")):
        said = json.loads(manifest.read_text())
        rows = ds.dataset(manifest.parent / "pca").to_table().sort_by("uri").to_pylist()
        numbers = [round(abs(float(number)), 4) for row in rows for number in row["pc"]]
        runs[manifest.parent.name] = (said["counts"], said["k"], said["notes"], [row["uri"] for row in rows], numbers)
    return runs, sorted(stored(output)["uri"]), (output / "latest.json").read_text()


def test_what_killed_writers_left_goes_too(forget, after_a_run):
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    rows = min(output.glob("features/*.parquet"))
    left = [rows.with_name(f".{rows.name}.4711-140.part"), output / "runs" / "first" / ".outcome.json.4711-140.part"]
    shutil.copy(rows, left[0])
    left[1].write_text(f"cannot read {one}")
    kept = output / "mine.part"
    kept.touch()

    assert forget(output, [one]).found == []
    assert [path for path in left if path.exists()] == []
    assert kept.exists()


def test_a_running_job_is_not_disturbed(forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    with Lease.acquire(open_folder(from_text(str(output))), "a run"), pytest.raises(LeaseError, match="a run"):
        forget(output, [one])
    assert one.exists()


def test_a_run_that_was_taken_over_cannot_commit_after_an_erasure_that_dropped_no_row(spark, after_a_run):
    """The files that it would commit belonged to no version, and are deleted."""
    folder = open_folder(from_text(str(after_a_run[0])))
    with Lease.acquire(folder, "late") as lease:
        late, erasure = (SimpleNamespace(generation=lease.generation + more, check=lambda: None, taken_over=bool(more)) for more in (0, 1))

    tables.erase(spark, folder, {"file:///p/a.jpg"}, erasure)

    for table in ("features", "rejects"):
        with pytest.raises(LeaseError, match="another run has written to"):
            DeltaLog(folder, table, late).commit([])


def test_a_run_from_before_an_owner_who_wrote_nothing_cannot_commit_after_an_erasure(spark, after_a_run):
    """Whose lease was not taken over: the owner between them has released it."""
    folder = open_folder(from_text(str(after_a_run[0])))
    with Lease.acquire(folder, "late") as lease:
        late, erasure = (SimpleNamespace(generation=lease.generation + more, check=lambda: None, taken_over=False) for more in (0, 2))

    tables.erase(spark, folder, {"file:///p/a.jpg"}, erasure)

    for table in ("features", "rejects"):
        with pytest.raises(LeaseError, match="another run has written to"):
            DeltaLog(folder, table, late).commit([])


def test_an_erasure_whose_lease_was_taken_over_while_it_planned_deletes_nothing(forget, after_a_run, monkeypatch):
    output, photos = after_a_run
    one, plan = min(photos.glob("*/*.jpg")), erasure.plan

    def slowly(wanted, folder, report):
        targets = plan(wanted, folder, report)
        take_over(folder, "another")
        return targets

    monkeypatch.setattr(erasure, "plan", slowly)
    with pytest.raises(LeaseError):
        forget(output, [one])

    assert one.exists()
    assert not (output / "erasures").exists()


@pytest.mark.parametrize(("place", "name"), [(moments, "fold"), (ArrowRows, "count_distinct")], ids=["fit", "project"])
def test_a_run_that_slept_while_photos_were_erased_writes_nothing_of_them(job, forget, after_a_run, monkeypatch, place, name):
    """Sums of features and a matrix, which it has made and not yet written when it is suspended."""
    output, photos = after_a_run
    one, made = min(photos.glob("*/*.jpg")), getattr(place, name)

    def slowly(*arguments):
        monkeypatch.undo()
        result = made(*arguments)
        take_over(open_folder(from_text(str(output))), "erasure-0")
        forget(output, [one])
        return result

    before = set((output / "moments").rglob("*.npz"))
    monkeypatch.setattr(place, name, slowly)
    with pytest.raises(LeaseError):
        job(photos, output, components=2, run_id="slow", fit_on=f"{one.parent.name}*")

    assert files_that_hold(output, str(one).encode()) == []
    assert set((output / "moments").rglob("*.npz")) <= before
    assert not (output / "runs" / "slow").exists()


def test_no_erasure_begins_while_a_report_is_written_again(forget, after_a_run, cache, monkeypatch):
    """The search would not see what that report holds."""
    output, photos = after_a_run
    one, build = min(photos.glob("*/*.jpg")), report.build

    def slowly(*arguments):
        monkeypatch.undo()
        made = build(*arguments)
        with pytest.raises(LeaseError, match="run `report-"):
            forget(output, [one])
        return made

    monkeypatch.setattr(report, "build", slowly)
    report.rebuild(from_text(str(output)), "first", cache)
    assert f"{one.parent.name}/{one.name}" in (output / "runs" / "first" / "report.html").read_text()

    assert forget(output, [one]).found == []
    assert files_that_hold(output, f"{one.parent.name}/{one.name}".encode()) == []
