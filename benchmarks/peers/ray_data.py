"""
Ray Data: `read_images`, a class with the network in a pool of actors by `map_batches`, `write_parquet`, as
https://docs.ray.io/en/latest/data/batch_inference.html and https://docs.ray.io/en/latest/data/working-with-images.html have it.

Photos are resized in the actor: `read_images(size=...)` does so by another filter, and the features would be others. Actors ask for half
a core each, because reading is a task of Ray's too and wants a whole one: with all cores promised to actors, nothing would be read.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported, in the actors
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pyarrow.fs
import ray  # type: ignore[import-not-found] # in a separate environment
from PIL import Image

from benchmarks.peers.task import BATCH, DIM, Task, build, parse, resize


class Embedder:
    """One per actor."""

    def __init__(self, task: Task) -> None:
        self._network = build(task)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pixels = np.stack([resize(Image.fromarray(image)) for image in batch["image"]])
        return {"uri": batch["path"], "embedding": self._network(pixels).reshape(-1, DIM)}


def filesystem(task: Task) -> pyarrow.fs.FileSystem | None:
    """S3 at another address than Amazon's must be said; https://arrow.apache.org/docs/python/filesystems.html#s3"""
    if not task.on_s3:
        return None
    return pyarrow.fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL_S3"], region=os.environ["AWS_REGION"])


def main() -> None:
    task = parse("ray_data")
    # The actors find this package where this process runs.
    ray.init(
        num_cpus=task.cores, include_dashboard=False, logging_level=logging.WARNING, runtime_env={"env_vars": {"PYTHONPATH": os.getcwd()}}
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    photos = ray.data.read_images(task.images, filesystem=filesystem(task), mode="RGB", include_paths=True, file_extensions=["jpg"])
    actors = ray.data.ActorPoolStrategy(size=task.cores)
    embedded = photos.map_batches(Embedder, fn_constructor_args=(task,), compute=actors, num_cpus=0.5, batch_size=BATCH)
    embedded.write_parquet(str(task.output.resolve()))
    ray.shutdown()
    print("done", file=sys.stderr)


if __name__ == "__main__":
    main()
