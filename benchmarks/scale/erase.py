"""
One in SHARE photos forgotten by the real command, out of an OUTPUT that `benchmarks.scale.simulate` has made in the same folder.

    python -m benchmarks.scale.erase --images 1000000 --work FOLDER

The photos are spread over all of OUTPUT, so nearly every file of features is written again. Their files are written before; those of the
other photos do not exist.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import peaks
from benchmarks.runs import Bench, BenchmarkError, prepare
from benchmarks.scale.grow import job_environment, run_command
from benchmarks.scale.simulate import MORE, PHOTO_BYTES, listing_rows

SHARE = 100


@dataclass(frozen=True)
class Forgotten:
    """One erasure, the search included."""

    images: int  # forgotten
    known: int  # photos in OUTPUT before
    seconds: float  # of the command, its start included
    driver_mb: float  # peak RSS of the erasure's Python driver
    jvm_mb: float  # peak RSS of its JVM, executors included
    files: int  # searched
    searched_mb: float

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


def forget(bench: Bench, work: Path, images: int) -> Forgotten:
    """
    Forget each SHARE-th of the `images` photos of the first run in `work`.

    Raises:
        BenchmarkError: the command failed, or did not erase all of them.
    """
    uris = listing_rows(f"file://{work / 'photos'}", range(0, images, SHARE)).column("uri").to_pylist()
    for uri in uris:
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(PHOTO_BYTES))
    listed = work / "forget.txt"
    listed.write_text("".join(f"{uri}\n" for uri in uris))
    command = ["-m", "cli", "forget", "--list", str(listed), "--output", str(work / "out"), "--yes", "--json"]
    began = time.monotonic()
    told, sampler = run_command(command, job_environment(bench, f"local[{bench.cores}]"), bench.log)
    seconds = time.monotonic() - began
    removed, searched = told["removed"], told["searched"]
    if (removed["photos"], removed["features"]) != (len(uris), len(uris)):
        raise BenchmarkError(f"of {len(uris)} photos {removed} were erased, see `{bench.log}`")
    found = peaks(sampler.samples, 0, float("inf"))
    driver, jvm = (found[kind].rss_mb for kind in ("driver", "jvm"))
    return Forgotten(len(uris), images + MORE, seconds, driver, jvm, searched["objects"], searched["bytes"] / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.scale.erase", description="forget one photo in a hundred of a simulated OUTPUT")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--images", type=int, required=True, help="as it was simulated")
    parser.add_argument("--work", type=Path, required=True, help="the folder of `python -m benchmarks.scale.simulate`")
    args = parser.parse_args()
    work = args.work.resolve()
    done = forget(prepare(args.assets, str(work), None, work / "erase.json"), work, args.images)
    print(
        f"{done.images:,} of {done.known:,} photos in {done.seconds:,.1f} s, {done.images_per_second:,.1f} photos/s, "
        f"driver {done.driver_mb:,.0f} MB, JVM {done.jvm_mb:,.0f} MB, {done.files:,} files of {done.searched_mb:,.0f} MB searched"
    )


if __name__ == "__main__":
    main()
