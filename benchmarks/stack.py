"""
`python -m benchmarks.stack`: how long `docker compose up` takes to the first embedded photo, what the image adds to its base, how long it
takes to build after an edit in job/. Needs Docker, the image built, and nothing of the local stack running. The stack is its own project,
taken down at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.runs import CHECKOUT, BenchmarkError, say
from benchmarks.s3 import choose
from benchmarks.targets import AT_MOST, Measure, markdown, table
from cli.container.docker import inspect_image
from cli.targets.compose.process import program

EMBEDDED = re.compile(r"Embed images: [1-9]")  # the job's progress without a terminal
PROJECT = "fruitsctl-bench"


def seconds_to_first_photo(compose: Sequence[str], environment: Mapping[str, str]) -> float:
    """
    From `up` to the line that counts embedded photos, with no volume and no container there before.

    Raises:
        BenchmarkError: the stack ended before.
    """
    down(compose, environment)
    began, said = time.monotonic(), []
    command = [*compose, "up", "--no-build", "--exit-code-from", "job"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if EMBEDDED.search(line):
                seconds = time.monotonic() - began
                down(compose, environment)
                return seconds
    raise BenchmarkError("the stack ended before a photo was embedded:\n" + "".join(said[-20:]))


def down(compose: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run([*compose, "down", "--volumes"], cwd=CHECKOUT, env=environment, capture_output=True, check=True)


def seconds_to_rebuild(work: Path, environment: Mapping[str, str]) -> float:
    """`fruitsctl image build` in a copy of the checkout after a line was added to job/pipeline.py."""
    copy = work / "checkout"
    left_out = {".venv", ".tools", ".git", "out", "photos"}  # of the checkout itself: there is also cli/photos/
    shutil.copytree(
        CHECKOUT, copy, symlinks=True, ignore=lambda folder, names: left_out.intersection(names) if Path(folder) == CHECKOUT else set()
    )
    with (copy / "job" / "pipeline.py").open("a") as file:
        file.write(f"# edited at {time.time()}\n")
    command = [sys.executable, "-m", "cli", "image", "build", "--image", "fruitsctl-bench:edited"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=copy, env={**environment, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(done.stderr[-2000:])
    seconds = time.monotonic() - began
    subprocess.run(["docker", "image", "rm", "fruitsctl-bench:edited"], capture_output=True, check=False)
    return seconds


def gigabytes_over_base(image: str) -> float:
    mine = inspect_image(image)
    return float(mine["Size"] - inspect_image(mine["Config"]["Labels"]["org.opencontainers.image.base.name"])["Size"]) / 1e9


def measure(assets: Path, photos: int, repeats: int, work: Path) -> tuple[dict[str, str], list[Measure]]:
    machine = describe_machine()
    for path in choose(assets / "fruits-360-sample", photos):
        copied = work / "photos" / path.parent.name / f"{path.parents[1].name} {path.name}"
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
    for folder in (work, *work.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)  # the containers' user is another one
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, "PHOTOS": str(work / "photos")}
    ups, rebuilds = [], []
    for number in range(1, repeats + 1):
        ups.append(seconds_to_first_photo(program(), environment))
        rebuilds.append(seconds_to_rebuild(work / str(number), environment))
        say(f"repeat {number}: first photo after {ups[-1]:.1f} s, rebuilt in {rebuilds[-1]:.1f} s")
    return machine, [
        Measure(f"from `docker compose up` to the first of {photos} embedded photos", ups, AT_MOST, 40, "s", 1),
        Measure("image over its base", [gigabytes_over_base("fruitsctl:serverless")], AT_MOST, 1.8, "GB"),
        Measure("build after an edit in job/", rebuilds, AT_MOST, 10, "s", 1),
    ]


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.stack", description="the local stack and the image, timed")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    args = parser.parse_args()
    if args.assets is None:
        parser.error("give --assets, or set FRUITS_ASSETS")
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        try:
            machine, measures = measure(args.assets.resolve(), args.photos, args.repeats, Path(work))
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    found: dict[str, Any] = {"machine": machine, "targets": [measure.to_json() for measure in measures]}
    print(json.dumps(found, indent=2) if args.json else table(measures) + "\n\n" + markdown(("machine", ""), list(machine.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
