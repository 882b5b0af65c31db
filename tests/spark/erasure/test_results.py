"""Images forgotten, on disk: nothing of them is left in any byte of tables and runs, and everything else is as it was."""

import hashlib
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cli.settings.private import owner_only
from job.contract.uris import from_text
from job.erasure import refit, runs, tables
from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.spark.erasure.traces import files_that_hold, stored, tree


def test_of_a_forgotten_photo_no_byte_is_left_in_any_run_and_the_others_stay(run_job, forget, photos, tmp_path, matrix):
    output, files = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    one = files[7]
    first, second = (run_job(photos, output, "mobilenet_v2_untrained", components=3).run_id for _ in range(2))
    before = stored(output).set_index("uri")
    head = np.asarray(before.loc[f"file://{one}"]["embedding"], np.float32)[:64].tobytes()
    scores = {run: {uri: row for uri, _, row in matrix(output, run)} for run in (first, second)}

    done = forget(output, [one])

    assert not one.exists()
    assert done.removed == {"photos": 1, "features": 1, "rejects": 0, "rows": 2, "versions": 0}
    assert (done.by, done.found, done.copies_left, done.marked, done.refitted) == ("somebody@somewhere", [], 0, [first, second], [])
    name = f"{one.parent.name}/{one.name}".encode()
    assert files_that_hold(output, str(one).encode(), name, head, head.hex().encode()) == []
    after = stored(output).set_index("uri")
    assert sorted(after.index) == sorted(f"file://{path}" for path in files if path != one)
    assert all((after.loc[uri]["embedding"] == before.loc[uri]["embedding"]).all() for uri in after.index)
    for run in (first, second):
        assert {uri: row for uri, _, row in matrix(output, run)} == {u: r for u, r in scores[run].items() if u != f"file://{one}"}
        manifest = json.loads((output / "runs" / run / "manifest.json").read_text())
        assert (manifest["counts"]["rows"], manifest["counts"]["erased"], manifest["counts"]["labels"]) == (59, 1, 6)
        assert re.fullmatch(r"images were erased .*; its PCA was fitted with them \(\d{4}-\d\d-\d\d\)", manifest["notes"][-1])
        assert "59" in (output / "runs" / run / "report.html").read_text()


def test_a_run_after_it_embeds_nothing_and_fits_without_the_forgotten(run_job, forget, after_a_run, tmp_path, matrix):
    output, photos = after_a_run
    files = sorted(photos.glob("*/*.jpg"))
    forget(output, files[:3])

    after = run_job(photos, output, components=2)
    fresh = run_job(photos, tmp_path / "fresh", components=2)

    assert (after.counts["listed"], after.counts["embedded"], after.counts["rows"]) == (57, 0, 57)
    ours, theirs = ({uri: row for uri, _, row in matrix(*place)} for place in ((output, after.run_id), (tmp_path / "fresh", fresh.run_id)))
    assert ours.keys() == theirs.keys()
    assert np.abs(np.array([ours[uri] for uri in ours]) - np.array([theirs[uri] for uri in ours])).max() < 1e-6


def test_refit_gives_the_matrix_of_a_run_that_never_saw_the_photo(spark, run_job, forget, after_a_run, tmp_path, matrix):
    output, photos = after_a_run
    first, files = "first", sorted(photos.glob("*/*.jpg"))
    borrowed = run_job(photos, output, pca=first).run_id
    chained = run_job(photos, output, pca=borrowed)
    assert chained.fitted_by == first
    earlier = output / "runs" / chained.run_id / "manifest.json"  # as versions before this one wrote it
    earlier.write_text(replace(chained, fitted_by=borrowed).to_json())

    done = forget(output, files[:5], refit=True)

    fresh = run_job(photos, tmp_path / "fresh", components=2).run_id
    assert (set(done.refitted), done.marked) == ({first, borrowed, chained.run_id}, [])
    wanted = {uri: row for uri, _, row in matrix(tmp_path / "fresh", fresh)}
    for run in (first, borrowed, chained.run_id):
        got = {uri: row for uri, _, row in matrix(output, run)}
        assert got.keys() == wanted.keys()
        assert np.abs(np.array([got[uri] for uri in wanted]) - np.array(list(wanted.values()))).max() < 1e-6
        assert "refitted without them" in json.loads((output / "runs" / run / "manifest.json").read_text())["notes"][-1]
        assert (output / "runs" / run / "report.html").exists()
    assert spark.read.parquet(str(output / "runs" / first / "pca")).count() == 55


def interrupted(*arguments):
    raise KeyboardInterrupt


def interrupted_without_a_matrix(spark, scores, folder, run, *others):
    for name in ("pca", "csv"):
        folder.delete_tree(f"runs/{run}/{name}")
    raise KeyboardInterrupt


def interrupted_after_the_matrix(*arguments, write=refit.publish.write_matrix):
    write(*arguments)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        ("write_model", interrupted),
        ("write_matrix", interrupted),
        ("write_matrix", interrupted_without_a_matrix),
        ("write_matrix", interrupted_after_the_matrix),
    ],
    ids=["before the PCA", "before the matrix", "while the matrix is written", "after the matrix"],
)
def test_a_refit_that_was_interrupted_is_done_by_the_next_erasure(run_job, forget, after_a_run, monkeypatch, name, stop):
    """Rows of photos that have changed are noted, not counted as erased. The PCA of before, which tells what was erased, never stays."""
    output, photos = after_a_run
    one, *changed = sorted(photos.glob("*/*.jpg"))[:3]
    for path in changed:
        path.write_bytes(sorted(photos.glob("*/*.jpg"))[20].read_bytes())
    time.sleep(2)  # the time of a run is cut to the second
    run_job(photos, output, components=2)

    with monkeypatch.context() as patch:
        patch.setattr(refit.publish, name, stop)
        with pytest.raises(KeyboardInterrupt):
            forget(output, [one], refit=True)
    receipt = forget(output, [one], refit=True)

    run = output / "runs" / "first"
    manifest = json.loads((run / "manifest.json").read_text())
    assert "first" in receipt.refitted
    assert (manifest["counts"]["rows"], manifest["counts"]["erased"]) == (57, 1)
    assert [note for note in manifest["notes"] if "2 rows were dropped by a refit: their photos have changed" in note] != []
    assert int(np.load(run / "pca.npz")["n"]) == 57
    assert sorted(path.name for path in run.glob("*.refit")) == []


def test_a_photo_with_a_tombstone_is_refused_under_any_name_and_others_are_not(run_job, forget, after_a_run):
    output, photos = after_a_run
    files = sorted(photos.glob("*/*.jpg"))
    content = files[0].read_bytes()
    forget(output, [files[0]], tombstone=True)
    files[0].with_name("again.jpg").write_bytes(content)
    files[0].with_name("other.jpg").write_bytes(files[20].read_bytes())

    after = run_job(photos, output, components=2)

    assert (after.counts["new"], after.counts["embedded"], after.rejects) == (2, 1, {"erased on request": 1})
    assert "again.jpg" not in " ".join(stored(output)["uri"])
    kept = (output / "erasures" / "tombstones").read_text().split()
    assert len(kept) == 1
    assert kept[0] != hashlib.sha256(content).hexdigest()


def test_a_plan_changes_no_byte(forget, after_a_run, tmp_path):
    output, photos = after_a_run
    before = tree(output) | tree(photos)

    found = forget(output, prefixes=[f"file://{photos}/"], only_plan=True)

    assert len(found.uris) == 60
    folder = open_folder(from_text(str(output)))
    assert [len(runs.uris_of(folder, run, found)) for run in folder.names("runs")] == [60]
    assert tree(output) | tree(photos) == before


def test_rows_of_odd_names_stay_as_they_are_and_go_when_it_is_their_turn(run_job, forget, photos, tmp_path, matrix):
    output, folder = tmp_path / "out", min(photos.iterdir())
    one, *others = sorted(folder.iterdir())
    names = ["a\rb.jpg", "a\r\nb.jpg", "a\nb.jpg", 'a"b.jpg', " a,b .jpg", "a\x85\u2028\x0bb.jpg"]
    odd = [path.rename(folder / name) for path, name in zip(others, names, strict=False)]
    run = run_job(photos, output, components=2).run_id
    before = {uri: row for uri, *row in matrix(output, run)}
    assert len(before) == 60

    for done, path in enumerate([one, *odd], start=1):
        assert forget(output, [path]).removed["rows"] == 1
        before.pop(f"file://{path}")
        assert {uri: row for uri, *row in matrix(output, run)} == before
        assert len(stored(output)) == 60 - done


def test_a_path_without_its_scheme_is_removed_from_logs_and_outcomes(forget, after_a_run):
    output, photos = after_a_run
    one, two = sorted(photos.glob("*/*.jpg"))[:2]
    run = output / "runs" / "first"
    (run / "job.log").write_text(f"begin\ncannot read {one}: torn\nread {two}\n")
    (run / "outcome.json").write_text(json.dumps({"code": 1, "message": f"cannot read `{one}`"}))

    assert forget(output, [one]).found == []

    assert (run / "job.log").read_text() == f"begin\nread {two}\n"
    assert not (run / "outcome.json").exists()


def test_what_a_suspended_run_appends_to_its_log_after_an_erasure_is_not_in_output(forget, after_a_run):
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    log = output / "runs" / "first" / "job.log"
    with open(log, "a", opener=owner_only) as suspended:
        suspended.write("begin\n")
        suspended.flush()
        forget(output, [one])
        suspended.write(f"cannot read {one}: torn\n")

    assert log.read_text() == "begin\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_after_an_erasure_no_file_of_the_tables_has_a_row_of_the_photo_for_a_reader_without_delta(run_job, forget, after_a_run):
    """Rows of a photo that changed stay in the files of the table until they are vacuumed: plain pyarrow reads all files."""
    output, photos = after_a_run
    one, two = sorted(photos.glob("*/*.jpg"))[:2]
    for path in (one, two):
        path.write_bytes(sorted(photos.glob("*/*.jpg"))[20].read_bytes())
    run_job(photos, output, components=2)
    assert len(stored(output)) == 60
    assert [everywhere(output).count(f"file://{path}") for path in (one, two)] == [2, 2]

    forget(output, [one])

    assert [everywhere(output).count(f"file://{path}") for path in (one, two)] == [0, 1]
    assert len(everywhere(output)) == len(stored(output)) == 59


def everywhere(output):
    """The addresses in every Parquet file of features/, whether the log names it or not."""
    return [
        uri
        for path in output.glob("features/**/*.parquet")
        if "_delta_log" not in path.parts
        for uri in pq.read_table(path)["uri"].to_pylist()
    ]


def test_tables_that_are_not_there_are_no_trouble(spark, tmp_path):
    folder = open_folder(from_text(str(tmp_path / "out")))
    with Lease.acquire(folder, "erasure") as lease:
        tables.erase(spark, folder, {"file:///p/a.jpg"}, lease)
    assert not Path(tmp_path, "out", "features").exists()
