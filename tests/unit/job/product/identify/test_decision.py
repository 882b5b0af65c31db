"""Neighbours and classifier: which of them is believed, and when neither is."""

import pytest

from job.product.identify.decision import Decision, decide

LIMITS = {"threshold": 0.2, "typical": 0.1, "groups": ["Lemon", "Orange"]}


@pytest.mark.parametrize(
    ("distance", "opinion", "group", "by"),
    [
        (0.15, {}, "Lemon", "neighbours"),
        (0.15, {"Orange": 0.4}, "Lemon", "neighbours"),  # not sure enough to object
        (0.15, {"Orange": 0.6}, None, "nobody"),
        (0.05, {"Orange": 0.9}, "Lemon", "neighbours"),  # as near as photos of one fruit are to each other
        (0.15, {"Lemon": 0.9}, "Lemon", "neighbours"),
        (0.3, {}, None, "nobody"),
        (0.3, {"Lemon": 0.19, "Orange": 0.1}, None, "nobody"),
        (0.3, {"Lemon": 0.2, "Orange": 0.1}, "Lemon", "both"),
        (0.3, {"Orange": 0.49}, None, "nobody"),
        (0.3, {"Orange": 0.5}, "Orange", "classifier"),
        (0.3, {"Fig": 0.9}, None, "nobody"),  # the gallery has no fig to show
        (0.15, {"Fig": 0.9}, None, "nobody"),
    ],
)
def test_a_contradiction_is_unknown_and_agreement_reaches_further(distance, opinion, group, by):
    decision = decide({"Lemon": 0.7, "Orange": 0.3}, distance, opinion=opinion, **LIMITS)

    assert (decision.group, decision.by) == (group, by)


def test_the_score_is_that_of_the_one_that_is_believed():
    votes = {"Lemon": 0.7, "Orange": 0.3}

    assert decide(votes, 0.15, opinion={"Orange": 0.3}, **LIMITS) == Decision("Lemon", "neighbours", 0.7)
    assert decide(votes, 0.5, opinion={"Lemon": 0.9}, **LIMITS) == Decision("Lemon", "both", 0.9)
    assert decide(votes, 0.5, opinion={"Orange": 0.8}, **LIMITS) == Decision("Orange", "classifier", 0.8)


def test_an_image_of_a_gallery_that_knows_nothing_else_knows_itself():
    assert decide({"Lemon": 1.0}, 2e-6, 0.0, 0.0, {"Orange": 0.9}, ["Lemon"]).group == "Lemon"
    assert decide({"Lemon": 1.0}, 2e-3, 0.0, 0.0, {}, ["Lemon"]).group is None


def test_where_the_neighbours_disagree_none_is_believed_unless_one_is_very_near():
    votes = {"Lemon": 0.6, "Orange": 0.4}

    assert decide(votes, 0.15, opinion={}, **LIMITS).group is None
    assert decide(votes, 0.09, opinion={}, **LIMITS).group == "Lemon"
    assert decide({"Lemon": 0.67, "Orange": 0.33}, 0.15, opinion={}, **LIMITS).group == "Lemon"
