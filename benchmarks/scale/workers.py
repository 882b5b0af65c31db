"""
Which worker gives the most photos per dollar: sizes of EMR Serverless and prices in, a table out; and executors of such sizes, really run.

Workers of one architecture cost the same per vCPU and per GB. Left to choose are memory per vCPU, and how whole workers fill a quota.
Whether the least memory is enough is measured: executors with exactly the heap that such a worker would have.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyspark

from benchmarks.memory import peaks
from benchmarks.runs import Bench
from benchmarks.scale.grow import job_environment, run_command
from benchmarks.scale.photos import make_photos
from cli.billing.costs import fleet_hourly_cost
from cli.billing.prices import Prices
from cli.billing.sizing import IMAGES_PER_SECOND_AND_VCPU, MEMORY_GB, QUOTA_VCPU, WORKER, Fleet, Worker, spark_conf

SIZES = (1, 2, 4, 8)
DRIVERS = (Worker(4, 16), Worker(4, 8), Worker(2, 8))
QUOTAS = (QUOTA_VCPU, 260)  # of a new account; 256 beside a driver of 4


@dataclass(frozen=True)
class Choice:
    """Executors of one size beside a driver, as many as a quota allows."""

    driver: Worker
    executor: Worker
    quota_vcpu: int
    executors: int
    heap_mb_per_task: float
    images_per_second: float
    usd_hour: float  # with the driver

    @property
    def images_per_dollar(self) -> float:
        """While photos are embedded."""
        return self.images_per_second * 3600 / self.usd_hour


@dataclass(frozen=True)
class Tried:
    """`executors` of `vcpu` tasks each on this machine, with the heap of the smallest such worker."""

    executors: int
    vcpu: int
    heap_mb: int
    images: int
    images_per_second: float  # embed stage
    worker_mb: float  # peak RSS of one Python worker
    jvm_mb: float  # peak RSS of the largest JVM, the driver's among them


def heap_mb(executor: Worker) -> int:
    return int(spark_conf(Fleet(WORKER, executor, 1))["spark.executor.memory"].removesuffix("m"))


def choices(prices: Prices) -> list[Choice]:
    """Every driver of DRIVERS with every size of executor, each with the least memory and with twice that, under both quotas."""
    executors = [Worker(vcpu, share * MEMORY_GB[vcpu][0]) for vcpu in SIZES for share in (1, 2)]
    return [choice(driver, executor, quota, prices) for quota in QUOTAS for driver in DRIVERS for executor in executors]


def choice(driver: Worker, executor: Worker, quota_vcpu: int, prices: Prices) -> Choice:
    count = (quota_vcpu - driver.vcpu) // executor.vcpu
    rate = IMAGES_PER_SECOND_AND_VCPU * executor.vcpu * count
    usd_hour = fleet_hourly_cost(Fleet(driver, executor, count), prices)
    return Choice(driver, executor, quota_vcpu, count, heap_mb(executor) / executor.vcpu, rate, usd_hour)


def try_executors(bench: Bench, photos: int, sizes: Sequence[int]) -> Iterator[Tried]:
    """
    As many executors of each of `sizes` (vCPUs) as fill this machine's cores, on the same `photos` photos.

    Raises:
        BenchmarkError: a run failed.
    """
    make_photos(bench.assets / "fruits-360-sample", bench.work / "few", 0, photos, bench.cores)
    for vcpu in (size for size in sizes if size <= bench.cores):
        executor = Worker(vcpu, MEMORY_GB[vcpu][0])
        count, heap, output = bench.cores // vcpu, heap_mb(executor), bench.work / "tried"
        environment = job_environment(bench, f"local-cluster[{count},{vcpu},{heap}]")
        environment["FRUITS_SUBMIT_ARGS"] = f"--conf spark.executor.memory={heap}m pyspark-shell"
        told, sampler = run_command(["-m", "cli", "run", str(bench.work / "few"), str(output), "--local", "--json"], environment, bench.log)
        stage, found = told["stages"]["embed"], peaks(sampler.samples, 0, float("inf"))
        rate = stage["images"] / stage["seconds"]
        yield Tried(count, vcpu, heap, stage["images"], rate, found["worker"].rss_mb, found["jvm"].rss_mb)
        shutil.rmtree(output)
        shutil.rmtree(Path(pyspark.__file__).parent / "work")  # where Spark's own small cluster keeps the logs of executors
