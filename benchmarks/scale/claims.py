"""Compare the claims about growth, each with its tolerance, with what was measured. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.scale.erase import Forgotten
from benchmarks.scale.grow import Grown
from benchmarks.scale.model import Cell, deadline_seconds, matrix_parts
from benchmarks.scale.simulate import MORE, Simulated
from benchmarks.targets import AT_LEAST, AT_MOST, Measure
from job.stages.embed import IMAGES_PER_TASK
from job.stages.moments import max_files

LINEAR = 1.15  # seconds per photo, at most, relative to the size before
LEAST_SECONDS = 3.0  # of a stage at the larger size: below, a figure is noise
FLAT = 1.25  # memory at the largest size, at most, relative to 10^5 photos
FLAT_FROM = 100_000
CSV_BYTES = 256_000_000
RUN_FILES = 60  # in runs/<run_id>/, without the matrix
MINUTES = 60.0  # "minutes, not hours"
ERASURE_MINUTES = 15.0
ESTIMATE = 0.90  # time that `--deadline` assumes, against the model


def linear(what: str, runs: Sequence[tuple[int, Mapping[str, float]]]) -> list[Measure]:
    """Of (images, seconds by stage), smallest first: the two largest sizes against each other."""
    if len(runs) < 2:
        return []
    (few, before), (many, after) = runs[-2:]
    judged = [name for name in after if after[name] >= LEAST_SECONDS and name not in ("start", "model")]
    title = f"{many:,} photos against {few:,}, seconds per photo"
    return [Measure(f"{what}, {name}: {title}", [after[name] / max(before[name], 0.001) * few / many], AT_MOST, LINEAR) for name in judged]


def of_growth(grown: Sequence[Grown]) -> list[Measure]:
    claims = linear("measured", [(one.images, one.stages) for one in grown])
    if len(grown) > 1:
        first, last = grown[0], grown[-1]
        what = f"measured, memory of the driver's Python, {last.images:,} photos against {first.images:,}"
        claims.append(Measure(what, [last.driver_mb / first.driver_mb], AT_MOST, FLAT))
    return claims


def of_simulation(simulated: Sequence[Simulated]) -> list[Measure]:
    claims = linear("simulated", [(one.images, one.first.stages) for one in simulated])
    flat = [one for one in simulated if one.images >= FLAT_FROM]
    if len(flat) > 1:
        what = f"simulated, memory of the driver, {flat[-1].images:,} photos against {flat[0].images:,}"
        claims.append(Measure(what, [flat[-1].memory_mb / flat[0].memory_mb], AT_MOST, FLAT))
    return claims


def of_files(simulated: Sequence[Simulated]) -> list[Measure]:
    """Return the claims about the files of the first run on the most photos."""
    claims: list[Measure] = []
    for one in simulated[-1:]:
        files, chunks = one.first.files, -(-one.images // one.chunk_images)
        parts = matrix_parts(one.images)
        photos = files["features"].files * IMAGES_PER_TASK / one.images
        claims += [
            Measure(f"files of features for each {IMAGES_PER_TASK} photos, {one.images:,} photos", [photos], AT_MOST, 1.25),
            Measure(f"files in csv/, {parts} planned", [files["csv"].files], AT_MOST, parts, "", 0),
            Measure("largest file in csv/", [files["csv"].largest / 1e6], AT_MOST, CSV_BYTES / 1e6, "MB", 0),
            Measure("files of moments for each chunk", [files["moments"].files / chunks], AT_MOST, 1.0),
            Measure("other files", [files["others"].files], AT_MOST, RUN_FILES, "", 0),
        ]
    return claims


def of_moments(simulated: Sequence[Simulated]) -> list[Measure]:
    """Return the claim about what the second run on the most photos leaves for the next one to read, however many commits there were."""
    return [
        Measure(
            f"files of moments after {one.images:,} photos in {-(-one.images // one.chunk_images):,} commits, and more",
            [one.again.files["moments"].files - 1],  # without the list of sums
            AT_MOST,
            max_files(one.images + MORE),
            "",
            0,
        )
        for one in simulated[-1:]
    ]


def of_erasure(forgotten: Forgotten | None) -> list[Measure]:
    """Return the claim about the time of an erasure, none without one."""
    if forgotten is None:
        return []
    what = f"`fruitsctl forget` of {forgotten.images:,} photos out of {forgotten.known:,}"
    return [Measure(what, [forgotten.seconds / 60], AT_MOST, ERASURE_MINUTES, "minutes", 1)]


def of_model(cells: Iterable[Cell], again: Cell) -> list[Measure]:
    """`again` is the run that finds a thousand new photos among the most known ones."""
    what = f"computed, {again.new:,} new among {again.images:,} known, {again.vcpu} vCPUs"
    claims = [Measure(what, [again.seconds / 60], AT_MOST, MINUTES, "minutes", 1)]
    worst = min(cells, key=lambda one: deadline_seconds(one.images, one.vcpu) / one.seconds)
    what = f"time that `--deadline` assumes against the model, worst case: {worst.images:,} photos, {worst.vcpu} vCPUs"
    claims.append(Measure(what, [deadline_seconds(worst.images, worst.vcpu) / worst.seconds], AT_LEAST, ESTIMATE))
    return claims
