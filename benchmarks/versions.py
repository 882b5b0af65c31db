"""
`python -m benchmarks.versions COMMIT…`: whole commands of earlier commits and of this checkout, in turn, on the same photos and machine.

Each version runs in a separate working tree (git worktree) with the packages of this environment, twice on one OUTPUT: on new photos,
then with nothing new.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.datasets import copy_images
from benchmarks.machine import describe_machine
from benchmarks.runs import CHECKOUT, BenchmarkError, prepare, say
from benchmarks.targets import markdown

HERE = "this checkout"


def timed(root: Path, photos: Path, output: Path, environment: dict[str, str]) -> float:
    """
    Seconds of one `fruitsctl run` of the version in `root`.

    Raises:
        BenchmarkError: it failed.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", "cli", "run", str(photos), str(output), "--local", "--json"]
    done = subprocess.run(command, cwd=root, env={**environment, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        raise BenchmarkError(f"the run of `{root.name}` failed: {done.stderr.strip().splitlines()[-1:]}")
    json.loads(done.stdout[done.stdout.index("{") :])
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.versions")
    parser.add_argument("commits", nargs="+", help="earlier versions")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="weights/ and fruits-360-sample/")
    parser.add_argument("--per-folder", type=int, default=8, help="photos of each folder of the sample")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    roots = {}
    with tempfile.TemporaryDirectory(prefix="versions-") as work:
        try:
            bench = prepare(args.assets, work, None, Path("build/versions.md"))
            for commit in args.commits:
                roots[commit] = bench.work / commit
                subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(roots[commit]), commit], cwd=CHECKOUT, check=True)
                subprocess.run(
                    [sys.executable, "-m", "compileall", "-q", str(roots[commit] / "job"), str(roots[commit] / "cli")], check=True
                )
            roots[HERE] = CHECKOUT
            count = copy_images(bench.assets / "fruits-360-sample", bench.work / "photos", 1, args.per_folder)
            environment = {**os.environ, "FRUITS_ASSETS": str(bench.assets), "FRUITS_CACHE": str(bench.work / "cache")}
            timed(CHECKOUT, bench.work / "photos", bench.work / "warm-up", environment)  # converts the network
            for repeat in range(args.repeats):
                for name, root in roots.items():
                    output = bench.work / f"out-{repeat}-{name.replace(' ', '-')}"
                    for what in ("new photos", "nothing new"):
                        seconds[name, what].append(timed(root, bench.work / "photos", output, environment))
                        say(f"repeat {repeat + 1}: {name}, {what}: {seconds[name, what][-1]:.1f} s")
        except (BenchmarkError, OSError, subprocess.CalledProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            for name, root in roots.items():
                if name != HERE:
                    subprocess.run(["git", "worktree", "remove", "--force", str(root)], cwd=CHECKOUT, check=False)
    rows = []
    for (name, what), values in seconds.items():
        ratio = median(ours / theirs for ours, theirs in zip(seconds[HERE, what], values, strict=True))
        rows.append((what, name, f"{median(values):.1f}", f"{min(values):.1f} to {max(values):.1f}", f"{ratio:.2f}x"))
    print(f"{count:,} photos, {args.repeats} repeats\n")
    print(markdown(("whole command", "version", "seconds", "range", "this checkout against it"), sorted(rows)))
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe_machine().items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
