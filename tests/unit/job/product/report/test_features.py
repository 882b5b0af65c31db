"""Features of the photos asked for, of the right model, from as few files as are needed."""

import numpy as np
import pytest

from job.product.report import features as module
from job.product.report.features import read_features
from job.storage.folders import open_folder
from tests.unit.job.product.run_files import write_features


@pytest.fixture
def folder(tmp_path):
    return open_folder(f"file://{tmp_path}")


def test_the_features_of_the_photos_asked_for_come_in_their_order(folder, tmp_path):
    write_features(tmp_path / "features", ["a", "b", "c"], [[1, 1], [2, 2], [3, 3]], "m")
    write_features(tmp_path / "features", ["a", "b", "d"], [[7, 7], [8, 8], [9, 9]], "other")
    write_features(tmp_path / "features", ["d", "e"], [[4, 4], [5, 5]], "m")

    rows, found = read_features(folder, "m", ["e", "gone", "c", "a", "d"], 10)

    assert rows.tolist() == [0, 2, 3, 4]
    assert found.tolist() == [[5, 5], [3, 3], [1, 1], [4, 4]]
    assert found.dtype == np.float32


def test_a_file_of_many_row_groups_gives_the_first_of_those_asked_for(folder, tmp_path, monkeypatch):
    uris = [f"u{row}" for row in range(5000)]
    write_features(tmp_path / "features", uris, np.repeat(np.arange(5000), 2).reshape(-1, 2), "m")

    rows, found = read_features(folder, "m", uris[::-1], 100)

    assert rows.tolist() == list(range(100))
    assert found[:, 0].tolist() == list(range(4999, 4899, -1))


def test_no_more_files_are_read_once_there_are_enough_or_too_many_rows_were_read(folder, tmp_path, monkeypatch):
    for file in range(12):
        write_features(tmp_path / "features", [f"{file}-{row}" for row in range(10)], np.ones((10, 2)), "m")
    uris = [f"{file}-{row}" for file in range(12) for row in range(10)]

    assert len(read_features(folder, "m", uris, 1000)[0]) == 120
    assert len(read_features(folder, "m", uris, 35)[0]) == 35
    monkeypatch.setattr(module, "READ_ROWS", 50)
    assert len(read_features(folder, "m", uris, 1000)[0]) == 80


def test_without_a_table_there_are_none(folder):
    rows, found = read_features(folder, "m", ["a"], 10)

    assert (rows.tolist(), found.shape) == ([], (0, 0))
