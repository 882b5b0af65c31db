"""
What every peer is told and must give: a command line in, Parquet files of `uri` and `embedding` (1,280 float32) out; and what all of
them share, so that they compute the same features: decoding and the network. Imports nothing but what each peer's environment has.
"""

from __future__ import annotations

import argparse
import io
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SIZE_PX, DIM = 224, 1280
BATCH = 64
ENGINES = ("keras", "litert")
SCALED = "PEERS_SCALED"  # environment variable, so that every worker process sees it: decode a JPEG at a fraction of its size
SCALED_FACTOR = 3  # as long as its shorter side keeps so many times SIZE_PX: as ours
SCHEMA = pa.schema([("uri", pa.string()), ("embedding", pa.list_(pa.float32()))])

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Network = Callable[[Pixels], Features]


@dataclass(frozen=True)
class Task:
    """`weights`: Keras HDF5 without its top. `flatbuffer`: the same network as LiteRT has it, converted before, as ours keeps it too."""

    images: str  # a folder, or s3://bucket/prefix
    output: Path  # receives Parquet files
    weights: Path
    flatbuffer: Path
    engine: str
    cores: int

    @property
    def on_s3(self) -> bool:
        return self.images.startswith("s3://")


def parse(name: str, engines: Sequence[str] = ENGINES) -> Task:
    parser = argparse.ArgumentParser(f"benchmarks.peers.{name}")
    parser.add_argument("--images", required=True, help="folder, or s3:// address")
    parser.add_argument("--output", type=Path, required=True, help="folder that receives Parquet files")
    parser.add_argument("--weights", type=Path, required=True, help="Keras weights of MobileNetV2 without its top, HDF5")
    parser.add_argument("--flatbuffer", type=Path, required=True, help="the same network, converted for LiteRT")
    parser.add_argument("--engine", choices=engines, default=engines[0])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    return Task(args.images, args.output, args.weights, args.flatbuffer, args.engine, args.cores)


def decode(content: bytes) -> Pixels:
    """The bytes of an image file as (224, 224, 3) uint8, by Pillow's bicubic filter; with SCALED by `draft` first."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if scaled():
            image.draft(None, (SCALED_FACTOR * SIZE_PX, SCALED_FACTOR * SIZE_PX))
        return resize(image.convert("RGB"))


def scaled() -> bool:
    """Return whether this peer is to use its decoder's own scaling."""
    return bool(os.environ.get(SCALED))


def resize(image: Any) -> Pixels:
    """A PIL image as (224, 224, 3) uint8."""
    from PIL import Image

    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))


def build(task: Task, threads: int = 1) -> Network:
    """(N, 224, 224, 3) uint8 to (N, 1280) float32. A process builds it once; `threads` of it work at a time."""
    return keras_network(task.weights, threads) if task.engine == "keras" else litert_network(task.flatbuffer, threads)


def keras_network(weights: Path, threads: int) -> Network:
    """https://keras.io/api/applications/mobilenet/; batches that come one by one: https://keras.io/api/models/model_training_apis/"""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras_model(weights)

    def predict(pixels: Pixels) -> Features:
        features: Features = model.predict_on_batch(scale(pixels))
        return features

    return predict


def keras_model(weights: Path) -> Any:
    from keras.applications import MobileNetV2

    return MobileNetV2(weights=str(weights), include_top=False, pooling="avg", input_shape=(SIZE_PX, SIZE_PX, 3))


def litert_network(flatbuffer: Path, threads: int) -> Network:
    """https://ai.google.dev/edge/litert/inference#run-python"""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(flatbuffer), num_threads=threads)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def one(pixels: Pixels) -> Features:
        interpreter.set_tensor(source, scale(pixels[np.newaxis]))
        interpreter.invoke()
        features: Features = interpreter.get_tensor(target)[0]
        return features

    return lambda batch: np.stack([one(pixels) for pixels in batch])


def scale(pixels: Pixels) -> Features:
    """keras.applications.mobilenet_v2.preprocess_input: 0..255 to -1..1"""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def write(output: Path, uris: Iterable[str], features: Features) -> None:
    """One more Parquet file."""
    offsets = pa.array(np.arange(0, features.size + 1, DIM, dtype=np.int32))
    columns = [pa.array(list(uris), pa.string()), pa.ListArray.from_arrays(offsets, pa.array(features.ravel()))]
    pq.write_table(pa.table(columns, schema=SCHEMA), output / f"{uuid.uuid4().hex}.parquet")


def listing(task: Task) -> list[str]:
    """Addresses of all `*.jpg` below the images, sorted: paths, or s3:// addresses."""
    if not task.on_s3:
        return sorted(str(path) for path in Path(task.images).rglob("*.jpg"))
    bucket, _, prefix = task.images.removeprefix("s3://").partition("/")
    pages = s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/")
    return sorted(f"s3://{bucket}/{item['Key']}" for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".jpg"))


def read(uri: str, client: Any = None) -> bytes:
    """`client`: for s3:// addresses, one per process."""
    if not uri.startswith("s3://"):
        return Path(uri).read_bytes()
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def s3_client() -> Any:
    """Region, keys and endpoint from the environment."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=64, retries={"mode": "standard"})
    return boto3.session.Session(region_name=os.environ.get("AWS_REGION")).client("s3", config=config)
