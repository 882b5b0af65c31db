"""The whole chain on real photos, as a user runs it."""

import json

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from tests.e2e.conftest import Command

SAMPLE_MODEL = "mobilenet_v2-e10712fadf4b"


@pytest.fixture(scope="module")
def whole(fruitsctl, sample, tmp_path_factory):
    """One run over all 3,930 photos: (manifest, output, seconds of nothing else)."""
    output = tmp_path_factory.mktemp("whole") / "out"
    return fruitsctl.run(sample, output), output


def test_the_sample_gives_131_labels_and_73_percent_of_variance(whole):
    manifest, _ = whole

    assert manifest["counts"] | {"ignored": 0} == {
        "listed": 3930,
        "ignored": 0,
        "new": 3930,
        "embedded": 3930,
        "rejected": 0,
        "superseded": 0,
        "removed": 0,
        "rows": 3930,
        "labels": 131,
    }
    assert manifest["k"] == 50
    assert manifest["variance"] == pytest.approx(0.733, abs=0.0005)
    assert manifest["model"] == SAMPLE_MODEL


def test_features_hold_one_row_per_image_and_read_without_spark(whole, sample):
    _, output = whole
    rows = ds.dataset(DeltaTable(str(output / "features")).file_uris()).to_table().to_pandas()

    assert len(rows) == rows["uri"].nunique() == 3930
    assert set(rows["uri"]) == {f"file://{path}" for path in sample.glob("*/*/*.jpg")}
    assert (rows["label"] == rows["uri"].str.split("/").str[-2]).all()
    assert {len(embedding) for embedding in rows["embedding"]} == {1280}
    assert (rows["width"] == 100).all()


def test_csv_and_parquet_hold_the_same_matrix_sorted_by_uri(whole):
    manifest, output = whole
    run = output / "runs" / manifest["run_id"]
    table = pd.concat([pd.read_csv(part) for part in sorted((run / "csv").glob("*.csv"))])
    parquet = pd.read_parquet(run / "pca")

    assert list(table.columns) == ["uri", "label", *(f"pc{i}" for i in range(1, 51))]
    assert table["uri"].is_monotonic_increasing
    assert table["uri"].tolist() == parquet["uri"].tolist()
    np.testing.assert_array_equal(table.iloc[:, 2:].to_numpy(np.float32), np.stack(parquet["pc"]))
    np.testing.assert_allclose(np.stack(parquet["pc"]).mean(axis=0), 0, atol=1e-4)  # centred


def test_the_curve_of_variance_ends_at_one(whole):
    manifest, output = whole
    curve = pd.read_csv(output / "runs" / manifest["run_id"] / "variance.csv")

    assert curve["cumulated"].iloc[49] == pytest.approx(manifest["variance"])
    assert curve["cumulated"].iloc[-1] == pytest.approx(1.0)
    assert curve["eigenvalue"].is_monotonic_decreasing


def test_the_newest_run_is_named_and_its_outcome_stands_beside_it(whole):
    manifest, output = whole

    assert json.loads((output / "latest.json").read_text())["run_id"] == manifest["run_id"]
    outcome = json.loads((output / "runs" / manifest["run_id"] / "outcome.json").read_text())
    assert (outcome["code"], outcome["kind"]) == (0, "done")
    assert (output / "runs" / manifest["run_id"] / "job.log").stat().st_size > 0
    assert not (output / "work").exists()


def test_a_second_run_embeds_nothing_and_gives_the_same_matrix(whole, fruitsctl, sample, matrix):
    first, output = whole
    second = fruitsctl.run(sample, output)

    assert (second["counts"]["new"], second["counts"]["embedded"]) == (0, 0)
    assert matrix(output, second["run_id"]) == matrix(output, first["run_id"])


def test_the_summary_says_where_everything_is(fruitsctl, gallery):
    assert "200 listed, 200 embedded now, 200 in the result, 10 labels" in gallery.stdout
    assert "k = 50" in gallery.stdout
    assert "Embed images: 200 of 200 images" in gallery.stderr
    (run,) = (gallery.output / "runs").iterdir()
    assert f"runs/{run.name}/csv/" in gallery.stdout
    assert f"runs/{run.name}/report.html" in gallery.stdout
    remembered = Command(fruitsctl.env["FRUITS_CACHE"], {**fruitsctl.env, "FRUITS_STATE": str(gallery.state)})("report", "--no-open")
    assert remembered.stdout == f"{run}/report.html\n"


def test_a_dry_run_starts_nothing(fruitsctl, photos, tmp_path):
    done = fruitsctl("run", photos, tmp_path / "out", "--local", "--dry-run", "--json", "--components", "7")

    plan = json.loads(done.stdout)
    assert plan["command"][1:3] == ["-m", "job"]
    assert "--components=7" in plan["command"]
    assert not (tmp_path / "out").exists()
