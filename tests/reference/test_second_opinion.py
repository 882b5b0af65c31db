"""The classifier's last layer, from Keras's file: proven, kept small, and refused where it is another one."""

import json

import h5py
import numpy as np
import pytest

from job.contract.errors import ModelError
from job.imaging.networks import known_answer
from job.product.identify.imagenet_classifier import CLASSES, GROUPS, ImageNetClassifier, load_classifier


@pytest.fixture(scope="module")
def with_top(assets):
    return next(path for path in (assets / "weights").glob("*.h5") if "no_top" not in path.name)


@pytest.fixture(scope="module")
def head(with_top, tmp_path_factory):
    return load_classifier(with_top, tmp_path_factory.mktemp("cache"))


def test_the_known_answer_is_a_tie_to_imagenet(head):
    probabilities = head.probabilities(known_answer("mobilenet_v2")[np.newaxis])

    assert probabilities.shape == (1, 1000)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities[0].argmax() == 906  # Windsor tie: three waves of colour


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
    opinion = head.groups(np.tile(known_answer("mobilenet_v2"), (3, 1)))

    assert sorted(opinion) == sorted(GROUPS)
    assert list(opinion.values()) == sorted(opinion.values(), reverse=True)
    assert 0 <= sum(opinion.values()) <= 1


def test_the_second_time_it_is_read_from_its_own_small_file(with_top, tmp_path):
    first = load_classifier(with_top, tmp_path)
    (kept,) = (tmp_path / "models").iterdir()

    assert kept.stat().st_size < 2_600_000
    answer = known_answer("mobilenet_v2")[np.newaxis]
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
