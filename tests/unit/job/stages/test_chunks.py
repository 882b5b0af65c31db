"""How what is missing is cut into commits. No Spark: only the cutting."""

import pyarrow as pa
import pytest

from job.inputs.rows import ArrowRows
from job.stages import chunks as cutting
from job.stages.chunks import chunks
from job.stages.embed import tasks_for


def numbered(images):
    """So many rows, each its number."""
    return ArrowRows(pa.table({"number": range(images)})).materialize_numbered("")


@pytest.mark.parametrize(("images", "fixed"), [(10, 3), (9, 3), (1, 5), (5, 5)])
def test_every_image_is_in_exactly_one_chunk(images, fixed):
    cut = list(chunks(numbered(images), cores=2, fixed=fixed))

    assert [row for chunk in cut for row in chunk.keys.to_arrow()["number"].to_pylist()] == list(range(images))
    assert all(chunk.images <= fixed for chunk in cut)
    assert cut[-1].end == images


def test_nothing_missing_is_no_chunk():
    assert list(chunks(numbered(0), cores=2, fixed=None)) == []


def test_the_next_chunk_follows_the_speed_of_the_last(monkeypatch):
    clock = iter([0.0, 30.0, 30.0, 120.0, 120.0, 210.0])
    monkeypatch.setattr(cutting.time, "monotonic", lambda: next(clock))

    sizes = [chunk.images for chunk in chunks(numbered(70_000), cores=2, fixed=None)]

    assert sizes[0] == 10_800  # 60 images/s and core for 90 s, a guess
    assert sizes[1] == 32_400  # it took 30 s, so three times as many take 90 s
    assert sum(sizes) == 70_000


@pytest.mark.parametrize(("images", "cores", "tasks"), [(1, 2, 1), (2, 2, 2), (300, 2, 2), (3930, 2, 8), (100_000, 8, 200), (5, 64, 5)])
def test_tasks_are_small_and_in_whole_waves(images, cores, tasks):
    assert tasks_for(images, cores) == tasks
