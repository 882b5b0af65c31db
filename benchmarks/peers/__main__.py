"""
`python -m benchmarks.peers`: what a user would pick instead of this project, on the same photos in one run.

Seconds are those of the whole process, its start included, until Parquet with uri and embedding lies on this machine's disk. Ours also
compares with what it has, commits to Delta, fits a PCA, and writes a matrix and a report; both moments are in the table. Peers and ours
alternate, repeat by repeat. Ours and LiteRT peers find the network converted; Keras peers read its HDF5 file. Every peer's features are
compared with Keras's own. Tables on stdout, JSON in `--out`, progress on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.datasets import copy_images
from benchmarks.machine import describe_machine
from benchmarks.pages import fill
from benchmarks.peers import environments, task
from benchmarks.peers.check import SCALED_COSINE, reference
from benchmarks.peers.race import PEERS, Race, Source
from benchmarks.peers.report import faster, table
from benchmarks.phone import enlarge_photos
from benchmarks.runs import CHECKOUT, Bench, BenchmarkError, prepare, say
from benchmarks.s3 import BUCKET, DELAY_SECONDS, copy_photos
from benchmarks.targets import markdown
from job.imaging.networks import litert_flatbuffer
from tests.s3.proxy import Faults, Proxy
from tests.s3.server import versitygw

DISK, SLOW_S3 = "disk", f"S3, {1000 * DELAY_SECONDS:.0f} ms a GET"


PHONE = {"": "12 megapixels, peers decode in full", "1": "12 megapixels, peers decode scaled"}


def phone_sources(bench: Bench, photos: int) -> list[Source]:
    """The photos of phones twice: peers decode them in full, and at a fraction of their size. Ours is the same command in both."""
    local = bench.work / "phone-photos"
    enlarge_photos(bench.assets / "photos", local, photos, "JPEG")
    found = []
    for scaled, name in PHONE.items():
        environment = bench.environment | {task.SCALED: scaled}
        found.append(Source(name, str(local), photos, replace(bench, environment=environment), SCALED_COSINE))
    return found


@contextmanager
def sources(bench: Bench, photos: int, copies: int, wanted: str | None) -> Iterator[list[Source]]:
    """The photos on disk, and the same on an S3 server behind a proxy that delays every GET."""
    sample, local = bench.assets / "fruits-360-sample", bench.work / "photos"
    with ExitStack() as stack:
        found = []
        (bench.work / "s3").mkdir()
        server = stack.enter_context(versitygw(bench.work / "s3"))
        copy_photos(sample, local / "1", server, photos)
        for number in range(2, copies + 1):
            copy_images(local / "1", local / str(number) / "again", 1)
        if wanted != "s3":
            found.append(Source(DISK, str(local), photos * copies, bench))
        if wanted != "disk":
            proxy = stack.enter_context(Proxy(server.endpoint, Faults(delay_seconds=DELAY_SECONDS)))
            slow = replace(bench, environment=server.environment() | {"AWS_ENDPOINT_URL_S3": proxy.url})
            found.append(Source(SLOW_S3, f"s3://{BUCKET}/photos", photos, slow))
        yield found


def measure(bench: Bench, args: argparse.Namespace, out: Path, machine: dict[str, str]) -> Race:
    """
    Everything; what there is so far is in `out` after each run.

    Raises:
        BenchmarkError: ours, the notebook or an installation failed. A peer that fails is a row that says so.
    """
    names = [name for name in args.peers.split(",") if name]
    peers = [peer for peer in PEERS if not names or peer.module in names]
    for peer in peers:
        environments.python_of(peer.environment)
    flatbuffer = bench.work / "mobilenet_v2.tflite"
    flatbuffer.write_bytes(litert_flatbuffer(bench.weights, bench.work / "cache"))
    with ExitStack() as stack:
        found = (
            phone_sources(bench, args.phone) if args.phone else stack.enter_context(sources(bench, args.photos, args.copies, args.source))
        )
        say("reference values: Keras on every photo")
        photos = Path(found[0].images) if args.phone else bench.assets / "fruits-360-sample"
        race = Race(reference(photos, task.keras_network(bench.weights, bench.cores)), flatbuffer, out, machine)
        for number in range(1, args.repeats + 1):
            say(f"repeat {number} of {args.repeats} begins")
            for source in found:
                race.ours(source)
                for peer in peers:
                    race.peer(peer, source)
                if not names or "notebook" in names:
                    race.notebook(source)
    return race


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.peers", description="what a user would pick instead, side by side with ours")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--work", type=Path, help="folder for a temporary one with photos and outputs, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it table and log; default: benchmarks/results/DATE-peers.json")
    parser.add_argument("--page", type=Path, help="page whose figures are replaced, such as docs/reference/benchmarks.md")
    parser.add_argument("--photos", type=int, default=3930, help="of the sample; default: all 3,930")
    parser.add_argument("--copies", type=int, default=1, help="of each on disk, under other names; 4 are 15,720 photos")
    parser.add_argument("--phone", type=int, metavar="PHOTOS", help="instead: so many photos of 12 megapixels, peers in full and scaled")
    parser.add_argument("--peers", default="", help=f"some of: notebook,{','.join(dict.fromkeys(peer.module for peer in PEERS))}")
    parser.add_argument("--source", choices=("disk", "s3"), help="only this one; default: both")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clean", action="store_true", help="remove the peers' environments and nothing else")
    args = parser.parse_args()
    if args.clean:
        environments.clean()
        return 0
    out = args.out or CHECKOUT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-peers.json"
    began, machine = time.monotonic(), describe_machine()
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work:
        try:
            bench = prepare(args.assets, work, args.cores, out)
            results = list(measure(bench, args, out, machine).results.values())
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    say(f"done in {(time.monotonic() - began) / 60:.0f} minutes, figures in {out}")
    figures = table(results) + "\n\n" + markdown(("machine", ""), list(machine.items()))
    print(figures)
    if args.page:
        args.page.write_text(fill(args.page.read_text(encoding="utf-8"), "peers", figures), encoding="utf-8")
    for sentence in faster(results):
        say(sentence)
    bad = [timed for timed in results if timed.failed or (timed.check and not timed.check.passed(timed.photos))]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
