"""A job run's Spark settings in; its workers as the service rounds them, and what it bills for them, out. Pure."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from typing import Any

from tests.aws.standin.wire import ServiceError

# vCPU: smallest, largest and step of memory in GB, https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-
# behavior.html#worker-configs
SIZES = {1: (2, 8, 1), 2: (4, 16, 1), 4: (8, 30, 1), 8: (16, 60, 4), 16: (32, 120, 8)}
FREE_DISK_GB = 20
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html#spark-defaults
DEFAULTS = {
    "cores": "4",
    "memory": "14G",
    "disk": "20G",
}
OVERHEAD_FACTOR, OVERHEAD_FACTOR_DEFAULT = "spark.emr-serverless.memoryOverheadFactor", "0.1"  # of driver and executors alike
OVERHEAD_LEAST_GB = 384 / 1024
EXECUTORS = 3  # spark.executor.instances and spark.dynamicAllocation.initialExecutors


@dataclass(frozen=True)
class Worker:
    vcpu: int
    memory_gb: int
    disk_gb: int


@dataclass(frozen=True)
class Workers:
    driver: Worker
    executor: Worker
    executors: int | None  # the most there may be at a time; None: no limit

    def vcpu(self, executors: int) -> int:
        return self.driver.vcpu + executors * self.executor.vcpu

    def memory_gb(self, executors: int) -> int:
        return self.driver.memory_gb + executors * self.executor.memory_gb

    def disk_gb(self, executors: int) -> int:
        return self.driver.disk_gb + executors * self.executor.disk_gb

    def utilization(self, seconds: float, billed: bool) -> dict[str, float]:
        """Of all workers for the whole time, the shape of ResourceUtilization; `billed` with a minute at least and 20 GB of disk free."""
        hours = (max(seconds, 60.0) if billed else seconds) / 3600
        workers = [self.driver, *[self.executor] * (EXECUTORS if self.executors is None else self.executors)]
        free = FREE_DISK_GB if billed else 0
        return {
            "vCPUHour": round(sum(worker.vcpu for worker in workers) * hours, 6),
            "memoryGBHour": round(sum(worker.memory_gb for worker in workers) * hours, 6),
            "storageGBHour": round(sum(max(0, worker.disk_gb - free) for worker in workers) * hours, 6),
        }


def spark_settings(application: dict[str, Any], request: dict[str, Any]) -> dict[str, str]:
    """The application's spark-defaults, over them the run's own, over them --conf and the short options of sparkSubmitParameters."""
    found: dict[str, str] = {}
    overrides = request.get("configurationOverrides", {}).get("applicationConfiguration", [])
    for configuration in [*application.get("runtimeConfiguration", []), *overrides]:
        if configuration["classification"] == "spark-defaults":
            found |= configuration.get("properties", {})
    words = iter(shlex.split(request.get("jobDriver", {}).get("sparkSubmit", {}).get("sparkSubmitParameters", "")))
    short = {"--driver-cores": "spark.driver.cores", "--driver-memory": "spark.driver.memory", "--executor-cores": "spark.executor.cores"}
    short |= {"--executor-memory": "spark.executor.memory", "--num-executors": "spark.executor.instances"}
    for word in words:
        option, equals, value = word.partition("=")
        if option == "--conf":
            name, _, setting = (value if equals else next(words, "")).partition("=")
            found[name] = setting
        elif option in short:
            found[short[option]] = value if equals else next(words, "")
    return found


def workers(settings: dict[str, str]) -> Workers:
    """
    Raises:
        ServiceError: no worker is that large, or the settings contradict each other.
    """
    dynamic = settings.get("spark.dynamicAllocation.enabled", "true") == "true"
    if not dynamic:
        most: int | None = int(settings.get("spark.executor.instances", EXECUTORS))
    else:
        wanted = settings.get("spark.dynamicAllocation.maxExecutors", "infinity")
        most = None if wanted == "infinity" else int(wanted)
        first = int(settings.get("spark.dynamicAllocation.initialExecutors", settings.get("spark.executor.instances", EXECUTORS)))
        if most is not None and first > most:  # seen: https://github.com/aws-samples/aws-emr-utilities/pull/160
            raise ServiceError("ValidationException", f"maxExecutors {most} is less than initialExecutors {first}")
    return Workers(_worker(settings, "driver"), _worker(settings, "executor"), most)


def _worker(settings: dict[str, str], role: str) -> Worker:
    def setting(name: str) -> str:
        return settings.get(f"spark.{role}.{name}", DEFAULTS.get(name, ""))

    vcpu, memory = int(setting("cores")), gigabytes(setting("memory"))
    overhead = setting("memoryOverhead")
    factor = setting("memoryOverheadFactor") or settings.get(OVERHEAD_FACTOR, OVERHEAD_FACTOR_DEFAULT)
    extra = gigabytes(overhead) if overhead else max(memory * float(factor), OVERHEAD_LEAST_GB)
    if role == "executor" and "spark.executor.pyspark.memory" in settings:  # Spark asks for it on top
        extra += gigabytes(settings["spark.executor.pyspark.memory"])
    disk = gigabytes(settings.get(f"spark.emr-serverless.{role}.disk", DEFAULTS["disk"]))
    if vcpu not in SIZES:
        raise ServiceError("ValidationException", f"{role}: {vcpu} vCPU is none of {', '.join(map(str, SIZES))}")
    least, largest, step = SIZES[vcpu]
    rounded = max(least, math.ceil(round(memory + extra, 3) / step) * step)
    if rounded > largest:
        raise ServiceError(
            "ValidationException", f"{role}: {memory + extra:.1f} GB is more than a worker of {vcpu} vCPU may have, {largest}"
        )
    if not 20 <= disk <= 200:
        raise ServiceError("ValidationException", f"{role}: a disk of {disk:.0f} GB is not between 20 and 200")
    return Worker(vcpu, rounded, math.ceil(disk))


def gigabytes(text: str) -> float:
    """As Spark writes sizes; a bare number is MiB."""
    number, unit = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text).groups()  # type: ignore[union-attr] # refused by Spark too
    return float(number) * {"": 1 / 1024, "m": 1 / 1024, "g": 1.0, "t": 1024.0, "k": 1 / 1024**2}[unit[:1].lower()]
