"""The untrained network through TensorFlow and LiteRT: what it computes, and what is refused."""

import numpy as np
import pytest

from job.contract.errors import ModelError
from job.contract.params import UNTRAINED, Params
from job.imaging.networks import load_model
from job.imaging.proof import draw_picture


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not HDF5")

    with pytest.raises(ModelError, match="Keras cannot load"):
        load_model(params(weights=str(broken), cache=str(tmp_path)))


def test_the_untrained_network_needs_no_weights_and_is_converted_once(cache):
    model = load_model(params(model=UNTRAINED, cache=str(cache)))
    converted = cache / "models" / f"{model.fingerprint}.float32.tflite"
    before = converted.stat().st_mtime_ns

    assert load_model(params(model=UNTRAINED, cache=str(cache))).payload == model.payload
    assert converted.stat().st_mtime_ns == before
    assert model.network(model.payload).dim == 1280


def test_both_engines_compute_the_same_with_untrained_weights(cache):
    image = draw_picture(seed=1, size_px=224)  # no known picture
    by_engine = [load_model(params(model=UNTRAINED, engine=engine, cache=str(cache))) for engine in ("litert", "tensorflow")]
    litert, keras = (model.network(model.payload)(image) for model in by_engine)

    np.testing.assert_allclose(litert, keras, atol=1e-3)
