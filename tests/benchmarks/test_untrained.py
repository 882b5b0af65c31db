"""The comparison of features: evenly spaced photos, and the share whose nearest other photo has the same label."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.untrained import evenly, same_label


def test_photos_are_evenly_spaced_with_the_first_and_the_last():
    paths = [Path(str(number)) for number in range(101)]

    assert evenly(paths, 3) == [paths[0], paths[50], paths[100]]
    assert evenly(paths, 500) == paths


def test_the_nearest_other_photo_is_compared_by_direction_and_never_with_itself():
    features = np.array([[1, 0], [9, 1], [0, 1], [1, 9]], dtype=np.float32)

    assert same_label(features, ["a", "a", "b", "b"]) == 1
    assert same_label(features, ["a", "b", "a", "b"]) == 0
    assert same_label(features, ["a", "a", "b", "c"]) == pytest.approx(0.5)
