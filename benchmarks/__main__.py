"""
`python -m benchmarks`: measures everything that has a target, in one run. Tables on stdout, JSON in `--out`, progress on stderr.

The notebook, ours and the bare loop alternate, repeat by repeat; a ratio is that of two runs of one repeat. Nothing is left out: a missed
target is printed as missed. Memory is sampled in a separate run, because sampling costs time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.datasets import copy_images
from benchmarks.machine import describe_machine
from benchmarks.report import Repeat, Results, to_json, to_markdown
from benchmarks.runs import Bench, BenchmarkError, Run, prepare, say

QUICK_WARNING = "Quick: far too few images for these targets; the figures only show that everything runs.\n"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    images_per_folder: int | None
    copies: int
    pca_rows: tuple[int, int]
    repeats: int
    lazy_notebook: bool  # also the variant that featurises five times


FULL = Size(images_per_folder=None, copies=4, pca_rows=(20_000, 100_000), repeats=3, lazy_notebook=True)
QUICK = Size(images_per_folder=1, copies=4, pca_rows=(2_000, 10_000), repeats=1, lazy_notebook=False)


def measure_repeat(bench: Bench, small: Path, large: Path, number: int) -> Repeat:
    def told(what: str, run: Run, stage: str) -> Run:
        say(f"repeat {number}: {what}: {stage} {run.stages[stage].seconds:.1f} s, {run.stages[stage].images_per_second:.1f} images/s")
        return run

    say(f"repeat {number} begins")
    small_out, large_out = bench.work / f"out-small-{number}", bench.work / f"out-large-{number}"
    small_notebook = told("notebook, small", bench.notebook(small, "B1"), "featurise")
    small_ours = told("ours, small", bench.ours(small, small_out), "embed")
    large_notebook = told("notebook, large", bench.notebook(large, "B1"), "featurise")
    large_ours = told("ours, large", bench.ours(large, large_out), "embed")
    limit = bench.limit(large)
    say(f"repeat {number}: bare loop, large: {limit:.1f} images/s")
    large_again = told("ours, large, again", bench.ours(large, large_out), "new")
    return Repeat(small_notebook, small_ours, large_notebook, large_ours, large_again, limit)


def measure(bench: Bench, size: Size, out: Path) -> Results:
    """
    Everything, the short parts first; what there is so far is in `out` after each part.

    Raises:
        BenchmarkError: one of the runs failed.
    """

    def keep(results: Results) -> Results:
        out.write_text(json.dumps(to_json(results), indent=2) + "\n")
        out.with_suffix(".md").write_text(to_markdown(results) + "\n")
        return results

    machine = describe_machine()
    sample = bench.assets / "fruits-360-sample"
    say(f"copying images from {sample}")
    small, large = bench.work / "small", bench.work / "large"
    images = (copy_images(sample, small, 1, size.images_per_folder), copy_images(sample, large, size.copies, size.images_per_folder))
    say(f"small: {images[0]:,} images, large: {images[1]:,}; bare loop to warm up")
    bench.limit(small)  # converts the network, fills the page cache

    say("ours, large, memory sampled")
    memory = bench.ours(large, bench.work / "out-memory", memory=True)
    results = keep(Results(machine, bench.cores, images, memory))
    for rows in size.pca_rows:
        say(f"PCA of {rows:,} rows, Spark's and ours")
        results = keep(replace(results, pca=[*results.pca, bench.pca(rows, size.repeats)]))
    for number in range(1, size.repeats + 1):
        results = keep(replace(results, repeats=[*results.repeats, measure_repeat(bench, small, large, number)]))
    if not size.lazy_notebook:
        return results
    say("notebook B0, small, memory sampled")
    return keep(replace(results, lazy=bench.notebook(small, "B0", memory=True)))


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks", description="the notebook, ours and the limit, side by side")
    assets = os.environ.get("FRUITS_ASSETS")
    parser.add_argument("--assets", type=Path, default=assets, help="folder with weights/ and fruits-360-sample/; default: FRUITS_ASSETS")
    parser.add_argument("--work", type=Path, help="folder for a temporary one with images and outputs, 2 GB, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it the tables and the log; default: benchmarks/results/DATE.json")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, help=f"default: {FULL.repeats}")
    parser.add_argument("--quick", action="store_true", help="few images, one repeat: shows that it runs, judges nothing")
    args = parser.parse_args()
    size = QUICK if args.quick else FULL
    size = replace(size, repeats=args.repeats or size.repeats)
    out = args.out or Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}{'-quick' if args.quick else ''}.json"

    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work:
        try:
            results = measure(prepare(args.assets, work, args.cores, out), size, out)
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    say(f"done in {(time.monotonic() - began) / 60:.0f} minutes, figures in {out}")
    print((QUICK_WARNING + "\n" if args.quick else "") + to_markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
