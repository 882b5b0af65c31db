"""Machines whose clocks disagree: who may write is told by versions, and the age of a lease by the store."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from job.contract.errors import LeaseError
from job.storage import s3_client
from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.faults.damage import Damage

SKEWS = {"an hour slow": -3600.0, "an hour fast": 3600.0, "in another century": 3_200_000_000.0}


@pytest.mark.parametrize("where", ["on disk", "on S3"])
def test_a_clock_that_is_wrong_neither_takes_nor_loses_a_lease(faults, bucket, tmp_path, where):
    doubled = 0  # leases held by two at a time
    for name, skew in SKEWS.items():
        s3_client.client.cache_clear()
        folder = open_folder(f"s3://{bucket}/{name}" if where == "on S3" else f"file://{tmp_path}/{name}")
        for ours, theirs in ((0.0, skew), (skew, 0.0)):
            with Lease.acquire(folder, "run-a", 60.0, now=lambda ours=ours: time.time() + ours) as lease:
                with suppress(LeaseError), Lease.acquire(folder, "run-b", 60.0, now=lambda theirs=theirs: time.time() + theirs):
                    doubled += 1
                lease.check()
                generation = lease.generation
            with Lease.acquire(folder, "run-b", now=lambda theirs=theirs: time.time() + theirs) as successor:
                assert successor.generation == generation + 1

    faults(f"clock skew, lease {where}", 2 * len(SKEWS), Damage(0, doubled), 0, 3)
