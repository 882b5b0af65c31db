"""Turn the measurements of `make bench` into measures with targets, and into tables. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.runs import Run
from benchmarks.targets import AT_LEAST, AT_MOST, Measure, markdown, ratios, table

PCA_TARGETS = (4.0, 6.0)  # for the smaller and the larger number of rows


@dataclass(frozen=True)
class Repeat:
    """Runs that followed each other; `small` is the sample, `large` the sample under several names."""

    small_notebook: Run
    small_ours: Run
    large_notebook: Run
    large_ours: Run
    large_again: Run  # on the same OUTPUT
    limit: float  # images/s of the bare loop on `large`


@dataclass(frozen=True)
class Results:
    machine: dict[str, str]
    cores: int
    images: tuple[int, int]  # small, large
    memory: Run  # ours on `large`, memory sampled
    pca: list[dict[str, Any]] = field(default_factory=list)  # benchmarks.pca.Fits, one per number of rows
    repeats: list[Repeat] = field(default_factory=list)
    lazy: Run | None = None  # the notebook's variant B0 on `small`, memory sampled


def judge(results: Results) -> list[Measure]:
    """Return one row per target that has been measured so far."""
    small, large = (f"{count:,} photos" for count in results.images)
    worker = results.memory.memory["worker"]["rss_mb"]
    measures = [
        Measure(
            f"PCA fit, {fit['rows']:,} rows, against `pyspark.ml.feature.PCA`",
            ratios(fit["spark"], fit["ours"]),
            AT_LEAST,
            target,
            digits=1,
        )
        for fit, target in zip(results.pca, PCA_TARGETS, strict=False)
    ]
    measures.append(Measure("peak memory (RSS) of one Python worker process while embedding", [worker], AT_MOST, 400, "MB", 0))
    if not results.repeats:
        return measures

    def rates(run: str, stage: str) -> list[float]:
        return [getattr(repeat, run).stages[stage].images_per_second for repeat in results.repeats]

    def seconds(run: str, *stages: str) -> list[float]:
        return [sum(getattr(repeat, run).stages[stage].seconds for stage in stages) for repeat in results.repeats]

    against_small = ratios(rates("small_ours", "embed"), rates("small_notebook", "featurise"))
    against_large = ratios(rates("large_ours", "embed"), rates("large_notebook", "featurise"))
    against_limit = ratios(rates("large_ours", "embed"), [repeat.limit for repeat in results.repeats])
    embedded_again = [float(repeat.large_again.counts["embedded"]) for repeat in results.repeats]
    looking = [100 * share for share in ratios(seconds("large_again", "list", "new"), seconds("large_ours", "embed"))]
    growth = ratios(seconds("large_ours", "embed"), seconds("small_ours", "embed"))
    return [
        Measure(f"embed stage, {small}, against the notebook's featurise stage", against_small, AT_LEAST, 5.0, digits=1),
        Measure(f"embed stage, {large}, against the notebook's featurise stage", against_large, AT_LEAST, 6.3, digits=1),
        Measure(f"embed stage, {large}, against the bare loop", against_limit, AT_LEAST, 0.93),
        Measure("second run, nothing new: photos embedded", embedded_again, AT_MOST, 0, "", 0),
        Measure("second run: time to list and find new photos, as a share of the first embed stage", looking, AT_MOST, 10, "%", 1),
        Measure(f"embed stage: seconds for {large}, against {results.images[0]:,}", growth, AT_MOST, 4.3),
        *measures,
    ]


def to_json(results: Results) -> dict[str, Any]:
    return {"targets": [measure.to_json() for measure in judge(results)], **asdict(results)}


def to_markdown(results: Results) -> str:
    machine = markdown(("machine", ""), [*results.machine.items(), ("cores used", str(results.cores))])
    return "\n\n".join([table(judge(results)), machine, stage_table(results), memory_table(results)])


def stage_table(results: Results) -> str:
    """Return the stages of every kind of run of the first repeat; an empty text before there is one."""
    if not results.repeats:
        return ""
    first = results.repeats[0]
    runs = {
        "notebook B0, small": results.lazy,
        "notebook B1, small": first.small_notebook,
        "fruitsctl, small": first.small_ours,
        "notebook B1, large": first.large_notebook,
        "fruitsctl, large": first.large_ours,
        "fruitsctl, large, again": first.large_again,
    }
    rows = [
        (
            name,
            stage,
            f"{figures.seconds:.1f}",
            *((f"{figures.images:,}", f"{figures.images_per_second:.1f}") if figures.images else ("", "")),
        )
        for name, run in runs.items()
        if run
        for stage, figures in run.stages.items()
    ]
    rows.append(("bare loop, large", "", "", f"{results.images[1]:,}", f"{first.limit:.1f}"))
    return markdown(("first repeat", "stage", "seconds", "photos", "photos/s"), rows)


def memory_table(results: Results) -> str:
    runs = {"fruitsctl, large, while embedding": results.memory, "notebook B0, small": results.lazy}
    rows = [
        (name, kind, f"{peak['processes']}", f"{peak['rss_mb']:.0f}", f"{peak['uss_mb']:.0f}")
        for name, run in runs.items()
        if run
        for kind, peak in sorted(run.memory.items())
    ]
    return markdown(("run", "kind of process", "processes", "largest RSS, MB", "largest USS, MB"), rows)
