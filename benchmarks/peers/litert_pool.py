"""
Plain LiteRT in a pool of processes, nothing else: what somebody writes in an afternoon. One interpreter per process, as
https://ai.google.dev/edge/litert/inference#run-python has it, and `concurrent.futures`
(https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor). From S3 with boto3, 16 reads ahead in threads.

Knows no interruption, no second run, no photo that cannot be read: the first one ends it.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.peers.task import Features, Network, Task, build, decode, listing, parse, read, s3_client, write

READS_AHEAD = 16
PHOTOS_PER_TASK = 128

_network: Network | None = None


def start(task: Task) -> None:
    global _network
    _network = build(task)


def embed(task: Task, uris: list[str]) -> tuple[list[str], Features]:
    assert _network is not None
    if not task.on_s3:
        return uris, np.concatenate([_network(decode(read(uri))[np.newaxis]) for uri in uris])
    with ThreadPoolExecutor(READS_AHEAD) as threads:
        contents = threads.map(partial(read, client=s3_client()), uris)
        return uris, np.concatenate([_network(decode(content)[np.newaxis]) for content in contents])


def main() -> None:
    task = parse("litert_pool", engines=("litert",))
    uris = listing(task)
    shares = [uris[first : first + PHOTOS_PER_TASK] for first in range(0, len(uris), PHOTOS_PER_TASK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(task.cores, context, start, (task,)) as pool:
        for done, features in pool.map(partial(embed, task), shares):
            write(task.output, done, features)
    print(f"{len(uris)} photos", file=sys.stderr)


if __name__ == "__main__":
    main()
