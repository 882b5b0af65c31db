"""The network with Keras's ImageNet weights: what it computes, and what is refused."""

import h5py
import numpy as np
import pytest

from job.contract.errors import ModelError
from job.contract.params import UNTRAINED, Params
from job.imaging.networks import KerasNetwork, LiteRtNetwork, keras_weights, litert_flatbuffer, load_model, verify_network


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


def test_the_converted_network_gives_the_known_answer(weights, cache):
    verify_network(LiteRtNetwork(litert_flatbuffer(weights, cache)), "weights")


def test_a_model_is_converted_once(weights, cache):
    litert_flatbuffer(weights, cache)
    before = {file: file.stat().st_mtime_ns for file in (cache / "models").iterdir()}

    litert_flatbuffer(weights, cache)

    assert {file: file.stat().st_mtime_ns for file in (cache / "models").iterdir()} == before


def test_broadcast_weights_make_the_same_network_in_a_worker(weights):
    weights = keras_weights(weights)

    assert len(weights) == 260
    verify_network(KerasNetwork(weights), "weights")


def test_random_weights_are_refused(weights):
    random = np.random.default_rng(1)
    weights = [random.normal(scale=0.05, size=array.shape).astype(np.float32) for array in keras_weights(weights)]

    with pytest.raises(ModelError, match="are not MobileNetV2's ImageNet weights"):
        verify_network(KerasNetwork(weights), "weights")


def test_another_checkpoint_of_the_same_shape_is_refused(weights, tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(weights.read_bytes())
    with h5py.File(other, "r+") as file:
        kernel = file["Conv1/Conv1/kernel:0"] if "Conv1/Conv1/kernel:0" in file else _first_kernel(file)
        kernel[...] = kernel[...] * 1.01

    with pytest.raises(ModelError, match="known answer differs"):
        load_model(params(weights=str(other), cache=str(tmp_path)))


def _first_kernel(file):
    found = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 4 else None)
    return found[0]


def test_a_trained_network_is_not_taken_for_the_untrained_one(weights, cache):
    with pytest.raises(ModelError, match="does not give its known answer"):
        verify_network(LiteRtNetwork(litert_flatbuffer(weights, cache)), "model", UNTRAINED)
