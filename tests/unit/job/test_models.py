"""The real network with its real weights: what it computes, and what is refused."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from job.errors import ModelError
from job.models import (
    KerasNetwork,
    LiteRtNetwork,
    MeanColour,
    fingerprint,
    keras_weights,
    known_image,
    litert_flatbuffer,
    load_model,
    prove,
)
from job.params import UNTRAINED, Params

WEIGHTS = next(Path(os.environ["FRUITS_ASSETS"], "weights").glob("*no_top*.h5"))


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


def test_the_converted_network_gives_the_known_answer(cache):
    prove(LiteRtNetwork(litert_flatbuffer(WEIGHTS, cache)), "weights")


def test_a_model_is_converted_once(cache):
    litert_flatbuffer(WEIGHTS, cache)
    (converted,) = (cache / "models").glob("mobilenet_v2-*.tflite")
    before = converted.stat().st_mtime_ns

    litert_flatbuffer(WEIGHTS, cache)

    assert converted.stat().st_mtime_ns == before


def test_broadcast_weights_make_the_same_network_in_a_worker():
    weights = keras_weights(WEIGHTS)

    assert len(weights) == 260
    prove(KerasNetwork(weights), "weights")


def test_random_weights_are_refused():
    random = np.random.default_rng(1)
    weights = [random.normal(scale=0.05, size=array.shape).astype(np.float32) for array in keras_weights(WEIGHTS)]

    with pytest.raises(ModelError, match="are not MobileNetV2's ImageNet weights"):
        prove(KerasNetwork(weights), "weights")


def test_another_checkpoint_of_the_same_shape_is_refused(tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(WEIGHTS.read_bytes())
    with h5py.File(other, "r+") as file:
        kernel = file["Conv1/Conv1/kernel:0"] if "Conv1/Conv1/kernel:0" in file else _first_kernel(file)
        kernel[...] = kernel[...] * 1.01

    with pytest.raises(ModelError, match="known answer differs"):
        load_model(params(weights=str(other), cache=str(tmp_path)))


def _first_kernel(file):
    found = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 4 else None)
    return found[0]


def test_a_file_that_is_no_model_is_refused(tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not HDF5")

    with pytest.raises(ModelError, match="Keras cannot load"):
        load_model(params(weights=str(broken), cache=str(tmp_path)))


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"no weights at `.*absent\.h5`"):
        load_model(params(weights=str(tmp_path / "absent.h5")))


def test_the_fingerprint_is_of_the_function_not_of_the_file():
    assert fingerprint("mobilenet_v2") == "mobilenet_v2-e10712fadf4b"


def test_mean_colour_is_the_mean_of_each_channel():
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16] = (255, 0, 51)

    np.testing.assert_allclose(MeanColour()(pixels), [0.5, 0.0, 0.1], atol=1e-6)


def test_the_known_image_is_made_by_formula():
    image = known_image()

    assert image.shape == (224, 224, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [128, 128, 128]
    assert image.min() == 0
    assert image.max() == 255


def test_the_untrained_network_has_its_own_fingerprint():
    assert fingerprint(UNTRAINED).startswith("mobilenet_v2_untrained-")


def test_the_untrained_network_needs_no_weights_and_is_converted_once(cache):
    model = load_model(params(model=UNTRAINED, cache=str(cache)))
    converted = cache / "models" / f"{model.fingerprint}.float32.tflite"
    before = converted.stat().st_mtime_ns

    assert load_model(params(model=UNTRAINED, cache=str(cache))).payload == model.payload
    assert converted.stat().st_mtime_ns == before
    assert model.dim == 1280


def test_both_engines_compute_the_same_with_untrained_weights(cache):
    image = known_image()[::-1].copy()
    by_engine = [load_model(params(model=UNTRAINED, engine=engine, cache=str(cache))) for engine in ("litert", "tensorflow")]
    litert, keras = (model.network(model.payload)(image) for model in by_engine)

    np.testing.assert_allclose(litert, keras, atol=1e-3)


def test_a_trained_network_is_not_taken_for_the_untrained_one(cache):
    with pytest.raises(ModelError, match="does not give its known answer"):
        prove(LiteRtNetwork(litert_flatbuffer(WEIGHTS, cache)), "model", UNTRAINED)


def test_the_untrained_network_takes_no_weights():
    with pytest.raises(ValueError, match="`mobilenet_v2_untrained` takes no weights"):
        params(model=UNTRAINED, weights="w.h5")
