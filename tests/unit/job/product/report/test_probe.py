"""The classifier finds what is there, nothing where there is nothing, and answers as scikit-learn's ridge regression."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from job.product.report.probe import RIDGE, probe
from job.product.report.splits import split


def halves(labels):
    rows = len(labels)
    return split([f"u{row}" for row in range(rows)], labels, ["Training" if row % 2 else "Test" for row in range(rows)])


@pytest.fixture
def known():
    """300 photos of 3 labels: which one is told by the third score alone."""
    rng = np.random.default_rng(0)
    labels = ["abc"[row // 2 % 3] for row in range(300)]
    scores = rng.normal(size=(300, 6)).astype(np.float32)
    scores[:, 2] += np.array([{"a": -20, "b": 0, "c": 20}[label] for label in labels], np.float32)
    return labels, scores


def test_accuracy_rises_with_the_component_that_tells_the_labels_apart(known):
    labels, scores = known

    found = probe(labels, scores, None, halves(labels))

    shares = dict(found.by_components)
    assert list(shares) == [1, 2, 5, 6]
    assert max(shares[1], shares[2]) < 0.5
    assert min(shares[5], shares[6]) > 0.6  # a line tells the ends from the middle, which no one label's line can
    assert found.most_frequent == pytest.approx(1 / 3)
    assert (found.features, found.dim) == (None, 0)


def test_random_labels_are_named_by_chance(known):
    labels = [str(label) for label in np.random.default_rng(1).integers(0, 4, 300)]

    found = probe(labels, known[1], None, halves(labels))

    assert all(share < 0.4 for _, share in found.by_components)


def test_it_answers_as_scikit_learn_does(known):
    labels, scores = known
    features = np.hstack([scores, np.random.default_rng(2).normal(size=(300, 20))]).astype(np.float32)
    parts = halves(labels)

    found = probe(labels, scores, features, parts)

    names, codes = np.unique(labels, return_inverse=True)
    x = features[parts.training].astype(np.float64)
    ridge = Ridge(alpha=RIDGE * ((x - x.mean(axis=0)) ** 2).sum()).fit(x, np.eye(3)[codes[parts.training]])
    right = ridge.predict(features[parts.test]).argmax(axis=1) == codes[parts.test]
    assert found.features == pytest.approx(right.mean())
    assert found.dim == 26
    assert len(names) == 3


@pytest.mark.parametrize("labels", [["a"] * 8, [None] * 8, ["a", "a", "b", None] + ["a"] * 4], ids=["one label", "none", "one of two"])
def test_fewer_than_two_labels_on_both_sides_cannot_be_told_apart(labels):
    scores = np.arange(16, dtype=np.float32).reshape(8, 2)

    assert probe(labels, scores, None, split([str(row) for row in range(8)], labels, [None] * 8)) is None


def test_photos_that_are_all_alike_are_no_error():
    labels = ["a", "a", "b", "b"] * 2

    found = probe(labels, np.zeros((8, 2), np.float32), None, halves(labels))

    assert [k for k, _ in found.by_components] == [1, 2]
