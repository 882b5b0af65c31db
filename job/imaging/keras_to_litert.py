"""
Convert Keras weights to a float32 LiteRT flat buffer: `python -m job.imaging.keras_to_litert OUT [WEIGHTS [NETWORK]]`.

A separate process, so that TensorFlow (10 s, 860 MB) is never loaded in the driver or in a worker.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from job.contract.atomic_write import atomic_write
from job.contract.params import APPLICATIONS
from job.imaging.proof import known_pictures
from job.imaging.untrained import untrained_weights

UNWRITABLE = 73  # the exit code where OUT cannot be written; EX_CANTCREAT of sysexits.h
UNPROVEN = 70  # where LiteRT computes something else than Keras; EX_SOFTWARE
PARITY = 1e-3  # of the largest feature: float32 kernels differ by 1e-5


class ParityError(Exception):
    """LiteRT computes something else than Keras."""


def keras_mobilenet_v2(weights: str | None) -> Any:
    """Build MobileNetV2 without its top, average-pooled: (N, 224, 224, 3) float32 in -1..1 to (N, 1280) float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras.applications.MobileNetV2(weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3))


def untrained_mobilenet_v2() -> Any:
    """Build the same network with the weights of `untrained_weights`."""
    network = keras_mobilenet_v2(None)
    network.set_weights(untrained_weights(network))
    return network


def keras_application(name: str, weights: str | None) -> Any:
    """Build a network of Keras Applications without its top, average-pooled: (N, size, size, 3) float32 in 0..255 to (N, dim) float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    of = APPLICATIONS[name]
    shape = (of.size_px, of.size_px, 3)
    network = getattr(keras.applications, name)(weights=weights, include_top=False, pooling="avg", input_shape=shape)
    pixels = keras.Input(shape)
    return keras.Model(pixels, network(getattr(keras.applications, of.module).preprocess_input(pixels)))


def differing(flatbuffer: bytes, network: Any, size_px: int) -> float:
    """Return the largest difference between LiteRT and Keras on the known pictures, relative to the largest feature."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    given, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    worst, largest = 0.0, 0.0
    for picture in known_pictures(size_px):
        pixels = picture[np.newaxis].astype(np.float32)
        interpreter.set_tensor(given, pixels)
        interpreter.invoke()
        features = np.asarray(network(pixels, training=False))
        worst = np.maximum(worst, np.abs(interpreter.get_tensor(result) - features).max())  # NaN stays NaN
        largest = np.maximum(largest, np.abs(features).max())
    return float(worst / largest)


def convert(weights: str | None, name: str | None = None) -> bytes:
    """
    Return the flat buffer of the network; `name`: of Keras Applications.

    Raises:
        ValueError, OSError: `weights` belong to another network or are not an HDF5 file.
        ParityError: LiteRT computes something else than Keras.
    """
    network = keras_application(name, weights) if name else keras_mobilenet_v2(weights) if weights else untrained_mobilenet_v2()
    import tensorflow as tf

    flatbuffer: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    if name and not (found := differing(flatbuffer, network, APPLICATIONS[name].size_px)) <= PARITY:  # NaN is refused too
        raise ParityError(f"by `{found:.2g}` of the largest feature, allowed is {PARITY:g}")
    return flatbuffer


if __name__ == "__main__":
    try:
        flatbuffer = convert(*(sys.argv[2:] or (None,)))
    except ParityError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(UNPROVEN)
    try:
        with atomic_write(sys.argv[1]) as file:
            file.write(flatbuffer)
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        sys.exit(UNWRITABLE)
