"""Exact nearest neighbours on a few arrows in the plane, and against the plain definition on many rows."""

import numpy as np
import pytest

from job.product import neighbours
from job.product.neighbours import nearest, unit_rows


def arrows(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_rows_get_length_one_and_zeros_stay():
    assert unit_rows(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_the_nearest_come_first_with_their_cosine_distances():
    rows, distances = nearest(arrows(0, 90, 180, 60), arrows(10), 3)

    assert rows.tolist() == [[0, 3, 1]]
    np.testing.assert_allclose(distances, [[0.0152, 0.3572, 0.8264]], atol=1e-4)


def test_a_query_is_not_its_own_neighbour():
    gallery = arrows(0, 0, 90)

    assert nearest(gallery, gallery, 1, np.arange(3))[0].tolist() == [[1], [0], [0]]


def test_small_galleries_give_what_they_have():
    one = arrows(0)

    assert nearest(one, one, 5)[0].tolist() == [[0]]
    assert nearest(one, one, 5, np.arange(1))[0].shape == (1, 0)
    assert nearest(np.empty((0, 2), np.float32), one, 5)[0].shape == (1, 0)


def test_blocks_give_what_one_sorted_matrix_gives(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", 700)
    rng = np.random.default_rng(0)
    gallery = unit_rows(rng.normal(size=(300, 7)).astype(np.float32))

    rows, distances = nearest(gallery, gallery[:50], 4, np.arange(50))

    similarity = gallery[:50] @ gallery.T
    similarity[np.arange(50), np.arange(50)] = -np.inf
    expected = np.argsort(-similarity, axis=1)[:, :4]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(distances, 1 - np.take_along_axis(similarity, expected, axis=1), atol=1e-6)


def test_an_image_is_never_its_own_neighbour_even_where_all_others_are_opposite():
    gallery = np.array([[1, 0], [-1, 0]], np.float32)

    rows, distances = nearest(gallery, gallery, 1, np.arange(2))

    assert rows.tolist() == [[1], [0]]
    assert distances.tolist() == [[2.0], [2.0]]
