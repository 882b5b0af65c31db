"""The whole flow on photos, run after run, in one session: what each run embeds, keeps, rejects and publishes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from job.contract.errors import InputError, ModelError, RejectsError, SetupError, VarianceError
from job.contract.params import Params
from job.imaging.untrained import NOTE
from job.stages import moments
from job.stages.preview import preview
from tests.unit.job.hostile import write_hostile_folder

UNTRAINED = "mobilenet_v2_untrained"


def stored(output, table="features"):
    return ds.dataset(DeltaTable(str(output / table)).file_uris()).to_table().to_pandas()


def uris(root):
    return {f"file://{path}" for path in root.rglob("*.jpg")}


def test_a_second_run_embeds_nothing_and_gives_the_same_matrix(run_job, after_a_run, matrix):
    output, photos = after_a_run
    first = json.loads((output / "runs" / "first" / "manifest.json").read_text())["counts"]
    second = run_job(photos, output, components=2)

    assert (first["new"], first["embedded"], first["rows"], first["labels"]) == (60, 60, 60, 6)
    assert (second.counts["new"], second.counts["embedded"], second.counts["rows"]) == (0, 0, 60)
    assert matrix(output, second.run_id) == matrix(output, "first")
    assert {uri for uri, _, _ in matrix(output, "first")} == uris(photos)
    assert not (output / "work").exists()


def test_changed_new_and_vanished_photos(run_job, photos, tmp_path, matrix):
    output, files = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    first = run_job(photos, output, UNTRAINED, components=5)
    files[0].write_bytes(files[50].read_bytes())
    os.utime(files[0], (1, 1))
    files[1].unlink()
    shutil.copy(files[40], files[40].with_name("new.jpg"))

    second = run_job(photos, output, UNTRAINED, components=5)

    wanted = {"listed": 60, "new": 2, "embedded": 2, "superseded": 1, "removed": 1, "rows": 60}
    assert {name: second.counts[name] for name in wanted} == wanted
    rows = {uri: scores for uri, _, scores in matrix(output, second.run_id)}
    np.testing.assert_allclose(rows[f"file://{files[0]}"], rows[f"file://{files[50]}"], atol=1e-5)
    assert set(rows) == uris(photos)
    features = stored(output)
    assert len(features) == features["uri"].nunique() == 61  # the vanished one stays, the superseded row does not
    assert {uri for uri, _, _ in matrix(output, first.run_id)} == {f"file://{path}" for path in files}  # published is published


def test_only_new_photos_are_folded_into_the_moments(run_job, after_a_run, sample):
    output, photos = after_a_run
    (old,) = (output / "moments" / "mean_colour-v2").iterdir()
    before = old.stat().st_mtime_ns
    shutil.copytree(sample / "Test" / "Orange", photos / "Orange")

    manifest = run_job(photos, output, components=2)

    assert manifest.stages["fit"].images == 70
    assert len(list((output / "moments" / "mean_colour-v2").iterdir())) == 2
    assert old.stat().st_mtime_ns == before


def test_moments_of_many_commits_are_merged_and_fit_the_same(run_job, photos, tmp_path, matrix, monkeypatch):
    monkeypatch.setattr(moments, "FILES", 4)
    output, place = tmp_path / "out", tmp_path / "out" / "moments" / "mean_colour-v2"
    first = run_job(photos, output, components=2, chunk_images=5)

    assert len(list(place.glob("*.npz"))) <= 4
    monkeypatch.setattr(moments, "fold", lambda _: pytest.fail("features were read again"))
    second = run_job(photos, output, components=2)

    assert second.stages["fit"].images == 60
    before, after = ([scores for _, _, scores in matrix(output, run.run_id)] for run in (first, second))
    np.testing.assert_allclose(before, after, rtol=1e-9)


def test_a_share_of_the_variance_a_part_of_the_photos_and_an_earlier_pca(run_job, photos, tmp_path, matrix):
    output = tmp_path / "out"
    by_variance = run_job(photos, output, UNTRAINED, variance=0.9, standardize=True)
    fitted_on_one = run_job(photos, output, UNTRAINED, fit_on=min(path.name for path in photos.iterdir()), components=3)
    projected = run_job(photos, output, UNTRAINED, pca=by_variance.run_id)

    assert 0.9 <= by_variance.variance < 0.93
    assert (fitted_on_one.stages["fit"].images, fitted_on_one.counts["rows"]) == (10, 60)
    assert (projected.k, projected.fitted_by) == (by_variance.k, by_variance.run_id)
    assert fitted_on_one.counts["embedded"] == projected.counts["embedded"] == 0
    assert matrix(output, projected.run_id) == matrix(output, by_variance.run_id)


def test_small_chunks_are_many_commits_and_the_same_result(run_job, after_a_run, tmp_path, matrix):
    whole, photos = after_a_run
    cut = run_job(photos, tmp_path / "cut", components=2, chunk_images=16)

    assert len(list((tmp_path / "cut" / "features" / "_delta_log").glob("*.json"))) == 1 + 4  # the table, and four commits
    ours, theirs = matrix(tmp_path / "cut", cut.run_id), matrix(whole, "first")
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    np.testing.assert_allclose([row[2] for row in ours], [row[2] for row in theirs], atol=1e-6)


@pytest.mark.parametrize("limit", [None, 8])
def test_a_dry_run_says_what_the_run_then_does(run_job, after_a_run, limit):
    output, photos = after_a_run
    files = [Path(uri.removeprefix("file://")) for uri in in_turn(photos)]
    files[0].write_bytes(files[1].read_bytes())
    files[2].write_bytes(files[2].read_bytes()[:700])
    shutil.copy(files[3], files[3].with_name("0 new.jpg"))  # moves the rest of its label by one
    (photos / "notes.txt").write_text("no photo")
    options = {"components": 2, "limit": limit, "max_reject_ratio": 0.5}

    def dry_run(**more):
        params = {**options, **more, "model": "mean_colour"}
        return preview(Params(f"file://{photos}", f"file://{output}", "r", **params))

    before = dry_run()
    made = run_job(photos, output, **options)
    after = dry_run()

    assert (before.listed, before.labels, before.ignored, before.runs) == (made.counts["listed"], 6, {".txt": 1}, 1)
    assert (before.new, before.known) == (made.counts["new"], (limit or 61) - made.counts["new"])
    assert before.beyond_limit == made.counts["beyond_limit"]
    assert (after.new, after.known, after.undecoded, after.runs) == (0, made.counts["rows"], 1, 2)
    assert dry_run(retry_rejects=True).new == 1


def in_turn(photos):
    """Every photo's address: the first of each label, then the second of each, and so on."""
    labels = [sorted(str(path) for path in folder.iterdir()) for folder in sorted(photos.iterdir())]
    return [f"file://{path}" for turn in zip(*labels, strict=True) for path in turn]


def test_a_limit_takes_the_first_photos_of_each_label_and_later_runs_embed_only_the_rest(run_job, photos, tmp_path, matrix):
    output = tmp_path / "out"
    tried = run_job(photos, output, components=2, limit=8)
    repeated = run_job(photos, output, components=2, limit=8)
    larger = run_job(photos, output, components=2, limit=20)
    whole = run_job(photos, output, components=2)
    after_all = run_job(photos, output, components=2, limit=8)

    names = ("listed", "beyond_limit", "new", "embedded", "removed", "superseded", "rows", "labels")
    assert [tuple(manifest.counts[name] for name in names) for manifest in (tried, repeated, larger, whole, after_all)] == [
        (60, 52, 8, 8, 0, 0, 8, 6),
        (60, 52, 0, 0, 0, 0, 8, 6),
        (60, 40, 12, 12, 0, 0, 20, 6),
        (60, 0, 40, 40, 0, 0, 60, 6),
        (60, 52, 0, 0, 0, 0, 8, 6),
    ]
    assert {uri for uri, _, _ in matrix(output, tried.run_id)} == set(in_turn(photos)[:8])
    assert {uri for uri, _, _ in matrix(output, larger.run_id)} == set(in_turn(photos)[:20])
    assert matrix(output, after_all.run_id) == matrix(output, tried.run_id)
    assert len(stored(output)) == stored(output)["uri"].nunique() == 60
    assert tried.notes == ["--limit took 8 of 60 photos; a run without it continues with the rest"]
    assert whole.notes == []


def test_a_limit_neither_removes_nor_supersedes_what_it_leaves_out(run_job, after_a_run):
    output, photos = after_a_run
    order = [Path(uri.removeprefix("file://")) for uri in in_turn(photos)]
    order[0].write_bytes(order[1].read_bytes())  # taken, changed
    order[50].write_bytes(order[1].read_bytes())  # left out, changed
    order[51].unlink()

    limited = run_job(photos, output, components=2, limit=8)
    left_out = [row for row in stored(output)["uri"] if row == f"file://{order[50]}"]
    whole = run_job(photos, output, components=2)

    wanted = {"beyond_limit": 51, "new": 1, "superseded": 1, "removed": 1, "rows": 8}
    assert {name: limited.counts[name] for name in wanted} == wanted
    assert len(left_out) == 1
    assert (whole.counts["new"], whole.counts["superseded"], whole.counts["rows"]) == (1, 1, 59)


def test_a_new_attempt_of_a_limited_run_takes_the_same_photos(run_job, photos, tmp_path, matrix):
    first = run_job(photos, tmp_path / "out", components=2, limit=8, run_id="r1")
    before = matrix(tmp_path / "out", "r1")
    again = run_job(photos, tmp_path / "out", components=2, limit=8, run_id="r1")

    assert (first.counts["embedded"], again.counts["embedded"]) == (8, 0)
    assert matrix(tmp_path / "out", "r1") == before


def test_the_share_of_rejects_is_that_of_the_photos_taken(run_job, photos, tmp_path):
    for uri in in_turn(photos)[:4]:
        Path(uri.removeprefix("file://")).write_bytes(b"not a photo")

    with pytest.raises(RejectsError, match="`4` of 8 "):
        run_job(photos, tmp_path / "out", components=2, limit=8)


def test_only_the_newest_runs_are_kept_and_those_whose_pca_they_use(run_job, after_a_run):
    output, photos = after_a_run
    run_job(photos, output, components=2)
    run_job(photos, output, pca="first", keep_runs=2)
    assert sorted(path.name for path in (output / "runs").iterdir()) == ["first", "run-00", "run-01"]

    run_job(photos, output, components=2, keep_runs=1)
    assert [path.name for path in (output / "runs").iterdir()] == ["run-02"]


def test_a_new_attempt_replaces_what_the_first_left(run_job, after_a_run, matrix):
    output, photos = after_a_run
    again = run_job(photos, output, components=3, run_id="first")

    assert len(matrix(output, "first")) == 60
    assert len(matrix(output, "first")[0][2]) == again.k == 3


def test_every_odd_file_is_embedded_or_rejected_with_its_reason(run_job, tmp_path):
    folder, output = tmp_path / "in put", tmp_path / "out"
    folder.mkdir()
    expected = write_hostile_folder(folder)

    manifest = run_job(folder, output, components=2, max_reject_ratio=1.0)

    rejects = stored(output, "rejects")
    assert set(stored(output)["uri"]) == {f"file://{folder}/{name}" for name, what in expected.items() if what == "ok"}
    assert dict(zip(rejects["uri"], rejects["reason"], strict=True)) == {
        f"file://{folder}/{name}": what for name, what in expected.items() if what != "ok"
    }
    assert manifest.counts["rejected"] == len(rejects)
    assert sum(manifest.rejects.values()) == len(rejects)

    again = run_job(folder, output, components=2, max_reject_ratio=1.0)

    assert (again.counts["new"], again.rejects) == (0, manifest.rejects)  # known not to decode: not tried again, still counted


def test_too_many_rejects_fail_after_they_are_written_and_before_anything_is_published(run_job, after_a_run):
    output, photos = after_a_run
    for path in sorted(photos.glob("*/*.jpg"))[:5]:
        path.write_bytes(path.read_bytes()[:700])

    with pytest.raises(RejectsError, match=r"`5` of 60 images were rejected \(5 truncated\); --max-reject-ratio is 0\.05"):
        run_job(photos, output, components=2)

    assert len(stored(output, "rejects")) == 5
    assert json.loads((output / "latest.json").read_text())["run_id"] == "first"
    assert not (output / "runs" / "run-00" / "manifest.json").exists()


def test_a_photo_repaired_after_its_reject_is_embedded_and_the_reject_goes(run_job, photos, tmp_path):
    path = min(photos.glob("*/*.jpg"))
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    run_job(photos, tmp_path / "out", components=2)
    path.write_bytes(whole)

    repaired = run_job(photos, tmp_path / "out", components=2)

    assert (repaired.counts["embedded"], repaired.counts["rejected"], repaired.counts["rows"]) == (1, 0, 60)


def test_an_input_without_images_is_said(run_job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "readme.txt").write_text("hello")

    with pytest.raises(InputError, match=r"there are no images below `.*/in`, only 1 \.txt"):
        run_job(tmp_path / "in", tmp_path / "out")


def test_one_image_and_equal_images_have_no_pca_but_their_features_are_kept(run_job, photos, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(min(photos.glob("*/*.jpg")), folder / "a.jpg")
    with pytest.raises(VarianceError, match="at least two images, there is `1`"):
        run_job(folder, tmp_path / "out")
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    with pytest.raises(VarianceError, match="all `2` images have the same features"):
        run_job(folder, tmp_path / "out")

    assert stored(tmp_path / "out")["label"].isna().tolist() == [True, True]  # straight in INPUT: no label
    assert not (tmp_path / "out" / "latest.json").exists()


def test_fewer_images_than_components_are_said(run_job, photos, tmp_path):
    manifest = run_job(min(photos.iterdir()), tmp_path / "out", UNTRAINED, components=50)

    assert manifest.k == 9
    assert manifest.notes == [NOTE, "9 components instead of 50: the rank of 10 images allows no more"]


def test_a_wrong_pca_a_wrong_glob_and_wrong_weights_are_named(run_job, after_a_run, tmp_path):
    output, photos = after_a_run
    with pytest.raises(SetupError, match="no finished run `absent`"):
        run_job(photos, output, pca="absent")
    with pytest.raises(InputError, match=r"--fit-on `Nothing\*` matches no images"):
        run_job(photos, output, fit_on="Nothing*")
    Path(tmp_path / "broken.h5").write_bytes(b"no HDF5")
    with pytest.raises(ModelError, match="Keras cannot load") as refused:
        run_job(photos, output, "mobilenet_v2", weights=str(tmp_path / "broken.h5"))
    assert refused.value.hint == "omit --weights, or delete the downloaded file and run the command again, to use the official Keras file"


def test_photos_that_are_all_rejected_have_no_pca(run_job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"no photo")

    with pytest.raises(VarianceError, match="at least two images, there are `0`"):
        run_job(tmp_path / "in", tmp_path / "out", max_reject_ratio=1.0)
    with pytest.raises(RejectsError, match="`1` of 1 image was rejected"):
        run_job(tmp_path / "in", tmp_path / "out")


def test_the_tensorflow_engine_gives_the_same_features(run_job, photos, tmp_path):
    label, features = min(photos.iterdir()), {}
    for engine in ("litert", "tensorflow"):
        run_job(label, tmp_path / engine, UNTRAINED, engine=engine, components=2)
        features[engine] = np.stack(stored(tmp_path / engine).sort_values("uri")["embedding"])

    assert features["litert"].shape == (10, 1280)
    np.testing.assert_allclose(features["litert"], features["tensorflow"], atol=1e-3)


def test_features_of_two_models_never_mix(run_job, photos, tmp_path):
    output = tmp_path / "out"
    colour = run_job(photos, output, components=2)
    untrained = run_job(photos, output, "mobilenet_v2_untrained", components=5)

    assert (colour.counts["embedded"], untrained.counts["embedded"], untrained.counts["rows"]) == (60, 60, 60)
    assert stored(output)["model"].value_counts().to_dict() == {colour.model: 60, untrained.model: 60}
    assert "Untrained network (random weights): good for trying the pipeline, not for results" in untrained.notes
    assert "Untrained network" in (output / "runs" / untrained.run_id / "report.html").read_text()
    with pytest.raises(SetupError, match=f"was fitted on features of `{colour.model}`"):
        run_job(photos, output, "mobilenet_v2_untrained", pca=colour.run_id)
