"""What we compute against what others computed on the same images: Keras on all of Test/, and a published project's values."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from job.imaging.decode import decode_image
from job.imaging.networks import LiteRtNetwork, keras_weights, litert_flatbuffer, scale
from tests.conftest import SHORT


@pytest.fixture(scope="module")
def network(weights, cache):
    return LiteRtNetwork(litert_flatbuffer(weights, cache))


def test_litert_gives_what_keras_gives_on_the_test_images(network, weights, real_sample):
    from job.imaging.keras_to_litert import keras_mobilenet_v2

    keras_network = keras_mobilenet_v2(None)
    keras_network.set_weights(keras_weights(weights))
    paths = sorted((real_sample / "Test").glob("*/*.jpg"))
    assert len(paths) == 1310
    pixels = np.stack([decode_image(path.read_bytes(), 224).pixels for path in (paths[::5] if SHORT else paths)])

    ours = np.stack([network(image) for image in pixels])
    theirs = keras_network.predict(scale(pixels, np.empty(pixels.shape, np.float32)), batch_size=64, verbose=0)

    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() >= 0.99999


def test_features_are_those_that_another_project_published(network, assets):
    table = pq.read_table(assets / "reference" / "p8_local_features_pca.parquet", columns=["image", "features"])
    largest = 0.0
    for image, features in zip(table["image"].to_pylist(), table["features"].to_pylist(), strict=True):
        png = (assets / "reference" / "decoded-png" / image).with_suffix(".png")
        pixels = decode_image(png.read_bytes(), 224).pixels
        largest = max(largest, float(np.abs(network(pixels) - np.array(features, np.float32)).max()))

    assert table.num_rows == 233
    assert largest <= 1e-3
