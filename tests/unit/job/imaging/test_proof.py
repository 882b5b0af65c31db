"""The proof of weights: the pictures are the same everywhere, and damage to any one of the 1,280 features is refused."""

import hashlib

import numpy as np
import pytest

from job.contract.errors import ModelError
from job.contract.params import UNTRAINED
from job.imaging.proof import TOLERANCE, known_answers, known_pictures, verify_network

OTHER_PROCESSOR = 1e-5  # float32 kernels of two CPUs
SMALLEST = 0.05  # each feature has this value on one of the pictures, or more
DAMAGES = {
    "zeroed": lambda values: values * 0,
    "halved": lambda values: values * 0.5,
    "doubled": lambda values: values * 2,
    "negated": lambda values: -values,
    "shifted": lambda values: values + 0.01,
    "not a number": lambda values: values * np.nan,
}


def verify_answers(answers, model="mobilenet_v2"):
    """Verify a network that gives these features of the known pictures."""
    following = iter(answers)
    verify_network(lambda _: next(following), "weights", model)


def test_the_pictures_have_the_same_bytes_on_every_machine():
    pictures = known_pictures()

    assert {(picture.shape, picture.dtype.name) for picture in pictures} == {((224, 224, 3), "uint8")}
    assert hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()[:16] == "2617fc0a03f819f4"


def test_the_pictures_excite_every_feature():
    answers = known_answers("mobilenet_v2")

    assert answers.shape == (len(known_pictures()), 1280)
    assert answers.max(axis=0).min() >= SMALLEST


def test_another_processor_passes():
    rounding = np.random.default_rng(1).uniform(-OTHER_PROCESSOR, OTHER_PROCESSOR, known_answers("mobilenet_v2").shape)

    verify_answers(known_answers("mobilenet_v2") + rounding)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_feature_is_refused(damage):
    answers, accepted = known_answers("mobilenet_v2"), []
    for channel in range(1280):
        damaged = answers.copy()
        damaged[:, channel] = DAMAGES[damage](damaged[:, channel])
        try:
            verify_answers(damaged)
        except ModelError:
            continue
        accepted.append(channel)

    assert accepted == []


def test_swapping_any_two_features_is_refused():
    """The network differs by the distance of the two: 818,560 pairs, five times further apart than what is allowed."""
    answers = known_answers("mobilenet_v2")
    distances = np.array([np.abs(answers - answers[:, channel, np.newaxis]).max(axis=0) for channel in range(1280)])
    np.fill_diagonal(distances, np.inf)
    one, other = np.unravel_index(distances.argmin(), distances.shape)
    swapped = answers.copy()
    swapped[:, [one, other]] = swapped[:, [other, one]]

    assert distances.min() > 5 * TOLERANCE
    with pytest.raises(ModelError, match="the known answers differ by"):
        verify_answers(swapped)


def test_damage_to_any_feature_of_the_untrained_network_is_refused():
    """Of its features a third is nearly 0 whatever the picture: zeroing those, or exchanging two of them, changes little."""
    answers = known_answers(UNTRAINED)
    active = np.flatnonzero(answers.max(axis=0) > 0.01)

    assert answers.shape == (len(known_pictures()), 1280)
    assert len(active) > 800
    for channel in active:
        damaged = answers.copy()
        damaged[:, channel] /= 2
        with pytest.raises(ModelError, match="does not give its known answers"):
            verify_answers(damaged, UNTRAINED)
