"""
The limit: read, decode and embed in a bare loop, one process per core, no Spark. In: a folder of JPEGs. Out: images/s on stdout.

The same decoder, the same converted network and the same single thread per process as the job: what is left between the two is the cost of
fetching, Arrow, Parquet, Spark and Delta. Starting the processes and warming up are not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

from job.imaging.decode import decode_image
from job.imaging.networks import LiteRtNetwork, litert_flatbuffer

WARM_UP_IMAGES = 20
START_SECONDS = 120.0


@dataclass(frozen=True)
class Limit:
    """`seconds` from the moment all processes are warm to the end of the slowest."""

    images: int
    cores: int
    seconds: float


def share(paths: Sequence[Path], cores: int) -> list[list[Path]]:
    """`paths` dealt out one by one, so that every process gets images of every label."""
    return [list(paths[first::cores]) for first in range(cores)]


def embed_all(flatbuffer: bytes, paths: Sequence[Path], barrier: Barrier, ended: Any) -> None:
    """One process: warm up, wait for the others, embed each image, tell when it was done."""
    network = LiteRtNetwork(flatbuffer)

    def embed(path: Path) -> None:
        network(decode_image(path.read_bytes(), network.size_px).pixels)

    for path in paths[:WARM_UP_IMAGES]:
        embed(path)
    barrier.wait(START_SECONDS)
    for path in paths:
        embed(path)
    ended.put(None)


def run(images: Path, weights: Path, cache: Path, cores: int) -> Limit:
    """
    Time the bare loop over all `*.jpg` below `images`.

    Raises:
        ValueError: there are fewer images than processes.
    """
    paths = sorted(images.rglob("*.jpg"))
    if len(paths) < cores:
        raise ValueError(f"{cores} processes need more than the {len(paths)} images below `{images}`")
    flatbuffer = litert_flatbuffer(weights, cache)
    return Limit(len(paths), cores, at_once(embed_all, [(flatbuffer, mine) for mine in share(paths, cores)]))


def at_once(work: Callable[..., None], parts: Sequence[tuple[Any, ...]]) -> float:
    """
    Seconds that a process for each of `parts` takes, from when all are warm until the last is done. Each calls
    `work(*part, barrier, ended)`, which waits at the barrier when it is warm, and puts something into the queue `ended` when it is done.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share the parent's threads' locks
    barrier, ended = context.Barrier(len(parts) + 1), context.Queue()
    processes = [context.Process(target=work, args=(*part, barrier, ended), daemon=True) for part in parts]
    for process in processes:
        process.start()
    barrier.wait(START_SECONDS)
    began = time.perf_counter()
    for _ in processes:
        ended.get()
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.limit", description="decode and network in a bare loop, one process per core")
    parser.add_argument("--images", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument("--weights", type=Path, required=True, help="Keras weights of MobileNetV2 without its top, HDF5")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the converted network")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    args = parser.parse_args()

    limit = run(args.images, args.weights, args.cache, args.cores)
    rate = limit.images / limit.seconds
    if args.json:
        print(json.dumps({"images": limit.images, "cores": limit.cores, "seconds": limit.seconds, "images_per_second": rate}))
    else:
        print(f"{limit.images:,} images in {limit.seconds:.1f} s on {limit.cores} cores: {rate:.0f} images/s")


if __name__ == "__main__":
    main()
