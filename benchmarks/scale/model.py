"""
What follows for 10^4 to 10^7 photos and 4 to 256 vCPUs from what was measured: parts in, one Cell per case out. Pure.

Straight lines through the two largest simulated sizes: what Spark shares out is divided by the vCPUs, what the driver does alone is not.
Both sizes are above the driver's limit of rows. Below it the job works on the driver, which is faster: figures there are upper bounds. A
vCPU is taken for one core of the machine that measured; embedding and prices are those of cli/billing/sizing.py and cli/billing/prices.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale.requests import Requests
from benchmarks.scale.simulate import Pass, Simulated
from cli.billing import costs
from cli.billing.prices import Prices
from cli.billing.sizing import IMAGES_PER_SECOND_AND_VCPU, WORKER, Fleet, minutes_for
from job.product.matrix import BYTES_PER_NUMBER
from job.stages.chunks import SECONDS_PER_CHUNK
from job.stages.embed import tasks_for
from job.stages.moments import max_files
from job.stages.publish import CSV_PART_BYTES

IMAGES = (10_000, 100_000, 1_000_000, 10_000_000)
VCPUS = (4, 16, 64, 256)  # of all executors together; the driver's come on top
COMPONENTS = 50
START_SECONDS = 180.0  # assumed, as in cli/billing/sizing.py: workers start and pull the image
KEYS_PER_SECOND_AND_VCPU = (
    200_000 / 23.0 / 2
)  # docs/reference/benchmarks.md, `make bench-s3`: 200,000 keys in 23.0 s on two cores, the S3 server on the same ones
SHARED = ("list", "new", "fit", "project", "publish")  # by all executors; the report is the driver's


@dataclass(frozen=True)
class Line:
    """Seconds: some whatever the number of photos, some for each."""

    constant: float
    per_image: float

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> Line:
        """Two points (images, seconds); never falling, never below zero at no photos."""
        slope = max(0.0, (large[1] - small[1]) / (large[0] - small[0]))
        return cls(max(0.0, small[1] - slope * small[0]), slope)

    def at(self, images: int, share: float = 1.0) -> float:
        """`share` of the machine's own seconds per image."""
        return self.constant + self.per_image * images * share


@dataclass(frozen=True)
class Parts:
    """What a model is made of."""

    cores: int  # that measured
    first: dict[str, Line]  # by stage: all photos are new
    again: dict[str, Line]  # by stage: a thousand are
    chunk_seconds: float  # the driver reads one file of kept moments
    memory_mb: float  # of the driver, at the largest simulated size
    simulated: int  # that size: above it a figure is computed
    bytes_per_image: float  # of features and the matrix
    bytes_per_moments: float  # of one file
    logs_per_chunk: float  # files
    other_files: int
    requests: Requests


@dataclass(frozen=True)
class Cell:
    """One run."""

    images: int
    new: int
    vcpu: int
    stages: dict[str, float]  # seconds
    usd: float  # workers
    usd_requests: float
    reads: int
    writes: int
    driver_mb: float
    objects: int  # that are in OUTPUT after it
    gigabytes: float  # likewise
    computed: bool  # beyond the largest size that was simulated

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())

    @property
    def bottleneck(self) -> str:
        """The stage that takes longest, starting left out: it is the same for all."""
        return max((name for name in self.stages if name != "start"), key=self.stages.__getitem__)


def parts(simulated: Sequence[Simulated], cores: int, requests: Requests) -> Parts:
    """
    Raises:
        ValueError: there are fewer than two sizes.
    """
    if len(simulated) < 2:
        raise ValueError("a line needs two sizes")
    small, large = sorted(simulated, key=lambda one: one.images)[-2:]

    def lines(a: Pass, b: Pass) -> dict[str, Line]:
        names = (*SHARED, "report")
        return {name: Line.through((small.images, a.stages[name]), (large.images, b.stages[name])) for name in names}

    files = large.first.files
    data = files["features"].bytes + files["csv"].bytes + files["pca"].bytes
    return Parts(
        cores=cores,
        first=lines(small.first, large.first),
        again=lines(small.again, large.again),
        chunk_seconds=large.chunk_seconds,
        memory_mb=large.memory_mb,
        simulated=large.images,
        bytes_per_image=data / large.images,
        bytes_per_moments=files["moments"].bytes / files["moments"].files,
        logs_per_chunk=files["log"].files / -(-large.images // large.chunk_images),
        other_files=files["others"].files,
        requests=requests,
    )


def chunks_of(images: int, vcpu: int) -> int:
    """As job/stages/chunks.py cuts them once it knows the rate."""
    return max(1, math.ceil(images / (IMAGES_PER_SECOND_AND_VCPU * vcpu * SECONDS_PER_CHUNK)))


def matrix_parts(images: int) -> int:
    """As job/stages/publish.py shares out the matrix: so many files in csv/, and as many in pca/."""
    return max(1, -(-images * (150 + COMPONENTS * BYTES_PER_NUMBER) // CSV_PART_BYTES))


def features_files(images: int, vcpu: int) -> int:
    chunks = chunks_of(images, vcpu)
    return chunks * tasks_for(-(-images // chunks), vcpu)


def cell(parts: Parts, prices: Prices, images: int, vcpu: int, new: int | None = None) -> Cell:
    """A run that lists `images`, of which `new` (None: all) are to embed; the others were embedded by a run on the same fleet."""
    first = new is None
    embedded = images if new is None else new
    lines = parts.first if first else parts.again
    share = parts.cores / vcpu
    chunks, known = chunks_of(images, vcpu), 0 if first else features_files(images, vcpu)
    stages = {"start": START_SECONDS}
    stages |= {name: lines[name].at(images, share) for name in SHARED}
    stages["list"] += images / (KEYS_PER_SECOND_AND_VCPU * vcpu)
    stages["embed"] = embedded / (IMAGES_PER_SECOND_AND_VCPU * vcpu)
    sums = min(chunks, max_files(images))
    stages["fit"] += sums * parts.chunk_seconds
    stages["report"] = lines["report"].at(images)
    fleet = Fleet(WORKER, WORKER, vcpu // WORKER.vcpu)
    own_chunks = chunks_of(embedded, vcpu)
    reads, writes = parts.requests.count(embedded, -(-images // costs.LIST_PAGE), own_chunks, features_files(embedded, vcpu), known)
    return Cell(
        images=images,
        new=embedded,
        vcpu=vcpu,
        stages=stages,
        usd=costs.fleet_hourly_cost(fleet, prices) * sum(stages.values()) / 3600,
        usd_requests=reads * costs.S3_READ + writes * costs.S3_WRITE,
        reads=reads,
        writes=writes,
        driver_mb=parts.memory_mb,
        objects=round(features_files(images, vcpu) + chunks * parts.logs_per_chunk + sums + 2 * matrix_parts(images) + parts.other_files),
        gigabytes=(images * parts.bytes_per_image + sums * parts.bytes_per_moments) / 1e9,
        computed=images > parts.simulated,
    )


def deadline_seconds(images: int, vcpu: int) -> float:
    """What `--deadline` counts on for the same run."""
    return minutes_for(images, vcpu // WORKER.vcpu) * 60
