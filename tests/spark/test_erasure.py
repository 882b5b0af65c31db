"""Images forgotten, on disk: nothing of them is left in any byte, everything else is as it was, and a second try converges."""

import hashlib
import html
import json
import os
import re
import shutil
import time
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from job import erasure
from job.erasure import LeftOverError, erase, plan, runs, tables
from job.errors import InputError, LeaseError, SetupError
from job.lease import Lease
from job.objects import open_folder
from job.params import Forget
from job.progress import Report
from job.schema import FEATURES
from job.uris import from_text
from tests.aws.conftest import REGION, aws, moto  # noqa: F401 - fixtures
from tests.conftest import SHORT

STEPS = ["remove", "tables.erase", "runs.clean", "runs.settle", "proof.search"]


@pytest.fixture
def forget(spark, cache, tmp_path):
    """One erasure under its lease; its receipt. `only_plan`: what would go."""
    numbers = iter(range(100))

    def start(output, uris=(), prefixes=(), only_plan=False, **options):
        number = next(numbers)
        targets = tmp_path / "targets.json"
        targets.write_text(json.dumps({"uris": [from_text(str(uri)) for uri in uris], "prefixes": list(prefixes)}))
        wanted = Forget(from_text(str(output)), f"erasure-{number}", str(targets), "", "somebody@somewhere", cache=str(cache), **options)
        folder = open_folder(wanted.output)
        if only_plan:
            return plan(wanted, folder, Report())
        with Lease.acquire(folder, wanted.run_id) as lease:
            return erase(wanted, folder, lease, Report())

    return start


def stored(output, table="features"):
    return ds.dataset(DeltaTable(str(output / table)).file_uris()).to_table().to_pandas()


def tree(root):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def files_that_hold(root, *needles):
    """Without the product's own search: raw bytes, and Parquet by its values."""
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(ds.dataset(path).to_table().to_pylist()).encode()
            found += [str(path.relative_to(root)) for needle in needles if needle in content]
    return found


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

    done = forget(output, files[:5], refit=True)

    fresh = run_job(photos, tmp_path / "fresh", components=2).run_id
    assert (done.refitted, done.marked) == ([first, borrowed], [])
    wanted = {uri: row for uri, _, row in matrix(tmp_path / "fresh", fresh)}
    for run in (first, borrowed):
        got = {uri: row for uri, _, row in matrix(output, run)}
        assert got.keys() == wanted.keys()
        assert np.abs(np.array([got[uri] for uri in wanted]) - np.array(list(wanted.values()))).max() < 1e-6
        assert "refitted without them" in json.loads((output / "runs" / run / "manifest.json").read_text())["notes"][-1]
        assert (output / "runs" / run / "report.html").exists()
    assert spark.read.parquet(str(output / "runs" / first / "pca")).count() == 55


def test_a_prefix_takes_photos_that_were_never_embedded_too_and_nothing_else(forget, after_a_run):
    output, photos = after_a_run
    folder = sorted(photos.iterdir())[0]
    shutil.copy(sorted(photos.iterdir())[1] / os.listdir(sorted(photos.iterdir())[1])[0], folder / "came later.jpg")
    (folder / "notes.txt").write_text("not a photo")

    done = forget(output, prefixes=[f"file://{folder}/"])

    assert (done.removed["photos"], done.removed["features"], len(done.images)) == (11, 10, 22)
    assert os.listdir(folder) == ["notes.txt"]
    assert len(stored(output)) == 50
    assert len(list(photos.glob("*/*.jpg"))) == 50


def test_retention_takes_what_was_taken_in_before_and_not_what_came_after(run_job, forget, after_a_run):
    output, photos = after_a_run
    time.sleep(3)
    new = photos / "Later" / "new.png"
    new.parent.mkdir()
    shutil.copy(sorted(photos.glob("*/*.jpg"))[0], new)
    os.utime(new)
    between = time.time()
    run_job(photos, output, components=2)

    done = forget(output, older_than=time.time() - between + 1)

    assert list(stored(output)["uri"]) == [f"file://{new}"]
    assert [path for path in photos.rglob("*") if path.is_file()] == [new]
    assert done.removed["features"] == 60


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


STAGES = ["tables.erase", "runs.clean", "_fitted_with", "refit.refit", "runs.settle", "_purge", "proof.search"]


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


def end_state(output):
    """Matrix and manifest of each run, and what the tables hold, but for times and names of files."""
    runs = {}
    for manifest in sorted(output.glob("runs/*/manifest.json")):
        said = json.loads(manifest.read_text())
        rows = ds.dataset(manifest.parent / "pca").to_table().sort_by("uri").to_pylist()
        numbers = [round(abs(float(number)), 4) for row in rows for number in row["pc"]]
        runs[manifest.parent.name] = (said["counts"], said["k"], said["notes"], [row["uri"] for row in rows], numbers)
    return runs, sorted(stored(output)["uri"]), (output / "latest.json").read_text()


def test_the_same_picture_under_another_address_is_named_and_goes_only_if_asked(run_job, forget, photos, tmp_path):
    output, files = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    copy = photos / "Copies" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(files[0], copy)
    run_job(photos, output, components=2)

    assert forget(output, [files[0]], only_plan=True).copies == {f"file://{copy}"}
    assert forget(output, [files[0]], only_plan=True, copies=True).uris == {f"file://{files[0]}", f"file://{copy}"}
    assert forget(output, [files[0]]).copies_left == 1
    assert copy.exists()
    assert len(stored(output)) == 60


def test_a_copy_of_one_photo_does_not_hide_what_is_left_of_another(run_job, forget, photos, tmp_path):
    output, (one, other, *_) = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    shutil.copy(one, one.with_name("copy.jpg"))
    run_job(photos, output, "mobilenet_v2_untrained", components=2)
    embedding = stored(output).set_index("uri")["embedding"]
    (output / "both.bin").write_bytes(np.asarray(embedding[f"file://{one}"], np.float32).tobytes())
    (output / "other.bin").write_bytes(np.asarray(embedding[f"file://{other}"], np.float32).tobytes())

    with pytest.raises(LeftOverError, match=r"other\.bin: embedding"):
        forget(output, [one, other])


def test_a_plan_changes_no_byte(forget, after_a_run, tmp_path):
    output, photos = after_a_run
    before = tree(output) | tree(photos)

    found = forget(output, prefixes=[f"file://{photos}/"], only_plan=True)

    assert len(found.uris) == 60
    folder = open_folder(from_text(str(output)))
    assert [runs.rows_of(folder, run, found) for run in folder.names("runs")] == [60]
    assert tree(output) | tree(photos) == before


def test_of_a_forgotten_reject_nothing_is_left(run_job, forget, photos, tmp_path):
    output, broken = tmp_path / "out", photos / "Broken" / "torn.jpg"
    broken.parent.mkdir()
    broken.write_bytes(sorted(photos.glob("*/*.jpg"))[0].read_bytes()[:300])
    run = run_job(photos, output, components=2).run_id
    assert "torn.jpg" in (output / "runs" / run / "report.html").read_text()

    done = forget(output, [broken])

    assert (done.removed["rejects"], done.removed["rows"]) == (1, 0)
    assert files_that_hold(output, b"torn.jpg") == []
    assert (output / "runs" / run / "report.html").exists()


@pytest.mark.parametrize("name", ["l'une.jpg", 'the "one".jpg', "a & <b>.jpg"])
def test_the_report_of_a_rejected_photo_goes_whatever_its_name_is(run_job, forget, photos, tmp_path, name):
    output, broken = tmp_path / "out", photos / "Broken" / name
    broken.parent.mkdir()
    broken.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    report = output / "runs" / run_job(photos, output, components=2).run_id / "report.html"
    assert f"Broken/{name}" in html.unescape(report.read_text())

    forget(output, [broken])

    assert name not in html.unescape(report.read_text())


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


def test_a_photo_whose_path_ends_like_that_of_a_forgotten_one_stays(run_job, forget, photos, tmp_path):
    """Its rows in CSV hold the path of the other one."""
    output, one = tmp_path / "out", min(photos.glob("*/*.jpg"))
    other = photos / str(one).removeprefix("/")
    other.parent.mkdir(parents=True)
    shutil.copy(sorted(photos.glob("*/*.jpg"))[20], other)
    run_job(photos, output, components=2)

    assert forget(output, [one]).found == []
    assert other.exists()
    assert len(stored(output)) == 60


@pytest.mark.parametrize("how", ["raw", "as the tables have it", "prefix", "never seen"])
def test_a_photo_whose_name_is_no_utf_8_is_forgotten(run_job, forget, photos, tmp_path, how):
    output, odd = tmp_path / "out", Path(os.fsdecode(bytes(min(photos.iterdir())) + b"/\xff'\xe9.jpg"))
    if how == "never seen":
        run_job(photos, output, components=2)
    shutil.copy(min(photos.glob("*/*.jpg")), odd)
    if how != "never seen":
        run_job(photos, output, components=2)
    address = f"file://{odd.parent}/\\xff'\\xe9.jpg"

    if how == "prefix":
        done = forget(output, prefixes=[f"file://{odd.parent}/\udcff"])
    else:
        done = forget(output, [address if how == "as the tables have it" else odd])

    assert not odd.exists()
    assert (done.removed["rejects"], done.found) == (0 if how == "never seen" else 1, [])
    assert files_that_hold(output, b"xff'", b"xff&#39;") == []
    assert len(stored(output)) == 60


def test_nothing_to_forget_says_so_is_no_error_and_leaves_no_receipt(forget, after_a_run):
    assert forget(after_a_run[0], prefixes=["file:///nowhere/"]).removed == {}
    assert not (after_a_run[0] / "erasures").exists()


def test_an_address_that_is_known_nowhere_is_not_among_the_targets_and_one_that_only_a_run_knows_is(run_job, forget, after_a_run):
    output, photos = after_a_run
    one, *_ = sorted(photos.glob("*/*.jpg"))
    forget(output, [one])
    row = {"uri": f"file://{one}", "label": "x", "pc": [0.0, 0.0]}
    (matrix,) = (output / "runs" / "first" / "pca").glob("*.parquet")
    pq.write_table(pa.concat_tables([pq.read_table(matrix), pa.Table.from_pylist([row], pq.read_schema(matrix))]), matrix)

    assert forget(output, [one, photos / "typed.jpg", photos], only_plan=True).uris == {f"file://{one}"}


@pytest.fixture
def linked(run_job, photos, tmp_path):
    """(OUTPUT, link): a run whose INPUT is a symbolic link to the photos."""
    output, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(photos)
    run_job(link, output, components=2)
    return output, link


@pytest.mark.parametrize("by_prefix", [False, True], ids=["address", "prefix"])
@pytest.mark.parametrize("through", ["real path", "link", "another link"])
def test_a_photo_is_forgotten_by_any_path_that_leads_to_it(forget, linked, photos, tmp_path, through, by_prefix):
    output, link = linked
    (tmp_path / "other").symlink_to(photos)
    one = min(photos.glob("*/*.jpg"))
    typed = {"real path": photos, "link": link, "another link": tmp_path / "other"}[through] / one.relative_to(photos)

    done = forget(output, [] if by_prefix else [typed], prefixes=[f"file://{typed}"] if by_prefix else [])

    assert not one.exists()
    assert len(stored(output)) == 59
    assert (done.removed["features"], done.removed["rows"], done.found) == (1, 1, [])
    assert files_that_hold(output, f"{one.parent.name}/{one.name}".encode()) == []


def test_a_folder_is_forgotten_by_a_link_to_it(forget, linked, photos, tmp_path):
    output, _ = linked
    label = min(photos.iterdir())
    (tmp_path / "a fruit").symlink_to(label)

    assert len(forget(output, prefixes=[f"file://{tmp_path}/a fruit"], only_plan=True).photos) == 20  # each by its link and its path
    forget(output, prefixes=[f"file://{tmp_path}/a fruit/"])
    assert list(label.iterdir()) == []
    assert len(stored(output)) == 50


def test_a_reject_is_forgotten_by_the_path_without_the_link(run_job, forget, linked, photos):
    output, link = linked
    broken = photos / "Broken" / "torn.jpg"
    broken.parent.mkdir()
    broken.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    run_job(link, output, components=2)

    assert forget(output, [broken]).removed["rejects"] == 1
    assert files_that_hold(output, b"torn.jpg") == []


def test_what_no_run_has_as_its_input_is_not_erased_nor_what_is_no_photo(forget, after_a_run, tmp_path):
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    others = tmp_path / "others"
    others.mkdir()
    (photos / "out of it").symlink_to(others)
    kept = [shutil.copy(one, others / "a.jpg"), one.with_name("notes.txt"), one.with_name("._a.jpg"), photos.with_name("photos.jpg")]
    for path in map(Path, kept[1:]):
        path.write_text("kept")
    typed = [*kept, photos / "out of it" / "a.jpg"]
    before = tree(output)

    for options in ({"uris": typed}, {"prefixes": [f"file://{path}" for path in typed]}, {"prefixes": [f"file://{others}/"]}):
        assert forget(output, only_plan=True, **options).uris == set()
        assert forget(output, **options).images == []

    assert all(map(os.path.exists, kept))
    assert tree(output) | {output / "lease.json": ANY} == before | {output / "lease.json": ANY}


def test_a_prefix_is_no_folder(forget, after_a_run):
    """`…/Red` is a folder, and `…/Red Apple` begins so as well."""
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    (photos / "Red").mkdir()
    (photos / "Red Apple").mkdir()
    shutil.copy(one, photos / "Red Apple" / "new.jpg")

    assert forget(output, prefixes=[f"file://{photos}/Red"], only_plan=True).uris == {f"file://{photos}/Red Apple/new.jpg"}


def test_output_by_a_link_is_no_photo(forget, after_a_run, tmp_path):
    output, _ = after_a_run
    (tmp_path / "results").symlink_to(output)

    with pytest.raises(InputError, match="is part of OUTPUT"):
        forget(output, prefixes=[f"file://{tmp_path}/results/features/"])


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


def test_an_address_in_a_commit_of_somebody_elses_goes_with_the_log_before_it(run_job, forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    said = CommitProperties(custom_metadata={"userMetadata": f"looked at file://{one}"})
    write_deltalake(str(output / "features"), FEATURES.empty_table(), mode="append", commit_properties=said)
    assert files_that_hold(output / "features" / "_delta_log", str(one).encode())

    forget(output, [one])

    assert files_that_hold(output, str(one).encode()) == []
    assert len(stored(output)) == 59
    assert run_job(photos, output, components=2).counts["embedded"] == 0


def test_what_is_left_all_the_same_is_named_and_the_next_try_looks_again(forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    (output / "notes of mine.txt").write_text(f"the best one is file://{one}\n")

    with pytest.raises(LeftOverError, match=r"notes of mine\.txt: address"):
        forget(output, [one])
    assert list((output / "erasures").glob("*.pending"))
    (output / "notes of mine.txt").unlink()
    assert forget(output, [one]).found == []
    assert not list((output / "erasures").glob("*.pending"))


def test_a_running_job_is_not_disturbed(forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    with Lease.acquire(open_folder(from_text(str(output))), "a run"), pytest.raises(LeaseError, match="a run"):
        forget(output, [one])
    assert one.exists()


def test_a_part_of_output_is_no_photo(forget, after_a_run):
    with pytest.raises(InputError, match="is part of OUTPUT"):
        forget(after_a_run[0], prefixes=[f"file://{after_a_run[0]}/features/"])


def test_tables_that_are_not_there_are_no_trouble(spark, tmp_path):
    folder = open_folder(from_text(str(tmp_path / "out")))
    with Lease.acquire(folder, "erasure") as lease:
        assert tables.erase(spark, folder, {"file:///p/a.jpg"}, lease) == {}
    assert not Path(tmp_path, "out", "features").exists()


LOG_GROUP, STREAM = "/aws/emr-serverless/fruitsctl", "applications/00f1/jobs/00f2/SPARK_DRIVER/stderr"


@pytest.fixture
def log_group(aws, monkeypatch):  # noqa: F811
    """A log group with one stream; writes a line into it, or without one takes the stream away."""
    monkeypatch.setenv("AWS_REGION", REGION)
    logs = aws("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)

    def write(line=None):
        if line is None:
            logs.delete_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)
        else:
            event = {"timestamp": int(time.time() * 1000), "message": line}
            logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=STREAM, logEvents=[event])

    return write


def test_what_cloudwatch_holds_of_a_photo_is_found_and_no_other_line(forget, after_a_run, log_group):
    output, photos = after_a_run
    one, two = sorted(photos.glob("*/*.jpg"))[:2]
    log_group(f"Executor 1 failed on file://{two}")

    assert (done := forget(output, [one], log_group=LOG_GROUP)).found == []
    assert done.searched["log_events"] == 1

    with pytest.raises(LeftOverError, match=f"{LOG_GROUP} {STREAM}: address"):
        forget(output, [two], log_group=LOG_GROUP)
    log_group()
    assert (done := forget(output, [two], log_group=LOG_GROUP)).found == []
    assert done.searched["log_events"] == 0


def test_a_log_group_that_cannot_be_read_is_said_before_anything_is_removed(forget, after_a_run, log_group):
    output, photos = after_a_run
    one, lease = sorted(photos.glob("*/*.jpg"))[0], {output / "lease.json": ANY}
    before = tree(output) | lease

    for only_plan in (True, False):
        with pytest.raises(SetupError, match="there is no log group `/fruits`"):
            forget(output, [one], log_group="/fruits", only_plan=only_plan)

    assert one.exists()
    assert tree(output) | lease == before
