"""Leave-one-out distances to the threshold beyond which a photo is unknown."""

import numpy as np
import pytest

from job.product.threshold import calibrate


def test_the_threshold_is_the_99th_percentile_of_the_neighbours_that_were_right():
    distances = np.array([*np.arange(101) / 1000, 1.5, 1.6], np.float32)
    right = np.array([True] * 101 + [False] * 2)

    assert calibrate(distances, right) == {
        "threshold": pytest.approx(0.099),
        "typical": pytest.approx(0.09),
        "median": pytest.approx(0.05),
        "images": 103.0,
        "right": pytest.approx(101 / 103, abs=1e-6),
    }


def test_where_no_neighbour_was_right_nothing_but_the_same_image_is_known():
    found = calibrate(np.array([0.1, 0.2], np.float32), np.array([False, False]))

    assert (found["threshold"], found["typical"], found["right"]) == (0.0, 0.0, 0.0)


def test_one_image_has_nothing_to_be_held_against():
    nothing = calibrate(np.empty(0, np.float32), np.empty(0, np.bool_))

    assert nothing == {"threshold": 0.0, "typical": 0.0, "median": 0.0, "images": 0.0, "right": 0.0}


def test_rounding_below_zero_is_no_distance():
    assert calibrate(np.array([-1e-7], np.float32), np.array([True]))["threshold"] == 0.0
