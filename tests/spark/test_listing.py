"""INPUT to rows, on the driver and in Spark."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from job.contract.errors import InputError
from job.contract.uris import from_text
from job.stages.listing import list_images
from tests.unit.job import hostile


@pytest.fixture(params=["1000", "0"], ids=["driver", "spark"], autouse=True)
def driver_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUITS_DRIVER_ROWS", request.param)


def test_hostile_names_come_through_unchanged(spark: SparkSession, tmp_path: Path):
    photos = tmp_path / "photos"
    expected = hostile.write_hostile_folder(photos)
    for name in ("notes.txt", "Apple/notes.txt", "Apple/IMG_1.MOV"):
        (photos / name).write_bytes(b"x")
    os.symlink("nowhere", photos / "Apple" / "gone.jpg")

    listing = list_images(spark, from_text(str(photos)), f"file://{tmp_path}/found")
    rows = listing.images.to_arrow().to_pylist()

    assert sorted(row["uri"].removeprefix(f"file://{photos}/") for row in rows) == sorted(expected)
    assert listing.count == len(expected)
    assert {row["label"] for row in rows if row["uri"].endswith("straight in root.jpg")} == {None}
    assert {row["label"] for row in rows if row["uri"].endswith("k=v.jpg")} == {"label=Apple"}
    assert listing.ignored == {".txt": 2, ".mov": 1}
    assert listing.problems == [(f"file://{photos}/Apple/gone.jpg", "no such file or directory")]


def test_an_empty_input_is_an_empty_listing(spark: SparkSession, tmp_path: Path):
    (tmp_path / "photos").mkdir()

    listing = list_images(spark, from_text(str(tmp_path / "photos")), f"file://{tmp_path}/found")

    assert (listing.count, listing.problems, listing.ignored) == (0, [], {})


def test_a_missing_input_fails_before_any_spark_job(spark: SparkSession, tmp_path: Path):
    with pytest.raises(InputError, match="there is no folder"):
        list_images(spark, from_text(str(tmp_path / "nowhere")), f"file://{tmp_path}/found")
