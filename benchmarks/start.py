"""
`python -m benchmarks.start`: the timeline of whole commands, so that each second has an address. A first run, then one with nothing new.

Moments are those at which the command's progress lines arrive; what is before the first stage and after the last is the command itself,
with the imports of two Python processes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.datasets import copy_images
from benchmarks.machine import describe_machine
from benchmarks.runs import BenchmarkError, Run, prepare, say
from benchmarks.targets import markdown
from job.contract.records import STAGES

BEFORE, AFTER = "command starts, imports", "session ends, summary"
BAR_PER_SECOND = 4


def timeline(run: Run) -> list[tuple[str, float, float]]:
    """
    (what, begin, seconds) from the start of the command to its end, in order.

    Raises:
        BenchmarkError: a stage has no progress line.
    """
    ended = {title: at for title in STAGES.values() for at, line in run.lines if line.startswith(f"{title}:")}
    spans = []
    for name, stage in run.stages.items():
        if STAGES[name] not in ended:
            raise BenchmarkError(f"no progress line of stage `{STAGES[name]}`")
        spans.append((STAGES[name], ended[STAGES[name]] - stage.seconds, stage.seconds))
    last = max(begin + seconds for _, begin, seconds in spans)
    return [(BEFORE, 0.0, spans[0][1]), *spans, (AFTER, last, run.seconds - last)]


def to_table(runs: Sequence[Run]) -> str:
    """Markdown: the median of each span's begin and seconds, and a bar."""
    rows = []
    for spans in zip(*map(timeline, runs), strict=True):
        begin, seconds = median(span[1] for span in spans), median(span[2] for span in spans)
        bar = "." * round(begin * BAR_PER_SECOND) + "#" * max(1, round(seconds * BAR_PER_SECOND))
        rows.append((spans[0][0], f"{begin:.2f}", f"{seconds:.2f}", f"`{bar}`"))
    rows.append(("whole command", "0.00", f"{median(run.seconds for run in runs):.2f}", ""))
    return markdown(("what", "begins (s)", "seconds", f"{BAR_PER_SECOND} characters per second"), rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.start")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="weights/ and fruits-360-sample/")
    parser.add_argument("--cores", type=int)
    parser.add_argument("--copies", type=int, default=1, help="of each photo")
    parser.add_argument("--per-folder", type=int, help="photos of each folder; all without it")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/start.md"))
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="start-") as work:
            bench = prepare(args.assets, work, args.cores, args.out)
            photos = bench.work / "photos"
            count = copy_images(bench.assets / "fruits-360-sample", photos, args.copies, args.per_folder)
            bench.ours(photos, bench.work / "warm-up")  # converts the network
            first, again = [], []
            for repeat in range(args.repeats):
                output = bench.work / f"out-{repeat}"
                first.append(bench.ours(photos, output))
                again.append(bench.ours(photos, output))
                say(f"repeat {repeat + 1} of {args.repeats}: {first[-1].seconds:.1f} s, again {again[-1].seconds:.1f} s")
    except (BenchmarkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    parts = [f"## First run, {count:,} photos", to_table(first), "## Nothing new", to_table(again), machine]
    args.out.write_text("\n\n".join(parts) + "\n")
    print(args.out.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
