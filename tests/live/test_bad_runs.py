"""
Runs that fail, as the service ends them. Billed: two default workers in two attempts, limited to $0.90 by `--max-cost`; and two runs of two
workers of 1 vCPU and 2 GB, with timeouts of 5 and 10 minutes: $0.04 together at the estimated prices, if both run into them.
"""

import time

import pytest

from cli.targets.emr.request import submit_parameters
from cli.targets.emr_serverless.plan import image_conf

SLEEP = "import time\n\ntime.sleep(1800)\n"
# Each task kills the JVM of its own executor: the worker's parent is Python's daemon, the daemon's parent the JVM.
KILL = """
import os, signal
from pyspark.sql import SparkSession

def kill(_):
    daemon = os.getppid()
    with open(f"/proc/{daemon}/stat") as stat:
        os.kill(int(stat.read().rpartition(")")[2].split()[1]), signal.SIGKILL)

SparkSession.builder.getOrCreate().sparkContext.parallelize(range(1), 1).foreach(kill)
"""
SMALL = {
    "spark.driver.cores": "1",
    "spark.driver.memory": "1g",
    "spark.executor.cores": "1",
    "spark.executor.memory": "1g",
    "spark.dynamicAllocation.initialExecutors": "1",
    "spark.dynamicAllocation.minExecutors": "1",
    "spark.dynamicAllocation.maxExecutors": "1",
    "spark.task.maxFailures": "100",  # the executors' own limit is to end it
}


@pytest.fixture
def script(clients, deployed, scratch, watch):
    """Runs a Python script on two small workers; GetJobRun's answer at the end."""

    def run(text, minutes):
        prefix = scratch.partition(f"{deployed.bucket}/")[2]
        clients("s3").put_object(Bucket=deployed.bucket, Key=f"{prefix}/script.py", Body=text.encode())
        conf = submit_parameters({**image_conf(deployed.region), **SMALL})
        answer = clients("emr-serverless").start_job_run(
            applicationId=deployed.application_id,
            clientToken=f"live-{time.time_ns()}",
            executionRoleArn=deployed.role_arn,
            executionTimeoutMinutes=minutes,
            jobDriver={"sparkSubmit": {"entryPoint": f"{scratch}/script.py", "sparkSubmitParameters": conf}},
            configurationOverrides={
                "monitoringConfiguration": {
                    "s3MonitoringConfiguration": {"logUri": f"s3://{deployed.bucket}/logs/"},
                    "managedPersistenceMonitoringConfiguration": {"enabled": False},
                }
            },
        )
        return watch(answer["jobRunId"])[-1][1]

    return run


@pytest.fixture(scope="module")
def retried(sent, watch, scratch):
    """A run whose job fails in each of its two attempts: there is no such INPUT."""
    return watch(sent(f"{scratch}/nothing", f"{scratch}/out-of-nothing", "--attempts", 2, "--max-cost", "0.9"))[-1][1]


def test_the_bill_of_a_retried_run_has_all_its_attempts(clients, retried, billed):
    pages = clients("emr-serverless").get_paginator("list_job_run_attempts")
    found = pages.paginate(applicationId=retried["applicationId"], jobRunId=retried["jobRunId"])

    assert sum(len(page["jobRunAttempts"]) for page in found) == 2
    assert retried["state"] == "FAILED"
    assert billed(retried["jobRunId"])["vCPUHour"] >= 0.13  # 2 x 4 vCPUs x 1 minute: a driver in each, paid for a minute at least


def test_the_second_attempt_has_its_own_streams(retried, streams):
    names, _ = streams(retried["jobRunId"])

    assert "attempts/2/SPARK_DRIVER/stdout" in names


def test_a_run_over_its_time_ends_as_cancelled(script):
    ended = script(SLEEP, minutes=5)

    assert ended["state"] == "CANCELLED", ended["stateDetails"]
    assert ended["totalExecutionDurationSeconds"] == pytest.approx(300, abs=90)


def test_executors_that_die_again_and_again_end_the_run(clients, deployed, script):
    """Spark's limit is twice their number, three at least; `--max-cost` allows for no more."""
    ended = script(KILL, minutes=10)

    assert ended["state"] == "FAILED", ended["stateDetails"]
    prefix = f"logs/applications/{deployed.application_id}/jobs/{ended['jobRunId']}/SPARK_EXECUTOR/"
    executors = clients("s3").list_objects_v2(Bucket=deployed.bucket, Prefix=prefix, Delimiter="/").get("CommonPrefixes", [])
    assert 1 <= len(executors) <= 1 + 3
