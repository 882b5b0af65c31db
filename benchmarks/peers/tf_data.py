"""
Keras fed by tf.data: read, decode and resize in parallel, batch, prefetch, then `model.predict` on the data set, as its guides have it:
https://www.tensorflow.org/guide/data_performance and https://keras.io/api/models/model_training_apis/#predict-method.

TensorFlow's own decoder and resize, set so that they give Pillow's pixels: the accurate DCT, and the bicubic filter with `antialias`, whose
coefficients are Pillow's (https://www.tensorflow.org/api_docs/python/tf/image/resize), rows first and then columns, whole numbers after
each: in one pass some photos come below 0.9999. TensorFlow itself reads no S3, and tensorflow-io, which does, has no release for this
TensorFlow (https://github.com/tensorflow/io/issues/2104): from there boto3 reads, in the same `map`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported

from benchmarks.peers.task import BATCH, SCALED_FACTOR, SIZE_PX, Task, keras_model, listing, parse, read, s3_client, scaled, write

READS_AHEAD = 32  # of S3: boto3 waits, TensorFlow's own number would be that of the cores


def dataset(task: Task, uris: list[str]) -> Any:
    """Batches of (N, 224, 224, 3) float32, -1..1"""
    import tensorflow as tf

    def pixels(content: Any) -> Any:
        image = decode_scaled(content) if scaled() else tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
        wide = one_pass(image, (tf.shape(image)[0], SIZE_PX))
        return one_pass(wide, (SIZE_PX, SIZE_PX)) / 127.5 - 1.0

    def decode_scaled(content: Any) -> Any:
        """`ratio` is a constant of the graph: a branch for each, https://www.tensorflow.org/api_docs/python/tf/io/decode_jpeg."""
        short = tf.reduce_min(tf.io.extract_jpeg_shape(content)[:2])

        def at(ratio: int) -> Any:
            return lambda: tf.io.decode_jpeg(content, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

        branches = [(short >= ratio * SCALED_FACTOR * SIZE_PX, at(ratio)) for ratio in (8, 4, 2)]
        return tf.case(branches, default=at(1))

    def one_pass(image: Any, size: Any) -> Any:
        return tf.clip_by_value(tf.round(tf.image.resize(image, size, method="bicubic", antialias=True)), 0.0, 255.0)

    addresses = tf.data.Dataset.from_tensor_slices(uris)
    if task.on_s3:
        client = s3_client()

        def get(uri: bytes) -> bytes:
            return read(uri.decode(), client)

        def load(uri: Any) -> Any:
            content = tf.numpy_function(get, [uri], tf.string, stateful=False)
            return tf.ensure_shape(content, ())

        contents = addresses.map(load, num_parallel_calls=READS_AHEAD)
    else:
        contents = addresses.map(tf.io.read_file, num_parallel_calls=tf.data.AUTOTUNE)
    return contents.map(pixels, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    task = parse("tf_data", engines=("keras",))
    uris = listing(task)
    features = keras_model(task.weights).predict(dataset(task, uris), verbose=0)
    write(task.output, uris, features)
    print(f"{len(uris)} photos", file=sys.stderr)


if __name__ == "__main__":
    main()
