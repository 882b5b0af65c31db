"""The whole chain as a user runs it: what it prints, what it leaves, and a second run."""

import json

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from tests.e2e.conftest import UNTRAINED, Command


@pytest.fixture(scope="module")
def run(gallery):
    """Folder of the gallery's run."""
    return gallery.output / "runs" / json.loads((gallery.output / "latest.json").read_text())["run_id"]


@pytest.fixture(scope="module")
def manifest(run):
    return json.loads((run / "manifest.json").read_text())


def test_features_hold_one_row_per_image_and_read_without_spark(gallery):
    rows = ds.dataset(DeltaTable(str(gallery.output / "features")).file_uris()).to_table().to_pandas()

    assert len(rows) == rows["uri"].nunique() == 200
    assert set(rows["uri"]) == {f"file://{path}" for path in (gallery.output.parent / "photos").glob("*/*.jpg")}
    assert (rows["label"] == rows["uri"].str.split("/").str[-2]).all()
    assert {len(embedding) for embedding in rows["embedding"]} == {1280}


def test_csv_and_parquet_hold_the_same_matrix_sorted_by_uri(run):
    table = pd.concat([pd.read_csv(part) for part in sorted((run / "csv").glob("*.csv"))])
    parquet = pd.read_parquet(run / "pca")

    assert list(table.columns) == ["uri", "label", *(f"pc{i}" for i in range(1, 51))]
    assert table["uri"].is_monotonic_increasing
    assert table["uri"].tolist() == parquet["uri"].tolist()
    np.testing.assert_array_equal(table.iloc[:, 2:].to_numpy(np.float32), np.stack(parquet["pc"]))
    np.testing.assert_allclose(np.stack(parquet["pc"]).mean(axis=0), 0, atol=1e-4)  # centred


def test_the_curve_of_variance_ends_at_one(run, manifest):
    curve = pd.read_csv(run / "variance.csv")

    assert curve["cumulated"].iloc[49] == pytest.approx(manifest["variance"])
    assert curve["cumulated"].iloc[-1] == pytest.approx(1.0)
    assert curve["eigenvalue"].is_monotonic_decreasing


def test_the_newest_run_is_named_and_its_outcome_is_beside_it(gallery, run):
    outcome = json.loads((run / "outcome.json").read_text())

    assert (outcome["code"], outcome["kind"]) == (0, "done")
    assert (run / "job.log").stat().st_size > 0
    assert not (gallery.output / "work").exists()


def test_a_second_run_embeds_nothing_and_gives_the_same_matrix(fruitsctl, photos, tmp_path, matrix):
    first = fruitsctl.run(photos, tmp_path / "out", "--components", "5", *UNTRAINED)
    second = fruitsctl.run(photos, tmp_path / "out", "--components", "5", *UNTRAINED)

    assert (first["counts"]["new"], first["counts"]["embedded"], first["counts"]["rows"]) == (60, 60, 60)
    assert (second["counts"]["new"], second["counts"]["embedded"], second["counts"]["rows"]) == (0, 0, 60)
    assert matrix(tmp_path / "out", second["run_id"]) == matrix(tmp_path / "out", first["run_id"])


def test_the_summary_says_where_everything_is(fruitsctl, gallery):
    assert "200 listed, 200 embedded now, 200 in the result, 10 labels" in gallery.stdout
    assert "k = 50" in gallery.stdout
    assert "Embed images: 200 of 200 images" in gallery.stderr
    (run,) = (gallery.output / "runs").iterdir()
    assert f"runs/{run.name}/csv/" in gallery.stdout
    assert f"runs/{run.name}/report.html" in gallery.stdout
    remembered = Command(fruitsctl.env["FRUITS_CACHE"], {**fruitsctl.env, "FRUITS_STATE": str(gallery.state)})("report", "--no-open")
    assert remembered.stdout == f"{run}/report.html\n"


def test_a_dry_run_starts_nothing_and_says_what_would_happen(fruitsctl, photos, tmp_path):
    words = ("run", photos, tmp_path / "out", "--local", "--dry-run", "--components", "7")
    plan, said = json.loads(fruitsctl(*words, "--json").stdout), fruitsctl(*words).stdout

    assert plan["command"][1:3] == ["-m", "job"]
    assert "--components=7" in plan["command"]
    assert (plan["input"], plan["output"]) == (f"file://{photos}", f"file://{tmp_path}/out")
    found = plan["preview"]
    assert (found["listed"], found["labels"], found["new"], found["known"], found["runs"]) == (60, 6, 60, 0, 0)
    assert f"{photos}: 60 photos of 6 labels\n" in said
    assert "60 photos to embed\n" in said
    assert f"{tmp_path}/out: no finished run yet\n" in said
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_a_missing_input_ends_as_the_run_would(fruitsctl, tmp_path):
    done = fruitsctl("run", tmp_path / "absent", tmp_path / "out", "--local", "--dry-run")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: there is no folder `{tmp_path}/absent`" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--pca", "20260101T000000Z-0000"),
        ("--fit-on", "Nope*"),
        ("--limit", "1"),
        ("--limit", "2", "--fit-on", "Apple*"),
    ],
)
def test_a_dry_run_of_a_run_that_cannot_fit_ends_as_the_run_would(fruitsctl, photos, tmp_path, words):
    command = ("run", photos, tmp_path / "out", "--local", "--model", "mean_colour", *words)
    promised, came = fruitsctl(*command, "--dry-run"), fruitsctl(*command)

    assert promised.stderr.startswith("error: ")
    assert promised.returncode == came.returncode
    assert came.stderr.endswith(promised.stderr)


def test_a_dry_run_with_the_pca_of_another_run_asks_for_it(fruitsctl, gallery, run):
    command = ("run", gallery.output.parent / "photos", gallery.output, "--local", "--dry-run", "--limit", "1", "--pca", run.name)

    assert fruitsctl(*command, *UNTRAINED).returncode == 0
    other = fruitsctl(*command, "--model", "mean_colour")
    assert (other.returncode, other.stdout) == (2, "")
    assert other.stderr.startswith(f"error: the PCA of run `{run.name}` was fitted on features of ")
