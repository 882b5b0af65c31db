"""
Photos as phones take them: JPEG and HEIC of 12 megapixels, embedded by the code of the job's tasks, one process per core, no Spark.

JPEG is decoded at a fraction of its size, as a run does, and in full, as `--full-decode` does; the two alternate, repeat by repeat.
Starting the processes and warming up are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from benchmarks import limit
from benchmarks.machine import describe_machine
from benchmarks.runs import BenchmarkError, prepare, say
from benchmarks.targets import AT_LEAST, Measure, markdown, ratios, table
from job.imaging.bounded_decode import decode_bounded
from job.imaging.networks import LiteRtNetwork, litert_flatbuffer
from job.inputs.fetch import ListedImage, stat_etag
from job.stages.embed import embed_batches
from job.storage.tombstones import NOTHING_ERASED

PIXELS = (4000, 3000)
QUALITY = {"JPEG": 90, "HEIF": 70}
SUFFIX = {"JPEG": ".jpg", "HEIF": ".heic"}
WARM_UP_PHOTOS = 2
TARGET = 3.0  # photos/s against full decoding


class Way(NamedTuple):
    """What one row of the table is about."""

    format: str
    full: bool

    @property
    def name(self) -> str:
        if self.format == "HEIF":
            return "HEIC"
        return f"JPEG, decoded {'in full' if self.full else 'at a fraction of its size'}"


SCALED, FULL, HEIC = Way("JPEG", False), Way("JPEG", True), Way("HEIF", False)


def enlarge_photos(source: Path, target: Path, count: int, kind: str, pixels: tuple[int, int] = PIXELS) -> list[Path]:
    """
    Write `count` photos of `pixels`, enlarged from the JPEGs below `source`, as `target/<set>/<label>/<n>`; photos repeat if need be.

    Set and label are folders like those of the sample, so that a photo's short name is the same for every peer.

    Raises:
        BenchmarkError: there are no JPEGs.
    """
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    paths = sorted(source.rglob("*.jpg"))
    if not paths:
        raise BenchmarkError(f"there are no JPEGs below `{source}`")
    made: list[Path] = []
    contents: dict[Path, bytes] = {}
    for number in range(count):
        path = paths[number % len(paths)]
        place = target / "phone" / path.stem.partition("_")[0] / f"{number}{SUFFIX[kind]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in contents:
            place.write_bytes(contents[path])
        else:
            with Image.open(path) as image:
                large = ImageOps.fit(image.convert("RGB"), pixels, Image.Resampling.BICUBIC)
            large.save(place, kind, quality=QUALITY[kind])
            contents[path] = place.read_bytes()
        made.append(place)
    return made


def work(flatbuffer: bytes, paths: Sequence[Path], full: bool, barrier: Barrier, ended: Any) -> None:
    """One process: warm up, wait for the others, embed all, tell when it was done."""
    network, decode = LiteRtNetwork(flatbuffer), partial(decode_bounded, full=full)
    keys = [ListedImage(f"file://{path}", stat_etag(path.stat()), path.stat().st_size, path.parent.name) for path in paths]

    def refuse(reject: object) -> None:
        raise BenchmarkError(f"a photo was rejected: {reject}")

    def embed(some: Sequence[ListedImage]) -> None:
        for _ in embed_batches(iter(some), network, refuse, NOTHING_ERASED, decode):
            pass

    embed(keys[:WARM_UP_PHOTOS])
    barrier.wait(limit.START_SECONDS)
    embed(keys)
    ended.put(None)


def seconds_of(flatbuffer: bytes, paths: Sequence[Path], way: Way, cores: int) -> float:
    """Return the seconds that `cores` processes take for `paths`."""
    return limit.at_once(work, [(flatbuffer, mine, way.full) for mine in limit.share(paths, cores)])


def report(seconds: dict[Way, list[float]], photos: dict[Way, int], cores: int) -> str:
    """Return the rates by way, and the target of scaled decoding."""
    rows = [
        (way.name, f"{photos[way]:,}", f"{photos[way] / median(took):.1f}", f"{photos[way] / median(took) / cores:.1f}")
        for way, took in seconds.items()
    ]
    target = Measure(f"photos/s, {SCALED.name}, against full decoding", ratios(seconds[FULL], seconds[SCALED]), AT_LEAST, TARGET)
    return markdown(("12-megapixel photos", "photos", "photos/s", "photos/s per core"), rows) + "\n\n" + table([target])


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.phone", description="photos as phones take them: JPEG and HEIC of 12 megapixels")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="folder with weights/ and photos/")
    parser.add_argument("--work", type=Path, help="folder for a temporary one with the photos, 1 GB, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it the log; default: benchmarks/results/DATE-phone.json")
    parser.add_argument("--photos", type=int, default=176, help="JPEGs; a quarter as many HEIC")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few photos, one repeat: shows that it runs, judges nothing")
    args = parser.parse_args()
    photos, repeats = (4 * args.cores, 1) if args.quick else (args.photos, args.repeats)
    out = args.out or Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}-phone{'-quick' if args.quick else ''}.json"
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work_folder:
        try:
            bench = prepare(args.assets, work_folder, args.cores, out)
            flatbuffer = litert_flatbuffer(bench.weights, bench.work / "cache")
            say(f"enlarging {photos} photos to {PIXELS[0]} x {PIXELS[1]} pixels, a quarter of them as HEIC too")
            jpegs = enlarge_photos(bench.assets / "photos", bench.work / "jpeg", photos, "JPEG")
            heics = enlarge_photos(bench.assets / "photos", bench.work / "heic", max(bench.cores, photos // 4), "HEIF")
            paths = {SCALED: jpegs, FULL: jpegs, HEIC: heics}
            seconds: dict[Way, list[float]] = {way: [] for way in paths}
            for number in range(1, repeats + 1):
                for way, files in paths.items():
                    seconds[way].append(took := seconds_of(flatbuffer, files, way, bench.cores))
                    say(f"repeat {number}: {way.name}: {took:.1f} s, {len(files) / took:.1f} photos/s")
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    counts = {way: len(files) for way, files in paths.items()}
    figures = {way.name: {"photos": counts[way], "seconds": took} for way, took in seconds.items()}
    out.write_text(json.dumps({"machine": describe_machine(), "cores": args.cores, "figures": figures}, indent=2) + "\n")
    print(report(seconds, counts, args.cores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
