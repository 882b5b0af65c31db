"""The command that teaches photos to a run, with the untrained network: what it writes, what a later run and an erasure make of it."""

import json
import shutil
import subprocess

import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import UNTRAINED


@pytest.fixture(scope="module")
def first_run(fruitsctl, photos, tmp_path_factory):
    """(INPUT, OUTPUT, run_id) of a run on 6 labels."""
    root = tmp_path_factory.mktemp("taught")
    shutil.copytree(photos, root / "photos")
    return root / "photos", root / "out", fruitsctl.run(root / "photos", root / "out", "--components=5", *UNTRAINED)["run_id"]


@pytest.fixture
def taught_run(first_run):
    """The same, and the manifest as the test before left it."""
    source, output, run_id = first_run
    return source, output, manifest_of(output, run_id)


@pytest.fixture
def banana(sample, tmp_path):
    return str(shutil.copy(min((sample / "Test" / "Banana").iterdir()), tmp_path / "IMG_1.jpg"))


def teach(fruitsctl, output, *words):
    done = fruitsctl("teach", *words, "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def manifest_of(output, run_id):
    return json.loads((output / "runs" / run_id / "manifest.json").read_text())


def test_a_folder_gives_the_labels_and_what_cannot_be_read_is_said(fruitsctl, taught_run, sample, tmp_path):
    _, output, before = taught_run
    for label in ("Kiwi", "Mango"):
        shutil.copytree(sample / "Test" / label, tmp_path / "phone" / label, ignore=lambda _, names: sorted(names)[2:])
    (tmp_path / "phone" / "Kiwi" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    done = fruitsctl("teach", tmp_path / "phone", "--output", output, "--json")

    result = json.loads(done.stdout)
    assert done.returncode == 1
    assert len(result["added"]) == 4
    assert [source for source, _ in result["refused"]] == [str(tmp_path / "phone" / "Kiwi" / "broken.jpg")]
    assert "error: `1` of 5 photos were not taught" in done.stderr
    assert manifest_of(output, before["run_id"])["counts"]["rows"] == before["counts"]["rows"] + 4


def test_metadata_stays_out_of_the_copy(fruitsctl, taught_run, banana):
    from PIL import Image

    source, output, _ = taught_run
    exif = Image.Exif()
    exif[0x010F] = "a camera that nobody needs to know"
    Image.open(banana).save(banana, exif=exif)
    teach(fruitsctl, output, banana, "--label", "Lemon")

    (copy,) = (source / "Lemon").iterdir()
    assert b"a camera" not in copy.read_bytes()
    assert Image.open(copy).tobytes() == Image.open(banana).tobytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "../Apple"], "`../Apple` cannot be a label"),
        (["--label", ""], "`` cannot be a label"),
        (["--label", ".hidden"], "`.hidden` cannot be a label"),
        (["--label", "a\nb"], "cannot be a label"),
        (["--label", "x" * 300], "cannot be a label"),
        ([], "has no label"),
    ],
)
def test_a_label_that_no_folder_can_have_is_refused_before_anything_is_written(fruitsctl, taught_run, banana, words, message):
    source, output, before = taught_run
    photos_before = sorted(source.rglob("*"))
    done = fruitsctl("teach", banana, "--output", output, *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(source.rglob("*")) == photos_before
    assert manifest_of(output, before["run_id"]) == before


def test_a_wrong_answer_is_corrected_after_consent(fruitsctl, taught_run, sample):
    source, output, before = taught_run
    photo = max((sample / "Test" / "Orange").iterdir())
    refused = fruitsctl("identify", photo, "--output", output, "--wrong", "Orange", stdin=subprocess.DEVNULL)
    assert (refused.returncode, "add --yes" in refused.stderr) == (2, True)
    assert manifest_of(output, before["run_id"]) == before

    taught = fruitsctl("identify", photo, "--output", output, "--wrong", "Orange", "--yes")
    assert (taught.returncode, "1 photo taught to run" in taught.stderr) == (0, True)
    assert len(list((source / "Orange").glob("taught-*.jpg"))) == 1


def test_a_dry_run_writes_nothing(fruitsctl, taught_run, banana):
    source, output, before = taught_run
    photos_before = sorted(source.rglob("*"))
    result = teach(fruitsctl, output, banana, "--label", "Banana", "--dry-run")

    assert result == {"planned": [{"photo": banana, "label": "Banana"}]}
    assert sorted(source.rglob("*")) == photos_before
    assert manifest_of(output, before["run_id"]) == before


def test_a_taught_photo_is_found_at_once_and_by_the_next_run_and_erased_like_any_other(fruitsctl, taught_run, banana):
    source, output, before = taught_run
    result = teach(fruitsctl, output, banana, "--label", "Banana")
    (uri,) = result["added"]
    answer = json.loads(fruitsctl("identify", banana, "--output", output, "--top=60", "--json").stdout)["answers"][0]
    nearest = min((neighbour for found in answer["results"] for neighbour in found["neighbours"]), key=lambda one: one["distance"])

    assert uri.startswith(f"file://{source}/Banana/taught-")
    assert nearest == {"uri": uri, "distance": 0}
    run = manifest_of(output, before["run_id"])
    rows = before["counts"]["rows"] + 1
    assert (run["counts"]["rows"], run["counts"]["labels"]) == (rows, before["counts"]["labels"] + 1)
    assert run["notes"][-1] == f"{run['counts']['taught']} photos taught after the run: report.html does not show them"
    assert run["counts"]["taught"] == rows - 60
    for folder, kind in (("pca", "parquet"), ("csv", "csv")):
        matrix = ds.dataset(output / "runs" / before["run_id"] / folder, format=kind).to_table(columns=["uri", "label"]).to_pylist()
        assert len(matrix) == rows
        assert {"uri": uri, "label": "Banana"} in matrix

    again = teach(fruitsctl, output, banana, "--label", "Banana")
    assert (again["added"], again["already"]) == ([], [uri])
    assert manifest_of(output, before["run_id"]) == run

    after = fruitsctl.run(source, output, "--components=5", *UNTRAINED)
    assert (after["counts"]["embedded"], after["counts"]["rows"]) == (0, rows)

    erased = fruitsctl("forget", uri, "--output", output, "--yes", "--json")
    assert erased.returncode == 0, erased.stderr
    assert json.loads(erased.stdout)["found"] == []
    assert not list((source / "Banana").iterdir())
    assert manifest_of(output, after["run_id"])["counts"]["rows"] == rows - 1
