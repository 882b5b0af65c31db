"""Turn the rounds of a soak into measures with targets, and into tables. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.targets import AT_MOST, Measure, markdown

FLAT = 1.15  # the last third against the first
FLAT_MB = 40  # allowed in any case: a JVM of a few hundred MB varies by as much
KEPT_RUNS = 5  # the default of --keep-runs
ROUNDS_TO_WARM = 2  # they load what later rounds find loaded
ROUNDS_FOR_MEMORY = 9  # fewer show no trend


@dataclass(frozen=True)
class Round:
    """One run. `files` and `megabytes` per folder below OUTPUT; `memory_mb`: the peak of each part during the run."""

    number: int
    at_seconds: float
    seconds: float
    listed: int
    embedded: int
    rows: int
    live_files: int  # of features, in the newest snapshot
    files: dict[str, int] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)


def by_folder(objects: Mapping[str, int]) -> dict[str, list[int]]:
    """Bytes of each file by the first folder of its name; the logs of both tables are `log`, and `published` has one per complete run."""
    found: dict[str, list[int]] = {}
    for name, size in objects.items():
        folder = "log" if "/_delta_log/" in name else name.partition("/")[0] if "/" in name else "top"
        found.setdefault(folder, []).append(size)
    found["published"] = [0 for name in objects if name.startswith("runs/") and name.endswith("/manifest.json")]
    return found


def judge(rounds: Sequence[Round], wrong: Mapping[str, int], files_to_merge: int) -> list[Measure]:
    """Return all measures. Memory is included when there are enough rounds."""
    live, published = (max(counts) for counts in zip(*((one.live_files, one.files.get("published", 0)) for one in rounds), strict=True))
    measures = [
        *(Measure(what, [count], AT_MOST, 0, "", 0) for what, count in wrong.items()),
        Measure("photos without a row in the last run", [rounds[-1].listed - rounds[-1].rows], AT_MOST, 0, "", 0),
        Measure("files of features after a run", [live], AT_MOST, files_to_merge, "", 0),
        Measure("published runs kept", [published], AT_MOST, KEPT_RUNS, "", 0),
    ]
    settled = rounds[ROUNDS_TO_WARM:]
    if len(settled) < ROUNDS_FOR_MEMORY:
        return measures
    for part in settled[-1].memory_mb:
        first, last = thirds([one.memory_mb.get(part, 0.0) for one in settled])
        allowed = max(FLAT, (first + FLAT_MB) / first) if first else FLAT
        what = f"memory of {part}: last third of the runs ({last:.0f} MB) against the first third ({first:.0f} MB)"
        measures.append(Measure(what, [last / first if first else 1.0], AT_MOST, round(allowed, 2)))
    return measures


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and of the last third."""
    third = max(1, len(values) // 3)
    return median(values[:third]), median(values[-third:])


def rounds_table(rounds: Sequence[Round], most: int = 24) -> str:
    """Return a table of all runs, or of `most` evenly spaced ones with the first and the last."""
    if len(rounds) > most:
        rounds = [rounds[number * (len(rounds) - 1) // (most - 1)] for number in range(most)]
    parts = list(rounds[-1].memory_mb)
    header = [
        "run",
        "minute",
        "seconds",
        "new photos",
        "rows",
        "files of features",
        "with replaced files",
        "files of logs",
        "files of moments",
        "files of runs",
        "total, MB",
    ]
    return markdown([*header, *(f"{part}, MB" for part in parts)], [line(one, parts) for one in rounds])


def line(one: Round, parts: Sequence[str]) -> list[str]:
    files = [one.files.get(name, 0) for name in ("features", "log", "moments", "runs")]
    return [
        f"{one.number}",
        f"{one.at_seconds / 60:.1f}",
        f"{one.seconds:.1f}",
        f"{one.embedded}",
        f"{one.rows:,}",
        f"{one.live_files}",
        *(f"{count:,}" for count in files),
        f"{sum(one.megabytes.values()):.1f}",
        *(f"{one.memory_mb.get(part, 0):.0f}" for part in parts),
    ]
