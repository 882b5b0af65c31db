"""What a run is planned with and what the stand-in makes of its request, and bills, are the same workers."""

import pytest

from cli.billing.sizing import Fleet, Worker, fleet, spark_conf
from cli.targets.emr.request import submit_parameters
from tests.aws.standin.workers import spark_settings, workers


def made(conf):
    return workers(spark_settings({}, {"jobDriver": {"sparkSubmit": {"sparkSubmitParameters": submit_parameters(conf)}}}))


@pytest.mark.parametrize(
    ("wanted", "vcpu", "memory_gb"),
    [
        (fleet(None, None, None, 16), 16, 32),
        (fleet(1, None, None, 16, executor_memory_gb=30), 8, 38),
        (fleet(7, None, None, 32, executor_memory_gb=16), 32, 120),
        (fleet(None, 1_000_000, 31.0, 16), 16, 32),
        (Fleet(Worker(1, 2), Worker(1, 2), 2), 3, 6),
        (Fleet(Worker(2, 16, 40), Worker(8, 60, 200), 3), 26, 196),
        (Fleet(Worker(16, 120), Worker(16, 32), 5), 96, 280),
    ],
)
def test_a_planned_fleet_gets_the_workers_it_was_priced_with(wanted, vcpu, memory_gb):
    found = made(spark_conf(wanted))

    for role in ("driver", "executor"):
        planned, real = getattr(wanted, role), getattr(found, role)
        assert (real.vcpu, real.memory_gb, real.disk_gb) == (planned.vcpu, planned.memory_gb, planned.disk_gb), role
    assert found.executors == wanted.max_executors
    assert (found.vcpu(wanted.max_executors), found.memory_gb(wanted.max_executors)) == (vcpu, memory_gb)


def test_without_the_overhead_factor_the_same_heap_would_be_a_smaller_worker():
    """The service adds a tenth: 13,440 MB x 1.1 = 14,784 MB = 14.4 GB, so 15."""
    conf = spark_conf(fleet(None, None, None, 16, executor_memory_gb=16))
    del conf["spark.emr-serverless.memoryOverheadFactor"]

    assert made(conf).executor.memory_gb == 15
