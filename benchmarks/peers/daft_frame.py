"""
Daft: paths by a glob, bytes by `download`, a class with the network by `daft.cls` on batches, `write_parquet`, as its guides have it:
https://docs.daft.ai/en/stable/modalities/images/ and https://docs.daft.ai/en/stable/custom-code/cls/. A process for each instance, as the
latter advises against waiting for Python's lock.

Photos are decoded in the class: Daft's own `resize` has another filter, and the features would be others.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported
os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import daft  # type: ignore[import-not-found] # in a separate environment
import numpy as np
from daft.io import IOConfig, S3Config  # type: ignore[import-not-found]

from benchmarks.peers.task import BATCH, DIM, Task, build, decode, parse


def embedder(task: Task) -> Any:
    """An instance of a Daft class, as many at a time as there are cores."""
    # `embedding`, the type made for it, is the same on disk; a method that returns it runs in threads of one process, whatever is asked.
    vector = daft.DataType.fixed_size_list(daft.DataType.float32(), DIM)

    class Embedder:
        def __init__(self) -> None:
            self._network = build(task)

        @daft.method.batch(return_dtype=vector, batch_size=BATCH)  # type: ignore[untyped-decorator]
        def embed(self, contents: Any) -> Any:
            return list(self._network(np.stack([decode(content) for content in contents.to_pylist()])))

    return daft.cls(Embedder, max_concurrency=task.cores, use_process=True)()


def io_config(task: Task) -> IOConfig | None:
    """S3 at another address than Amazon's must be said."""
    if not task.on_s3:
        return None
    keys = {"key_id": os.environ["AWS_ACCESS_KEY_ID"], "access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    return IOConfig(s3=S3Config(endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region_name=os.environ["AWS_REGION"], **keys))


def main() -> None:
    task = parse("daft_frame")
    config = io_config(task)
    photos = daft.from_glob_path(f"{task.images}/**/*.jpg", io_config=config)
    contents = photos.select(daft.col("path").alias("uri"), daft.col("path").download(io_config=config).alias("content"))
    embedded = contents.select("uri", embedder(task).embed(daft.col("content")).alias("embedding"))
    embedded.write_parquet(str(task.output.resolve()))
    print("done", file=sys.stderr)


if __name__ == "__main__":
    main()
