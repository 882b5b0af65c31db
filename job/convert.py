"""
Keras weights in, a float32 LiteRT flat buffer out: `python -m job.convert WEIGHTS OUT`.

A process of its own, so that TensorFlow (10 s, 860 MB) never lives in the driver or in a worker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def keras_mobilenet_v2(weights: str | None) -> Any:
    """MobileNetV2 without its top, average-pooled: (N, 224, 224, 3) float32 in -1..1 to (N, 1280) float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras.applications.MobileNetV2(weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3))


def convert(weights: str) -> bytes:
    """Raises ValueError or OSError, by Keras, if `weights` are of another network or no HDF5 file."""
    network = keras_mobilenet_v2(weights)
    import tensorflow as tf

    flatbuffer: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    return flatbuffer


if __name__ == "__main__":
    source, target = sys.argv[1:]
    partial = Path(f"{target}.{os.getpid()}.part")
    partial.write_bytes(convert(source))
    partial.replace(target)
