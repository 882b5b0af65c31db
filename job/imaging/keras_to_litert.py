"""
Keras weights in, a float32 LiteRT flat buffer out: `python -m job.imaging.keras_to_litert OUT [WEIGHTS]`.

A separate process, so that TensorFlow (10 s, 860 MB) never lives in the driver or in a worker.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from job.contract.replacing import replacing
from job.imaging.untrained import untrained_weights

UNWRITABLE = 73  # the exit code where OUT cannot be written; EX_CANTCREAT of sysexits.h


def keras_mobilenet_v2(weights: str | None) -> Any:
    """MobileNetV2 without its top, average-pooled: (N, 224, 224, 3) float32 in -1..1 to (N, 1280) float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras.applications.MobileNetV2(weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3))


def untrained_mobilenet_v2() -> Any:
    """Build the same network with the weights of `untrained_weights`."""
    network = keras_mobilenet_v2(None)
    network.set_weights(untrained_weights(network))
    return network


def convert(weights: str | None) -> bytes:
    """Raises ValueError or OSError, by Keras, if `weights` are of another network or no HDF5 file."""
    network = keras_mobilenet_v2(weights) if weights else untrained_mobilenet_v2()
    import tensorflow as tf

    flatbuffer: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    return flatbuffer


if __name__ == "__main__":
    flatbuffer = convert(sys.argv[2] if len(sys.argv) > 2 else None)
    try:
        with replacing(sys.argv[1]) as file:
            file.write(flatbuffer)
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        sys.exit(UNWRITABLE)
