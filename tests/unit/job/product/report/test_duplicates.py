"""Near-duplicates are counted within the run and from folder to folder; copies are found, other photos are not."""

import numpy as np
import pytest

from job.product.report import duplicates as module
from job.product.report.duplicates import duplicates


def arrows(degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles), *np.zeros((8, len(angles)))], axis=1).astype(np.float32) * 7


def test_half_of_the_test_photos_are_also_in_training():
    training, test = np.arange(0, 300, 60.0), np.array([1, 61, 150, 210, 300, 121])
    folders = ["Training"] * len(training) + ["Test"] * len(test)

    found = duplicates(arrows(np.concatenate([training, test])), folders)

    assert [(leak.folder, leak.other, leak.asked) for leak in found.leaks] == [("Training", "Test", 5), ("Test", "Training", 6)]
    assert [leak.share for leak in found.leaks] == [pytest.approx(3 / 5), pytest.approx(3 / 6)]
    assert (found.asked, found.gallery) == (11, 11)
    assert found.share == pytest.approx(6 / 11)


def test_folders_without_copies_have_no_near_duplicates():
    found = duplicates(arrows(np.arange(0, 360, 30)), ["a"] * 6 + ["b"] * 6)

    assert found.share == 0
    assert [leak.share for leak in found.leaks] == [0, 0]


def test_a_folder_of_few_photos_is_not_compared_because_its_share_tells_about_single_photos():
    found = duplicates(arrows(np.arange(0, 360, 30)), ["a"] * 6 + ["b"] * 2 + [None] * 4)

    assert found.leaks == []


@pytest.mark.parametrize("photos", [0, 1])
def test_fewer_than_two_photos_are_not_compared(photos):
    assert duplicates(np.ones((photos, 10), np.float32), [None] * photos).asked == 0


def test_few_components_make_photos_alike_by_chance_so_nothing_is_said():
    assert duplicates(arrows(np.arange(0, 360, 30))[:, :9], [None] * 12).asked == 0


def test_photos_without_a_score_are_not_alike():
    assert duplicates(np.zeros((4, 10), np.float32), [None] * 4).share == 0


def test_comparisons_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "PAIRS", 1000)
    monkeypatch.setattr(module, "FEWEST", 3)

    found = duplicates(np.ones((100, 10), np.float32), [str(row % 7) for row in range(100)])

    assert (found.asked, found.gallery, found.share) == (10, 100, 1.0)
    assert len(found.leaks) == 5 * 4
    assert {leak.asked for leak in found.leaks} == {3}
