"""
`python -m benchmarks.soak`: run after run on a pile that grows by a few photos every few seconds, for half an hour: does anything grow that
should not, and is every photo exactly once where it belongs?

In the local stack of docker-compose.yml, which it starts as a separate project and takes down at the end, or with `--local` without
Docker. After each run it counts files and bytes below OUTPUT and the peak memory of each part; at the end it reads `features` and the last
matrix. A table and the verdicts on stdout, JSON in `--out`, and with `--page FILE` the figures between that page's marks. Exit code 1 if a
verdict is no.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.pages import fill
from benchmarks.runs import BenchmarkError, say
from benchmarks.soak_places import LocalPlace, Place, StackPlace
from benchmarks.soak_report import Round, by_folder, judge, rounds_table
from benchmarks.targets import markdown, table
from job.stages.tables.compaction import FILES_TO_MERGE


class Trickle:
    """Puts `batch` more photos into INPUT every `every` seconds while inside; each under a separate name."""

    def __init__(self, place: Place, photos: list[Path], batch: int, every: float) -> None:
        self.names: list[str] = []
        self._place, self._photos, self._batch, self._every = place, photos, batch, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trickle", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Trickle:
        self.put()  # a first run has something to find
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def put(self) -> None:
        for _ in range(self._batch):
            number = len(self.names)
            path = self._photos[number % len(self._photos)]
            name = f"{path.parent.name}/{number:06}.jpg"
            self._place.put(name, path.read_bytes())
            self.names.append(name)

    def stop(self) -> None:
        """
        Raises:
            BenchmarkError: INPUT took a photo no more.
        """
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise BenchmarkError(f"the trickle dried up: {self._error}") from self._error

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every):
                self.put()
        except (OSError, BenchmarkError) as error:
            self._error = error


def one_round(place: Place, number: int, began: float) -> Round:
    """One run, and what there is after it."""
    started = time.monotonic()
    manifest, memory = place.run()
    seconds, counts = time.monotonic() - started, manifest["counts"]
    files = by_folder(place.objects())
    found = Round(
        number=number,
        at_seconds=started - began,
        seconds=seconds,
        listed=counts["listed"],
        embedded=counts["embedded"],
        rows=counts["rows"],
        live_files=place.live_files("features"),
        files={name: len(sizes) for name, sizes in files.items()},
        megabytes={name: round(sum(sizes) / 1e6, 3) for name, sizes in files.items()},
        memory_mb=memory,
    )
    shown = ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items())
    say(f"run {number}: {seconds:.1f} s, {found.embedded} new, {found.rows} rows, {found.live_files} files of features, {shown}")
    return found


def soak(place: Place, photos: list[Path], args: argparse.Namespace) -> tuple[list[Round], dict[str, int]]:
    """
    The rounds, and of the photos that went in: how many are missing or double in `features` and in the last matrix.

    Raises:
        BenchmarkError: a run failed.
    """
    began = time.monotonic()
    rounds: list[Round] = []
    with Trickle(place, photos, args.batch, args.every) as trickle:
        while time.monotonic() - began < 60 * args.minutes if args.runs is None else len(rounds) < args.runs - 1:
            rounds.append(one_round(place, len(rounds) + 1, began))
            keep(args.out, rounds, {})
        trickle.stop()
    rounds.append(one_round(place, len(rounds) + 1, began))  # nothing comes in any more: it must find all
    wanted = {place.uri(name) for name in trickle.names}
    wrong = {}
    for what, uris in (("features", place.feature_uris()), ("the last matrix", place.matrix_uris())):
        wrong[f"photos missing in {what}"] = len(wanted - set(uris))
        wrong[f"extra rows in {what}"] = len(uris) - len(wanted & set(uris))
    keep(args.out, rounds, wrong)
    return rounds, wrong


def keep(out: Path, rounds: list[Round], wrong: dict[str, int]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"rounds": [asdict(one) for one in rounds], "wrong": wrong}
    out.write_text(json.dumps(content, indent=2) + "\n")


@contextmanager
def place_of(args: argparse.Namespace, work: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        log = args.out.with_suffix(".log").resolve()
        if args.local:
            yield LocalPlace(work, args.assets, args.merge, args.model, log)
        else:
            yield stack.enter_context(StackPlace(args.model, log))


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.soak", description="run after run on a pile that grows")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--local", action="store_true", help="without Docker, on local disk")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--runs", type=int, help="instead of minutes: so many runs, the last one after the trickle has ended")
    parser.add_argument("--batch", type=int, default=3, help="photos that come together")
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two batches")
    parser.add_argument("--merge", type=int, default=FILES_TO_MERGE, help="with --local: files of a table before they are merged")
    parser.add_argument("--model", default="mobilenet_v2", help="mean_colour needs no weights and starts sooner")
    parser.add_argument("--work", type=Path, help="folder for a temporary one, removed at the end")
    parser.add_argument("--out", type=Path, help="JSON, and beside it the log; default: benchmarks/results/DATE-soak.json")
    parser.add_argument("--page", type=Path, help="page whose figures are replaced, such as docs/explanation/soak.md")
    args = parser.parse_args()
    if args.assets is None:
        parser.error("give --assets, or set FRUITS_ASSETS")
    args.assets = args.assets.resolve()
    args.out = args.out or Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}-soak.json"
    machine, photos = describe_machine(), sorted((args.assets / "fruits-360-sample" / "Test").glob("*/*.jpg"))
    with tempfile.TemporaryDirectory(dir=args.work, prefix="soak-") as work:
        try:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            with place_of(args, Path(work)) as place:
                rounds, wrong = soak(place, photos, args)
        except BenchmarkError as error:
            say(f"error: {error}")
            return 1
    measures = judge(rounds, wrong, args.merge if args.local else FILES_TO_MERGE)
    figures = "\n\n".join([table(measures), rounds_table(rounds), markdown(("machine", ""), list(machine.items()))])
    print(figures)
    if args.page:
        args.page.write_text(fill(args.page.read_text(encoding="utf-8"), "soak", figures), encoding="utf-8")
    return 0 if all(measure.met for measure in measures) else 1


if __name__ == "__main__":
    sys.exit(main())
