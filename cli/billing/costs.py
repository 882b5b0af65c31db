"""
Compute what a run may cost at most, will probably cost, and did cost, in USD. Pure.

Workers are billed by the second from start to end, each for a minute at least: vCPUs, memory with all overhead, disk over 20 GB.
https://aws.amazon.com/emr/pricing/
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cli.billing.prices import Prices
from cli.billing.sizing import Fleet, Worker, minutes_for
from cli.errors import RefusedError
from job.contract.params import of_schedule
from job.contract.records import counted

FREE_DISK_GB = 20
ESTIMATE_SHARE = 1.2  # margin on estimated prices
LEAST_TIMEOUT_MINUTES = 5

# Replaced executors: one that dies within its first minute is billed for all of it, in addition to its replacement. Spark ends a job whose
# executors fail more often than twice their number, three times at least (spark.executor.maxNumFailures); so many are allowed for.
FAILURES_PER_EXECUTOR, LEAST_FAILURES = 2, 3
STOP_MINUTES = 1.0  # at its timeout a run is cancelled: workers have 15 s, and the minute is billed in full

# USD in eu-west-3, whatever the Region. S3 as on a user's bill, CloudWatch rounded up: an estimate.
S3_WRITE = 0.0053 / 1_000  # PUT, COPY, POST, LIST
S3_READ = 0.0042 / 10_000  # GET and all others
LOGS_GB = 0.60
LIST_PAGE = 1_000  # keys per LIST
FIXED_WRITES, FIXED_READS = 500, 5_000  # of a run, whatever its size: tables' logs, Parquet files, lease, the result
WRITES_PER_1000_IMAGES = 10  # a commit of some files for thousands of photos, and its share of checkpoints
LOG_BYTES, LOG_BYTES_PER_IMAGE = 5_000_000, 200

# The notebook's cluster, USD an hour: 1 + 2 m5.xlarge in eu-west-3, on demand, EMR's own share of it, and the disks EMR gives each node
# (2 x 32 GB and 15 GB for the system, gp2). An estimate of 2026-04: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-
# storage.html
CLUSTER_NODES = 3
CLUSTER_HOUR = CLUSTER_NODES * (0.224 + 0.048 + 79 * 0.116 / 730)


@dataclass(frozen=True)
class Cost:
    """The cost of a run, stored beside its output. `None` means unknown, never nothing."""

    run_id: str
    job_run_id: str
    state: str
    started_at: str  # ISO 8601, UTC
    seconds: float  # from submission to end
    images: int | None  # listed
    embedded: int | None  # of them in this run
    vcpu_hours: float | None
    gb_hours: float | None
    storage_gb_hours: float | None
    usd: float | None  # workers; requests and logs are apart
    usd_requests: float | None  # S3 and logs, estimated
    usd_cluster: float  # the notebook's cluster for the same time, estimated
    prices: dict[str, Any]

    @property
    def month(self) -> str:
        """`YYYY-MM`, UTC."""
        return self.started_at[:7]

    @property
    def usd_per_1000_images(self) -> float | None:
        """Of those embedded in this run; None if it embedded none."""
        return self.usd / self.embedded * 1_000 if self.usd is not None and self.embedded else None

    @property
    def estimate(self) -> bool:
        return bool(self.prices["estimate"])

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Cost:
        """Parse a cost record. Raises ValueError or TypeError if it is not one."""
        return cls(**json.loads(text))


def hourly_cost(worker: Worker, prices: Prices) -> float:
    """Return the USD per hour of one worker."""
    disk_gb = max(0, worker.disk_gb - FREE_DISK_GB)
    return worker.vcpu * prices.vcpu_hour + worker.memory_gb * prices.gb_hour + disk_gb * prices.storage_gb_hour


def fleet_hourly_cost(fleet: Fleet, prices: Prices) -> float:
    """Return the USD per hour of all workers at once."""
    return hourly_cost(fleet.driver, prices) + fleet.max_executors * hourly_cost(fleet.executor, prices)


def worst_case(fleet: Fleet, prices: Prices, attempts: int, timeout_minutes: int) -> float:
    """Return the USD if every attempt reaches its timeout with all workers and loses as many executors as Spark allows."""
    failures = max(LEAST_FAILURES, FAILURES_PER_EXECUTOR * fleet.max_executors)
    running = fleet_hourly_cost(fleet, prices) * (timeout_minutes + STOP_MINUTES) / 60
    replaced = failures * hourly_cost(fleet.executor, prices) / 60
    return attempts * (running + replaced) * (ESTIMATE_SHARE if prices.estimate else 1.0)


def longest_timeout(max_cost: float, fleet: Fleet, prices: Prices, attempts: int) -> int:
    """Return the most whole minutes whose worst case is at most `max_cost` USD; 0 if none is."""
    at_once = worst_case(fleet, prices, attempts, 0)
    per_minute = worst_case(fleet, prices, attempts, 1) - at_once
    minutes = max(0, math.floor((max_cost - at_once) / per_minute) + 1)
    while minutes and worst_case(fleet, prices, attempts, minutes) > max_cost:  # corrects the rounding of floats
        minutes -= 1
    return minutes


def max_executors(max_cost: float, fleet: Fleet, prices: Prices, attempts: int, timeout_minutes: int) -> int:
    """Return the most executors whose worst case is at most `max_cost` USD; 0 if not even one fits."""
    fitting = range(fleet.max_executors, 0, -1)
    return next((n for n in fitting if worst_case(replace(fleet, max_executors=n), prices, attempts, timeout_minutes) <= max_cost), 0)


def check_max_cost(max_cost: float, fleet: Fleet, prices: Prices, attempts: int, timeout_minutes: int) -> float:
    """
    Return the worst case in USD, which is at most `max_cost`.

    Raises:
        RefusedError: it is more; the hint names the largest run that fits.
    """
    worst = worst_case(fleet, prices, attempts, timeout_minutes)
    if worst <= max_cost:
        return worst
    price = f", at estimated prices of {prices.as_of} plus {ESTIMATE_SHARE - 1:.0%}" if prices.estimate else ""
    executors = max_executors(max_cost, fleet, prices, attempts, timeout_minutes)
    timeout = longest_timeout(max_cost, fleet, prices, attempts)
    fitting = [f"--executors {executors}"] if executors else []
    fitting += [f"--timeout {timeout}"] if timeout >= LEAST_TIMEOUT_MINUTES else []
    raise RefusedError(
        f"the run could cost `${round_up_cents(worst)}`, more than ${max_cost:g}: {attempts} x {counted(timeout_minutes, 'minutes')}"
        f" of a driver and {counted(fleet.max_executors, 'executors')}{price}",
        f"add {' or '.join(fitting)}" if fitting else f"raise it to --max-cost {round_up_cents(worst)}",
    )


def round_up_cents(usd: float) -> str:
    """Format USD in cents, rounded up, so that a limit of this amount is never too low."""
    return f"{math.ceil(round(usd * 100, 9)) / 100:.2f}"


def estimated_cost(fleet: Fleet, prices: Prices, images: int) -> float:
    """Estimate the USD of a run: all workers while `images` are embedded and all else is done."""
    return fleet_hourly_cost(fleet, prices) * minutes_for(images, fleet.max_executors) / 60


def billed_cost(utilization: Mapping[str, float], prices: Prices) -> float:
    """
    Return the USD for `billedResourceUtilization` of GetJobRun. AWS omits disk if none is billed.

    Raises:
        KeyError: vCPUs or memory are missing.
    """
    return (
        utilization["vCPUHour"] * prices.vcpu_hour
        + utilization["memoryGBHour"] * prices.gb_hour
        + utilization.get("storageGBHour", 0.0) * prices.storage_gb_hour
    )


def request_cost(images: int, embedded: int) -> float:
    """Estimate the USD of S3 and CloudWatch while `images` are listed and `embedded` read. --max-cost does not limit it."""
    reads = FIXED_READS + embedded
    writes = FIXED_WRITES + math.ceil(images / LIST_PAGE) + embedded / 1_000 * WRITES_PER_1000_IMAGES
    return reads * S3_READ + writes * S3_WRITE + (LOG_BYTES + embedded * LOG_BYTES_PER_IMAGE) / 1e9 * LOGS_GB


def cluster_cost(seconds: float) -> float:
    """Return the USD of the notebook's cluster over that time."""
    return CLUSTER_HOUR * seconds / 3600


def cost_record(job_run: Mapping[str, Any], prices: Prices, manifest_counts: Mapping[str, int] | None) -> Cost:
    """
    Make the cost record of an ended run from GetJobRun and the counts of its manifest (None: no manifest).

    AWS settles `billedResourceUtilization` about a minute after the end; without it the cost is unknown.
    """
    used = job_run.get("billedResourceUtilization") or {}
    known = "vCPUHour" in used and "memoryGBHour" in used
    began: datetime = job_run["createdAt"].astimezone(UTC)
    ended: datetime = job_run.get("endedAt") or job_run["updatedAt"]
    counts = manifest_counts or {}
    images, embedded = counts.get("listed"), counts.get("embedded")
    return Cost(
        run_id=_run_id(job_run),
        job_run_id=job_run["jobRunId"],
        state=job_run["state"],
        started_at=began.isoformat(timespec="seconds"),
        seconds=(ended - began).total_seconds(),
        images=images,
        embedded=embedded,
        vcpu_hours=used.get("vCPUHour"),
        gb_hours=used.get("memoryGBHour"),
        storage_gb_hours=used.get("storageGBHour"),
        usd=billed_cost(used, prices) if known else None,
        usd_requests=request_cost(images, embedded) if images is not None and embedded is not None else None,
        usd_cluster=cluster_cost((ended - began).total_seconds()),
        prices=asdict(prices),
    )


def _run_id(job_run: Mapping[str, Any]) -> str:
    """Return the job's run_id from its arguments; the service has another id for the job run."""
    arguments = job_run["jobDriver"]["sparkSubmit"].get("entryPointArguments", [])
    named = (str(word).removeprefix("--run-id=") for word in arguments if str(word).startswith("--run-id="))
    return of_schedule(next(named, job_run["jobRunId"]))
