"""
`python -m benchmarks.scale`: how the job grows. Tables on stdout, JSON in `--json`, with `--docs` the guide's page, progress on stderr.

1. The real command on 4,000 to 64,000 real-sized photos. 2. The real pipeline on synthetic listings and features, to a million: two sizes
with the rows on the driver, two with the rows in Spark, whose lines lead to larger ones. 3. The real `fruitsctl forget` of one photo in a
hundred of the largest of these. 4. Requests, counted at a real S3 server. 5. What follows for 10^4 to 10^7 photos and 4 to 256 vCPUs.
6. Executors of several sizes.
Exits 1, and says which, if a claim does not hold: benchmarks/scale/claims.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.runs import Bench, BenchmarkError, prepare, say
from benchmarks.scale import claims, model, plots, tables
from benchmarks.scale.erase import SHARE, Forgotten, forget
from benchmarks.scale.files import Written
from benchmarks.scale.grow import Grown, grow, job_environment, run_command
from benchmarks.scale.requests import Requests, measure_requests
from benchmarks.scale.simulate import Pass, Simulated
from benchmarks.scale.workers import SIZES as EXECUTORS
from benchmarks.scale.workers import Choice, Tried, choices, try_executors
from benchmarks.targets import Measure, markdown, table
from cli.billing.prices import estimated_prices
from job.stages.embed import IMAGES_PER_TASK

QUICK_DRIVER_ROWS = 2_500  # so that the quick runs, too, have rows on the driver and in Spark
QUICK_NOTE = "Quick: too few photos for figures; only the claims about files are checked.\n\n"
REGION = "eu-west-3"
PAGE, END = "explanation/growth.md", "<!-- end -->"
PICTURES = {  # benchmarks/scale/plots.py, as the page sees them
    "curves": "![Seconds by stage, measured and simulated](../assets/growth-stages.svg)",
    "runs": "![Hours and dollars of a run, computed](../assets/growth-model.svg)",
}
DEFAULT_VCPU = 12  # of the default fleet's executors


@dataclass(frozen=True)
class Scope:
    """How much is measured, in photos."""

    sizes: tuple[int, ...]  # real ones
    simulated: tuple[int, ...]
    chunk: int  # of a simulated commit; two cores embed some 12,000 in SECONDS_PER_CHUNK
    per_file: int  # of features, while requests are counted
    executors: tuple[int, ...]  # vCPUs of each


FULL = Scope((4_000, 16_000, 64_000), (10_000, 100_000, 250_000, 1_000_000), 10_000, IMAGES_PER_TASK, EXECUTORS)
QUICK = Scope((200,), (2_000, 4_000), 1_000, 50, (2,))


@dataclass(frozen=True)
class Results:
    machine: dict[str, str]
    cores: int
    grown: list[Grown] = field(default_factory=list)
    simulated: list[Simulated] = field(default_factory=list)
    forgotten: Forgotten | None = None
    requests: Requests | None = None
    tried: list[Tried] = field(default_factory=list)

    def cells(self) -> list[model.Cell]:
        """Empty until the parts are there."""
        if self.requests is None or len(self.simulated) < 2:
            return []
        parts, prices = model.parts(self.simulated, self.cores, self.requests), estimated_prices(REGION, "x86_64")
        return [model.cell(parts, prices, images, vcpu) for images in model.IMAGES for vcpu in model.VCPUS]

    def again(self) -> list[model.Cell]:
        """A thousand new photos among many known ones, on the default fleet."""
        if self.requests is None or len(self.simulated) < 2:
            return []
        parts, prices = model.parts(self.simulated, self.cores, self.requests), estimated_prices(REGION, "x86_64")
        return [model.cell(parts, prices, images, DEFAULT_VCPU, new=1_000) for images in model.IMAGES]

    def choices(self) -> list[Choice]:
        return choices(estimated_prices(REGION, "x86_64"))

    def claims(self) -> list[Measure]:
        judged = (
            claims.of_growth(self.grown)
            + claims.of_simulation(self.simulated)
            + claims.of_files(self.simulated)
            + claims.of_moments(self.simulated)
            + claims.of_erasure(self.forgotten)
        )
        cells, again = self.cells(), self.again()
        return judged + (claims.of_model(cells, again[-1]) if cells else [])


def to_json(results: Results) -> dict[str, Any]:
    cells = [asdict(one) | {"seconds": one.seconds, "bottleneck": one.bottleneck} for one in (*results.cells(), *results.again())]
    chosen = [asdict(one) | {"images_per_dollar": one.images_per_dollar} for one in results.choices()]
    return asdict(results) | {"cells": cells, "choices": chosen, "claims": [claim.to_json() for claim in results.claims()]}


def sections(results: Results) -> dict[str, tuple[str, str]]:
    """Name to title and table, of what there is so far."""
    found = {
        "claims": ("Claims", table(results.claims())),
        "measured": ("Measured: the real command on real-sized photos, seconds by stage", tables.grown_table(results.grown)),
        "simulated": ("Simulated: the real pipeline on synthetic features, seconds by stage", tables.simulated_table(results.simulated)),
        "forgotten": ("Measured: `fruitsctl forget` on the largest simulated OUTPUT", tables.forgotten_table(results.forgotten)),
        "requests": ("Counted: requests to S3", tables.requests_table(results.requests) if results.requests else ""),
        "model": ("Computed: a run with only new photos", tables.model_table(results.cells())),
        "again": ("Computed: a run with 1,000 new photos", tables.model_table(results.again())),
        "tried": ("Measured: executors", tables.tried_table(results.tried)),
        "choices": ("Computed: executors", tables.choices_table(results.choices())),
        "machine": ("Machine", markdown(("machine", ""), list(results.machine.items()))),
    }
    return {name: section for name, section in found.items() if section[1].count("\n") > 1}


def to_markdown(results: Results) -> str:
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections(results).values())


def into_page(page: str, results: Results) -> str:
    """`page` with tables and pictures between their marks: `<!-- bench-scale: claims -->` and the next `<!-- end -->`."""
    for name, text in ({name: text for name, (_, text) in sections(results).items()} | PICTURES).items():
        before, mark, after = page.partition(f"<!-- bench-scale: {name} -->\n")
        if mark:
            page = f"{before}{mark}\n{text}\n\n{END}{after.partition(END)[2]}"
    return page


def simulate(bench: Bench, sizes: Iterable[int], chunk: int) -> Iterator[tuple[Simulated, Path]]:
    """Each in its own process, and its folder, which is removed before the next one. Raises BenchmarkError if one fails."""
    environment = job_environment(bench, f"local[{bench.cores}]") | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for images in sorted(sizes):
        with tempfile.TemporaryDirectory(dir=bench.work) as work:
            options = [f"--images={images}", f"--chunk={chunk}", f"--work={work}", f"--cache={bench.work / 'cache'}", "--json"]
            told, _ = run_command(["-m", "benchmarks.scale.simulate", *options], environment, bench.log)
            yield simulated_from(told), Path(work)


def simulated_from(told: dict[str, Any]) -> Simulated:
    def one(values: dict[str, Any]) -> Pass:
        return Pass(**values | {"files": {kind: Written(**found) for kind, found in values["files"].items()}})

    return Simulated(**told | {"first": one(told["first"]), "again": one(told["again"])})


def measure(bench: Bench, scope: Scope, out: Path) -> Results:
    """
    Everything; what there is so far is in `out` after each part.

    Raises:
        BenchmarkError: one of the runs failed.
    """

    def keep(results: Results) -> Results:
        out.write_text(json.dumps(to_json(results), indent=2) + "\n")
        out.with_suffix(".md").write_text(to_markdown(results) + "\n")
        return results

    results = keep(Results(describe_machine(), bench.cores))
    say(f"real photos: {', '.join(f'{size:,}' for size in scope.sizes)}; what each run says goes to {bench.log}")
    say("| " + " | ".join(tables.GROWN) + " |")
    for grown in grow(bench, scope.sizes):
        results = keep(replace(results, grown=[*results.grown, grown]))
        say("| " + " | ".join(tables.grown_row(grown)) + " |")
    say(f"synthetic photos: {', '.join(f'{size:,}' for size in scope.simulated)}")
    say("| " + " | ".join(tables.SIMULATED) + " |")
    for one, work in simulate(bench, scope.simulated, scope.chunk):
        results = keep(replace(results, simulated=[*results.simulated, one]))
        for row in tables.simulated_rows(one):
            say("| " + " | ".join(row) + " |")
        if one.images == max(scope.simulated):
            say(f"forget {one.images // SHARE:,} of them")
            results = keep(replace(results, forgotten=forget(bench, work, one.images)))
    say("requests to S3")
    results = keep(replace(results, requests=measure_requests(bench, scope.per_file)))
    say("executors of several sizes")
    for tried in try_executors(bench, min(scope.sizes), scope.executors):
        results = keep(replace(results, tried=[*results.tried, tried]))
    return results


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.scale", description="measure, simulate and compute how a run grows with its photos")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--work", type=Path, help="folder for a temporary one, 12 GB, removed at the end")
    parser.add_argument("--json", type=Path, help="figures, and beside them tables and log; default: benchmarks/results/DATE-scale.json")
    parser.add_argument("--docs", type=Path, help="folder of the guide whose page on growth gets these tables and pictures")
    parser.add_argument("--sizes", type=numbers, help=f"of real photos; default: {FULL.sizes}")
    parser.add_argument("--simulated", type=numbers, help=f"of synthetic ones, 7 KB of disk each; default: {FULL.simulated}")
    parser.add_argument("--quick", action="store_true", help="few photos: shows that it runs, judges files alone")
    args = parser.parse_args()
    name = f"{datetime.now(UTC):%Y-%m-%d}-scale{'-quick' if args.quick else ''}.json"
    out = args.json or Path(__file__).parents[1] / "results" / name
    scope = QUICK if args.quick else FULL
    scope = replace(scope, sizes=args.sizes or scope.sizes, simulated=args.simulated or scope.simulated)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=args.work, prefix="bench-") as work:
        try:
            bench = prepare(args.assets, work, None, out)
            if args.quick:
                bench = replace(bench, environment={"FRUITS_DRIVER_ROWS": str(QUICK_DRIVER_ROWS)})
            results = measure(bench, scope, out)
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    drawn = plots.draw(results.grown, results.simulated, results.cells(), args.docs / "assets" if args.docs else out.parent)
    if args.docs:
        page: Path = args.docs / PAGE
        page.write_text(into_page(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    say(f"done in {(time.monotonic() - began) / 60:.0f} minutes, figures in {out}, pictures in {', '.join(map(str, drawn))}")
    print((QUICK_NOTE if args.quick else "") + to_markdown(results))
    of_files = claims.of_files(results.simulated) + claims.of_moments(results.simulated)
    judged = of_files if args.quick else results.claims()
    failed = [claim for claim in judged if not claim.met]
    for claim in failed:
        say(f"does not hold: {claim.what}: {claim.median:.2f}, {claim.bound} {claim.target:g}")
    return 1 if failed else 0


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
