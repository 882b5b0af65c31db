"""What a photo's views say together: the nearest look is heard, and its nearest images vote."""

import numpy as np
import pytest

from job.product.gallery import open_gallery
from job.product.identify.evidence import Evidence, evidence_of
from tests.unit.job.product.galleries import write_gallery

RED, GREEN, BLUE = (200, 40, 30), (60, 150, 40), (40, 50, 160)


@pytest.fixture
def gallery(tmp_path):
    return open_gallery(write_gallery(tmp_path, [("Tomato 1", RED), ("Limes", GREEN), ("Plum", BLUE)]))


def seen(colour):
    return np.array(colour, np.float32) / 255


def test_the_view_that_is_nearest_to_an_image_is_heard(gallery):
    evidence = evidence_of(gallery, {"whole": seen((128, 140, 120)), "box": seen(BLUE), "white": seen(BLUE)})

    assert gallery.names[gallery.codes[evidence.rows[0]]] == "Plum"
    assert evidence.distance == pytest.approx(0, abs=1e-6)


def test_the_fruit_is_heard_as_the_mean_of_its_box_and_of_itself_on_white(gallery):
    half = seen(GREEN) - 0.5
    evidence = evidence_of(gallery, {"whole": seen((128, 140, 120)), "box": 0.5 + half * 1.6, "white": 0.5 + half * 0.4})

    assert evidence.distance == pytest.approx(0, abs=1e-6)


def test_nearer_images_have_more_of_the_votes(gallery):
    evidence = evidence_of(gallery, {"whole": seen(RED)})

    assert list(evidence.shares(["near", "far", "farthest"])) == ["near", "far", "farthest"]
    assert evidence.votes.sum() == pytest.approx(1)


def test_only_the_rows_that_are_asked_answer(gallery):
    rows = evidence_of(gallery, {"whole": seen(RED)}, among=np.array([1, 2])).rows

    assert sorted(rows.tolist()) == [1, 2]


def test_joined_evidence_counts_a_row_once_and_weighs_both_sides():
    one = Evidence(np.array([0, 1]), np.array([0.1, 0.2], np.float32), np.array([0.5, 0.5]))
    other = Evidence(np.array([2, 3]), np.array([0.4, 0.5], np.float32), np.array([0.75, 0.25]))

    joined = one.joined(other, 0.8)
    assert joined.rows.tolist() == [2, 3, 0, 1]
    assert joined.votes.tolist() == pytest.approx([0.6, 0.2, 0.1, 0.1])
    assert joined.distance == pytest.approx(0.1)
    assert one.joined(one, 0.8).rows.tolist() == [0, 1]
