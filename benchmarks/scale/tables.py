"""Format the results of `make bench-scale` as Markdown. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scale.erase import Forgotten
from benchmarks.scale.grow import Grown
from benchmarks.scale.model import Cell
from benchmarks.scale.requests import Requests
from benchmarks.scale.simulate import MORE, Simulated
from benchmarks.scale.workers import Choice, Tried
from benchmarks.targets import markdown

SHOWN = ("list", "new", "embed", "fit", "project", "publish", "report")


def grown_row(one: Grown) -> list[str]:
    files = sum(kind.files for kind in one.files.values())
    size = sum(kind.bytes for kind in one.files.values()) / 1e6
    memory = (f"{value:,.0f}" for value in (one.driver_mb, one.jvm_mb, one.worker_mb))
    return [f"{one.images:,}", *_seconds(one.stages), f"{one.images_per_second:.0f}", *memory, f"{files:,}", f"{size:,.0f}"]


GROWN = ["photos", *SHOWN, "photos/s", "driver MB", "JVM MB", "worker MB", "files", "MB"]


def grown_table(grown: Sequence[Grown]) -> str:
    return markdown(GROWN, [grown_row(one) for one in grown])


def simulated_rows(one: Simulated) -> list[list[str]]:
    size = sum(kind.bytes for kind in one.first.files.values()) / 1e6
    files = sum(kind.files for kind in one.first.files.values())
    memory = [f"{one.driver_mb:,.0f}", f"{max(one.first.live_mb.values()):,.0f}", f"{one.jvm_mb:,.0f}"]
    return [
        [f"{one.images:,}, all new", *_seconds(one.first.stages), *memory, f"{files:,}", f"{size:,.0f}"],
        [f"{MORE:,} more", *_seconds(one.again.stages), "", "", "", "", ""],
    ]


SIMULATED = ["photos", *SHOWN, "driver MB", "live in JVM MB", "JVM MB", "files", "MB"]


def simulated_table(simulated: Sequence[Simulated]) -> str:
    return markdown(SIMULATED, [row for one in simulated for row in simulated_rows(one)])


def forgotten_table(forgotten: Forgotten | None) -> str:
    """Return the table of one erasure, empty without one."""
    if forgotten is None:
        return ""
    counts = [f"{forgotten.images:,}", f"{forgotten.known:,}"]
    speed = [f"{forgotten.seconds:,.0f}", f"{forgotten.images_per_second:,.1f}"]
    rest = [f"{value:,.0f}" for value in (forgotten.driver_mb, forgotten.jvm_mb, forgotten.files, forgotten.searched_mb)]
    header = ["forgotten", "of", "seconds", "photos/s", "driver MB", "JVM MB", "files searched", "MB searched"]
    return markdown(header, [[*counts, *speed, *rest]])


def model_table(cells: Sequence[Cell]) -> str:
    header = [
        "photos",
        "new",
        "vCPUs",
        "minutes",
        "cost of workers",
        "requests",
        "cost of requests",
        "driver MB",
        "objects",
        "GB",
        "longest stage",
        "basis",
    ]
    rows = [
        [
            f"{one.images:,}",
            f"{one.new:,}",
            f"{one.vcpu} + 4",
            f"{one.seconds / 60:,.1f}",
            f"${one.usd:,.2f}",
            f"{one.reads + one.writes:,}",
            f"${one.usd_requests:,.2f}",
            f"{one.driver_mb:,.0f}",
            f"{one.objects:,}",
            f"{one.gigabytes:,.1f}",
            one.bottleneck,
            "beyond the simulated sizes" if one.computed else "within the simulated sizes",
        ]
        for one in cells
    ]
    return markdown(header, rows)


def choices_table(choices: Sequence[Choice]) -> str:
    """Return the table of executors, best first for each quota."""
    header = ["quota", "driver", "executor", "executors", "heap per task MB", "photos/s", "cost per hour", "photos per $"]
    rows = [
        [
            f"{one.quota_vcpu} vCPUs",
            f"{one.driver.vcpu} vCPUs, {one.driver.memory_gb} GB",
            f"{one.executor.vcpu} vCPUs, {one.executor.memory_gb} GB",
            f"{one.executors}",
            f"{one.heap_mb_per_task:,.0f}",
            f"{one.images_per_second:,.0f}",
            f"${one.usd_hour:.2f}",
            f"{one.images_per_dollar:,.0f}",
        ]
        for one in sorted(choices, key=lambda one: (one.quota_vcpu, -one.images_per_dollar))
    ]
    return markdown(header, rows)


def tried_table(tried: Sequence[Tried]) -> str:
    header = ["executors", "tasks per executor", "heap per executor MB", "photos", "photos/s", "worker MB", "largest JVM MB"]
    values = [(one.executors, one.vcpu, one.heap_mb, one.images, one.images_per_second, one.worker_mb, one.jvm_mb) for one in tried]
    return markdown(header, [[f"{value:,.0f}" for value in row] for row in values])


def requests_table(found: Requests) -> str:
    rows = [
        ["a run with one chunk, except the following", f"{found.reads:,.0f}", f"{found.writes:,.0f}"],
        ["each further chunk", f"{found.reads_per_chunk:.0f}", f"{found.writes_per_chunk:.0f}"],
        ["each photo", "1", "0"],
        ["each 1,000 listed photos", "0", "1"],
        ["each file of features, in the run that writes it", f"{found.reads_per_file:.1f}", f"{found.writes_per_file:.1f}"],
        ["each file of features, in a later run", f"{found.reads_per_known_file:.1f}", "0"],
    ]
    return markdown(["requests to S3", "GET, HEAD", "PUT, LIST"], rows)


def _seconds(stages: dict[str, float]) -> list[str]:
    return [f"{stages[name]:.1f}" for name in SHOWN]
