"""The classifier's last layer, from Keras's file: proven, kept small, and refused where it is another one."""

import json

import h5py
import numpy as np
import pytest

from job.contract.errors import ModelError
from job.imaging.proof import known_answers, known_pictures
from job.product.identify.classifier_proof import DEVIATIONS, products, ratios, read_keras, verify_classifier
from job.product.identify.imagenet_classifier import CLASSES, GROUPS, ImageNetClassifier, load_classifier


@pytest.fixture(scope="module")
def with_top(assets):
    return next(path for path in (assets / "weights").glob("*.h5") if "no_top" not in path.name)


@pytest.fixture(scope="module")
def head(with_top, tmp_path_factory):
    return load_classifier(with_top, tmp_path_factory.mktemp("cache"))


def test_probabilities_are_of_a_thousand_classes(head):
    probabilities = head.probabilities(known_answers("mobilenet_v2"))

    assert probabilities.shape == (len(known_pictures()), 1000)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_it_agrees_with_keras_own_names(assets):
    index = json.loads((assets / "weights" / "imagenet_class_index.json").read_text())
    named = {index[str(number)][1]: group for number, group in CLASSES.items()}

    assert named == {
        "cauliflower": "Cauliflower",
        "cucumber": "Cucumber",
        "bell_pepper": "Pepper",
        "Granny_Smith": "Apple",
        "strawberry": "Strawberry",
        "orange": "Orange",
        "lemon": "Lemon",
        "fig": "Fig",
        "pineapple": "Pineapple",
        "banana": "Banana",
        "pomegranate": "Pomegranate",
        "corn": "Corn",
        "ear": "Corn",
    }


def test_opinions_are_probabilities_of_groups_with_the_largest_first(head):
    opinion = head.groups(known_answers("mobilenet_v2")[:3])

    assert sorted(opinion) == sorted(GROUPS)
    assert list(opinion.values()) == sorted(opinion.values(), reverse=True)
    assert 0 <= sum(opinion.values()) <= 1


def test_the_second_time_it_is_read_from_its_own_small_file(with_top, tmp_path):
    first = load_classifier(with_top, tmp_path)
    (kept,) = (tmp_path / "models").iterdir()

    assert kept.stat().st_size < 2_600_000
    answer = known_answers("mobilenet_v2")
    np.testing.assert_array_equal(load_classifier(with_top, tmp_path).probabilities(answer), first.probabilities(answer))


def test_the_name_of_the_layer_does_not_matter(with_top, tmp_path):
    other = tmp_path / "logits.h5"
    with h5py.File(with_top) as file, h5py.File(other, "w") as target:
        target["Logits/Logits/kernel:0"] = file["predictions/predictions/kernel"][()]
        target["Logits/Logits/bias:0"] = file["predictions/predictions/bias"][()]

    assert isinstance(load_classifier(other, tmp_path), ImageNetClassifier)


def test_another_classifier_is_refused(tmp_path):
    other = tmp_path / "random.h5"
    random = np.random.default_rng(0)
    with h5py.File(other, "w") as target:
        target["kernel"], target["bias"] = random.normal(0, 0.05, (1280, 1000)).astype(np.float32), np.zeros(1000, np.float32)

    with pytest.raises(ModelError, match="does not hold MobileNetV2's ImageNet classifier"):
        load_classifier(other, tmp_path)


def test_weights_without_a_top_are_refused(weights, tmp_path):
    with pytest.raises(ModelError, match="does not hold MobileNetV2 with its classifier"):
        load_classifier(weights, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_what_is_no_hdf5_is_refused(tmp_path, content):
    (tmp_path / "w.h5").write_bytes(content)

    with pytest.raises(ModelError, match="does not hold MobileNetV2 with its classifier"):
        load_classifier(tmp_path / "w.h5", tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read `.*gone\.h5`"):
        load_classifier(tmp_path / "gone.h5", tmp_path)


@pytest.fixture(scope="module")
def layer(with_top):
    return read_keras(with_top)


def zeroed(kernel, bias):
    return kernel * 0, bias


def halved(kernel, bias):
    return kernel / 2, bias


def doubled(kernel, bias):
    return kernel * 2, bias


def negated(kernel, bias):
    return -kernel, bias


def moved(kernel, bias):
    return np.roll(kernel, 1, axis=1), bias


def shifted(kernel, bias):
    return kernel, bias + np.float32(0.001)


@pytest.mark.parametrize("damage", [zeroed, halved, doubled, negated, moved, shifted])
def test_damage_to_any_class_is_refused(layer, damage):
    """All classes are damaged, and what refuses each of them depends on that class alone."""
    of_bias, of_class, _ = ratios(*damage(*layer))

    assert np.flatnonzero(np.maximum(of_bias, of_class.max(axis=0)) <= 1).tolist() == []


@pytest.mark.parametrize("damage", [zeroed, halved, doubled, negated])
def test_damage_to_the_weights_of_any_feature_is_refused(layer, damage):
    _, _, of_feature = ratios(*damage(*layer))

    assert np.flatnonzero(of_feature.max(axis=0) <= 1).tolist() == []


def test_exchanging_any_two_classes_is_refused(layer):
    """But for the bias, which tells them apart already: 499,500 pairs."""
    by_class, _ = products(layer[0])
    norms = np.linalg.norm(known_answers("mobilenet_v2"), axis=1, keepdims=True)
    allowed = DEVIATIONS * norms * np.abs(layer[0]).max(axis=0) / 127 / np.sqrt(12)
    refused = np.zeros((1000, 1000), bool)
    for picture, limit in zip(by_class, allowed, strict=True):
        refused |= np.abs(picture[:, np.newaxis] - picture) > limit

    assert np.argwhere(~(refused | refused.T | np.eye(1000, dtype=bool))).tolist() == []


@pytest.mark.parametrize("number", range(0, 1000, 111))
def test_one_damaged_class_is_refused(layer, number):
    kernel, bias = layer[0].copy(), layer[1]
    kernel[:, number] = 0

    with pytest.raises(ModelError, match="the known answers differ by"):
        verify_classifier(kernel, bias, "it")


def test_granny_smith_is_not_taken_for_a_lemon(layer):
    kernel, bias = layer
    order = np.arange(1000)
    order[[948, 951]] = 951, 948

    with pytest.raises(ModelError, match="the known answers differ by"):
        verify_classifier(kernel[:, order], bias[order], "it")


def test_weights_that_round_to_the_same_int8_values_pass(layer):
    """As the official file does: these were rounded to int8, with a step for each class."""
    kernel, bias = layer
    step = np.abs(kernel).max(axis=0) / 127
    for seed in range(3):
        rest = np.random.default_rng(seed).uniform(-0.5, 0.5, kernel.shape)
        verify_classifier((kernel + rest * step).astype(np.float32), bias, "it")
