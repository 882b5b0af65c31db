"""
Choose number and size of workers within the account's quota, and the Spark settings for them. Pure.

Driver and executors are workers of EMR Serverless: so many vCPUs, so much memory, so much disk, in sizes that the service knows.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cli.errors import UsageError
from job.contract.records import counted, is_or_are, plural_noun

MEMORY_GB = {1: (2, 8, 1), 2: (4, 16, 1), 4: (8, 30, 1), 8: (16, 60, 4), 16: (32, 120, 8)}  # vCPUs: smallest, largest, step
DISK_GB = (20, 200)  # standard disk; up to 20 GB of it are free
QUOTA_VCPU = 16  # of a new account in a Region, quota L-D05C8A75: https://docs.aws.amazon.com/general/latest/gr/emr-serverless.html
DEFAULT_EXECUTORS = 3  # with the driver 16 vCPUs

JVM_OVERHEAD, JVM_OVERHEAD_MB = 0.1, 384  # what a JVM needs beside its heap; also the service's own default and minimum
PYTHON_WORKER_MB = 400  # limit of one Python worker, one per core; at most 256 measured (docs/reference/benchmarks.md)

# `make bench`: 139 photos/s on 2 cores in the slower repeat. `make bench-s3`: a slow S3 leaves 0.74 to 0.81 of it, 51 to 56 per core.
IMAGES_PER_SECOND_AND_VCPU = 55.0
SECONDS_PER_PHOTO = 1 / IMAGES_PER_SECOND_AND_VCPU  # of one vCPU, for a photo of few pixels

# Seconds of one vCPU to decode a megapixel. Measured on one core for photos enlarged to 12 megapixels: JPEG at a fraction of its size 16 to
# 35 ms, in full 112 to 129 ms, HEIC 380 ms; times 1.25, which a slow S3 and a vCPU add to the rate above too.
JPEG_SECONDS, FULL_SECONDS, HEIC_SECONDS = 0.0035, 0.013, 0.040
# Bytes of a megapixel as phones write them: 12 megapixels are 3 to 4 MB as JPEG, 1.5 to 2 MB as HEIC.
JPEG_BYTES, HEIC_BYTES = 290_000, 145_000
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
MOST_MEGAPIXELS = 90.0  # of a photo that the job decodes

FIXED_MINUTES = (
    5.0  # assumed for all but embedding: workers start and pull the image (2 to 3), Spark and the model start, list, fit, publish
)


@dataclass(frozen=True)
class Worker:
    """Raises ValueError if the service has no such size."""

    vcpu: int
    memory_gb: int  # with all overhead, as billed
    disk_gb: int = DISK_GB[0]

    def __post_init__(self) -> None:
        if self.vcpu not in MEMORY_GB:
            raise ValueError(f"a worker has 1, 2, 4, 8 or 16 vCPUs, not `{self.vcpu}`")
        least, most, step = MEMORY_GB[self.vcpu]
        if not least <= self.memory_gb <= most or (self.memory_gb - least) % step:
            raise ValueError(f"with {self.vcpu} vCPUs a worker has {least} to {most} GB in steps of {step}, not `{self.memory_gb}`")
        if not DISK_GB[0] <= self.disk_gb <= DISK_GB[1]:
            raise ValueError(f"a worker has {DISK_GB[0]} to {DISK_GB[1]} GB of disk, not `{self.disk_gb}`")


WORKER = Worker(4, 8)  # the least memory, docs/decisions/0015-which-worker.md


@dataclass(frozen=True)
class Fleet:
    """The workers of a run."""

    driver: Worker
    executor: Worker
    max_executors: int

    @property
    def vcpu(self) -> int:
        return self.driver.vcpu + self.max_executors * self.executor.vcpu


def fleet(
    executors: int | None,
    images: int | None,
    deadline_minutes: float | None,
    quota_vcpu: int = QUOTA_VCPU,
    executor_memory_gb: int = WORKER.memory_gb,
    photo_seconds: float = SECONDS_PER_PHOTO,
) -> Fleet:
    """
    Return the fleet for `executors`, or for `images` within `deadline_minutes`, or DEFAULT_EXECUTORS within the quota.

    `executor_memory_gb` is all memory of an executor, overhead included; a size that the service does not offer is rounded up.
    `photo_seconds`: what one vCPU takes for a photo.

    Raises:
        UsageError: the options contradict each other, cannot be met, or exceed the quota; it names the quota and the most that fits.
    """
    if executors is not None and deadline_minutes is not None:
        raise UsageError(f"both `--executors {executors}` and `--deadline {deadline_minutes:g}` given", "remove one of them")
    if deadline_minutes is not None and images is None:
        raise UsageError(f"unknown number of photos for `--deadline {deadline_minutes:g}`", "add --images")
    least, largest, _ = MEMORY_GB[WORKER.vcpu]
    if executor_memory_gb > largest:
        raise UsageError(f"`{executor_memory_gb}` GB is too much for an executor of {WORKER.vcpu} vCPUs", f"choose {least} to {largest} GB")
    most = (quota_vcpu - WORKER.vcpu) // WORKER.vcpu
    if most < 1:
        raise UsageError(
            f"the quota of `{quota_vcpu}` vCPUs is too small: a driver and one executor need {2 * WORKER.vcpu}",
            "request an increase of the EMR Serverless quota L-D05C8A75, Max concurrent vCPUs per account",
        )
    if executors is not None and executors < 1:
        raise UsageError(f"`{executors}` {plural_noun(executors, 'executors')} requested", "choose at least 1")
    if executors is None and deadline_minutes is not None and images is not None:
        executors = executors_within(images, deadline_minutes, photo_seconds)
        if executors > most:
            needed = math.ceil(minutes_for(images, most, photo_seconds))
            raise UsageError(
                f"{counted(images, 'photos')} within `{deadline_minutes:g}` {plural_noun(deadline_minutes, 'minutes')}: "
                f"{_quota_error(executors, quota_vcpu)}",
                f"use --deadline {needed}, which fits with {counted(most, 'executors')}, or request a higher quota (L-D05C8A75)",
            )
    if executors is not None and executors > most:
        raise UsageError(_quota_error(executors, quota_vcpu), f"use --executors {most}, or request a higher quota (L-D05C8A75)")
    executor = Worker(WORKER.vcpu, _legal_gb(WORKER.vcpu, executor_memory_gb))
    return Fleet(WORKER, executor, executors or min(DEFAULT_EXECUTORS, most))


def _quota_error(executors: int, quota_vcpu: int) -> str:
    needed = (executors + 1) * WORKER.vcpu
    return f"`{executors}` {plural_noun(executors, 'executors')} and the driver need {needed} vCPUs, the quota is {quota_vcpu}"


def executors_within(images: int, deadline_minutes: float, photo_seconds: float = SECONDS_PER_PHOTO) -> int:
    """
    Return the number of executors that embed `images` within `deadline_minutes`.

    Raises:
        UsageError: no number of executors is enough.
    """
    left = (deadline_minutes - FIXED_MINUTES) * 60
    if left <= 0:
        raise UsageError(
            f"`{deadline_minutes:g}` {plural_noun(deadline_minutes, 'minutes')} {is_or_are(deadline_minutes)} too short: "
            f"starting, listing and publishing take about {FIXED_MINUTES:g}",
            f"use --deadline {FIXED_MINUTES * 2:g} or more",
        )
    return max(1, math.ceil(images * photo_seconds / (WORKER.vcpu * left)))


def minutes_for(images: int, executors: int, photo_seconds: float = SECONDS_PER_PHOTO) -> float:
    """Estimate the minutes of a whole run."""
    return FIXED_MINUTES + images * photo_seconds / (WORKER.vcpu * executors) / 60


def seconds_per_photo(files: Mapping[str, int], full_decode: bool = False) -> float:
    """
    Estimate the seconds of one vCPU for a photo: those of the network and those of decoding, by the megapixels that `files` hint at.

    `files`: names and sizes in bytes of some photos. `full_decode`: JPEG is not decoded at a fraction of its size.
    """
    if not files:
        return SECONDS_PER_PHOTO
    return SECONDS_PER_PHOTO + sum(_decoding_seconds(name, size, full_decode) for name, size in files.items()) / len(files)


def _decoding_seconds(name: str, size: int, full_decode: bool) -> float:
    heic = name.lower().endswith(HEIC_SUFFIXES)
    megapixels = min(MOST_MEGAPIXELS, size / (HEIC_BYTES if heic else JPEG_BYTES))
    return megapixels * (HEIC_SECONDS if heic else FULL_SECONDS if full_decode else JPEG_SECONDS)


def spark_conf(wanted: Fleet) -> dict[str, str]:
    """
    Return Spark settings whose heap and overhead fill each worker exactly: `rounded` of them is the fleet's own worker.

    The overhead is a factor, the service's own setting for driver and executors alike: `spark.executor.memoryOverhead` would be added to
    it. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html
    """
    factor = overhead_factor(wanted.executor)
    executors = str(wanted.max_executors)
    return {
        "spark.driver.cores": str(wanted.driver.vcpu),
        "spark.driver.memory": f"{_heap_mb(wanted.driver, factor)}m",
        "spark.executor.cores": str(wanted.executor.vcpu),
        "spark.executor.memory": f"{_heap_mb(wanted.executor, factor)}m",
        "spark.emr-serverless.memoryOverheadFactor": f"{factor:.4f}",
        "spark.emr-serverless.driver.disk": f"{wanted.driver.disk_gb}G",
        "spark.emr-serverless.executor.disk": f"{wanted.executor.disk_gb}G",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.initialExecutors": executors,  # all at once: embedding is most of a run, and idle ones go after a minute
        "spark.dynamicAllocation.maxExecutors": executors,  # infinity unless set: the run would then fail at the quota
        # Otherwise it is the number of cores at the job's first question, and there would be as few tasks.
        "spark.default.parallelism": str(wanted.max_executors * wanted.executor.vcpu),
    }


def task_conf(wanted: Fleet) -> dict[str, str]:
    """Return the default number of Spark's tasks: its 200 cost more than the work, as in job/spark/session.py."""
    return {
        # One per core: Spark merges tasks of small data, and a million embeddings of 5 KB are 400 MB for each of 12.
        "spark.sql.shuffle.partitions": str(wanted.max_executors * wanted.executor.vcpu),
    }


def overhead_factor(executor: Worker) -> float:
    """Return the overhead as a share of the heap: the JVM's own tenth and one Python worker per core, 4 decimals, rounded down."""
    memory_mb = executor.memory_gb * 1024
    python_mb = executor.vcpu * PYTHON_WORKER_MB
    heap_mb = min((memory_mb - python_mb) / (1 + JVM_OVERHEAD), memory_mb - python_mb - JVM_OVERHEAD_MB)
    return math.floor((memory_mb / heap_mb - 1) * 10_000) / 10_000


def rounded(conf: Mapping[str, str], role: str) -> Worker:
    """
    Return the worker that the service makes of `spark_conf`, and bills; `role` is `driver` or `executor`.

    Raises:
        ValueError: no worker is that large.
    """
    vcpu = next((size for size in MEMORY_GB if size >= int(conf[f"spark.{role}.cores"])), 0)
    heap_mb = int(conf[f"spark.{role}.memory"].removesuffix("m"))
    overhead_mb = max(heap_mb * float(conf["spark.emr-serverless.memoryOverheadFactor"]), JVM_OVERHEAD_MB)
    disk_gb = int(conf[f"spark.emr-serverless.{role}.disk"].removesuffix("G"))
    return Worker(vcpu, _legal_gb(vcpu, math.ceil((heap_mb + overhead_mb) / 1024)), disk_gb)


def _legal_gb(vcpu: int, memory_gb: int) -> int:
    least, _, step = MEMORY_GB.get(vcpu, (0, 0, 1))
    return least + max(0, math.ceil((memory_gb - least) / step)) * step


def _heap_mb(worker: Worker, factor: float) -> int:
    memory_mb = worker.memory_gb * 1024
    return min(math.floor(memory_mb / (1 + factor)), memory_mb - JVM_OVERHEAD_MB)
