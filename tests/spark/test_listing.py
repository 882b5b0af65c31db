"""INPUT to a DataFrame, written once and read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from job.errors import InputError
from job.listing import list_images, read_listing
from job.uris import from_text
from tests.unit.job import hostile


def materialised(found: DataFrame, path: Path) -> DataFrame:
    found.write.parquet(str(path))
    return found.sparkSession.read.parquet(str(path))


def test_hostile_names_come_through_spark_and_parquet_unchanged(spark: SparkSession, tmp_path: Path):
    photos = tmp_path / "photos"
    expected = hostile.write_hostile_folder(photos)
    for name in ("notes.txt", "Apple/notes.txt", "Apple/IMG_1.HEIC"):
        (photos / name).write_bytes(b"x")
    os.symlink("nowhere", photos / "Apple" / "gone.jpg")

    listing = read_listing(materialised(list_images(spark, from_text(str(photos))), tmp_path / "found"))
    rows = listing.images.collect()

    assert sorted(row["uri"].removeprefix(f"file://{photos}/") for row in rows) == sorted(expected)
    assert listing.count == len(expected)
    assert {row["label"] for row in rows if row["uri"].endswith("straight in root.jpg")} == {None}
    assert {row["label"] for row in rows if row["uri"].endswith("k=v.jpg")} == {"label=Apple"}
    assert listing.ignored == {".txt": 2, ".heic": 1}
    assert listing.problems == [(f"file://{photos}/Apple/gone.jpg", "no such file or directory")]


def test_an_empty_input_is_an_empty_listing(spark: SparkSession, tmp_path: Path):
    (tmp_path / "photos").mkdir()

    listing = read_listing(materialised(list_images(spark, from_text(str(tmp_path / "photos"))), tmp_path / "found"))

    assert (listing.count, listing.problems, listing.ignored) == (0, [], {})


def test_a_missing_input_fails_before_any_spark_job(spark: SparkSession, tmp_path: Path):
    with pytest.raises(InputError, match="there is no folder"):
        list_images(spark, from_text(str(tmp_path / "nowhere")))
