"""The stand-in of EMR Serverless, asked by boto3: job runs behave as the service is known to."""

import gzip
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.aws.emr import DIGEST, IMAGE, POLICY, ROLE, SMALL, application, emr_serverless, ended, put_image, repository, run, submit, wait  # noqa: F401
from tests.aws.standin.runner import Ended, ScriptedRunner
from tests.waiting import wait_until


def test_a_run_starts_its_application_and_goes_from_state_to_state(emr, standin):
    for name in ("submitted", "pending", "scheduled"):
        setattr(standin.durations, name, 0.1)
    standin.runner = ScriptedRunner(seconds=0.1)
    identifier = application(emr)
    job_run_id, seen = submit(emr, identifier), []

    def over():
        state = emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"]["state"]
        seen.extend([state] if state not in seen else [])
        return state in ("SUCCESS", "FAILED")

    wait_until(over)

    assert seen == ["SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "SUCCESS"]
    assert wait(emr, identifier, "STARTED")["state"] == "STARTED"


def test_the_same_token_makes_one_run_and_with_other_parameters_a_conflict(emr, standin):
    identifier = application(emr)
    first = submit(emr, identifier, clientToken="t")

    assert submit(emr, identifier, clientToken="t") == first
    with pytest.raises(emr.exceptions.ConflictException):
        submit(emr, identifier, clientToken="t", name="another")
    ended(emr, identifier, first)
    assert len(standin.runner.requests) == 1


def test_without_auto_start_a_stopped_application_takes_no_run(emr):
    with pytest.raises(emr.exceptions.ValidationException, match="auto start is disabled"):
        submit(emr, application(emr, autoStartConfiguration={"enabled": False}))


def test_a_run_that_fails_says_so_in_256_characters_and_its_log_has_the_rest(aws, emr, standin):
    trace = ["Traceback (most recent call last):", '  File "/opt/fruits/run_job.py", line 7', "ValueError: " + "x" * 500]
    standin.runner = lambda request, context: Ended(1, [], trace)
    aws("logs").create_log_group(logGroupName="/fruits")
    identifier = application(emr)
    watch = {"cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": "/fruits", "logStreamNamePrefix": "runs"}}
    job_run_id = submit(emr, identifier, configurationOverrides={"monitoringConfiguration": watch})

    ends = ended(emr, identifier, job_run_id)

    assert ends["state"] == "FAILED"
    assert ends["stateDetails"].startswith("Job failed, please check complete logs in configured logging destination. ExitCode: 1.")
    assert len(ends["stateDetails"]) == 256
    stream = f"runs/applications/{identifier}/jobs/{job_run_id}/SPARK_DRIVER/stderr"
    events = aws("logs").get_log_events(logGroupName="/fruits", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == trace


def test_a_run_that_is_killed_for_memory_says_so(emr, standin):
    standin.runner = ScriptedRunner(code=137)
    identifier = application(emr)

    assert "ExitCode: 137" in ended(emr, identifier, submit(emr, identifier))["stateDetails"]


def test_lines_are_in_cloudwatch_while_the_run_is_under_way_and_in_s3_after_it(aws, emr, standin):
    aws("logs").create_log_group(logGroupName="/aws/emr-serverless")
    aws("s3").create_bucket(Bucket="fruits", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    standin.runner = ScriptedRunner(["one", "two"], seconds=3)
    identifier = application(emr)
    monitoring = {"s3MonitoringConfiguration": {"logUri": "s3://fruits/logs/"}, "cloudWatchLoggingConfiguration": {"enabled": True}}
    job_run_id = submit(emr, identifier, configurationOverrides={"monitoringConfiguration": monitoring})
    run(emr, identifier, job_run_id, "RUNNING")
    events = wait_until(lambda: aws("logs").filter_log_events(logGroupName="/aws/emr-serverless")["events"])

    assert events[0]["message"] == "one"
    assert emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"]["state"] == "RUNNING"
    ended(emr, identifier, job_run_id)
    body = aws("s3").get_object(Bucket="fruits", Key=f"logs/applications/{identifier}/jobs/{job_run_id}/SPARK_DRIVER/stdout.gz")["Body"]
    assert gzip.decompress(body.read()) == b"one\ntwo\n"


def test_more_runs_than_may_be_at_a_time_wait_in_the_queue(emr, standin):
    standin.runner = ScriptedRunner(seconds=0.3)
    identifier = application(emr, "STARTED", schedulerConfiguration={"maxConcurrentRuns": 1})
    first = submit(emr, identifier)
    run(emr, identifier, first, "RUNNING")
    second = submit(emr, identifier)

    run(emr, identifier, second, "QUEUED")
    assert emr.get_job_run(applicationId=identifier, jobRunId=first)["jobRun"]["state"] == "RUNNING"
    assert ended(emr, identifier, second)["state"] == "SUCCESS"
    assert emr.get_job_run(applicationId=identifier, jobRunId=second)["jobRun"]["queuedDurationMilliseconds"] > 0


def test_a_cancelled_run_is_cancelling_before_it_is_cancelled(emr, standin):
    standin.runner, standin.durations.cancelling = ScriptedRunner(seconds=30), 0.2
    identifier = application(emr)
    job_run_id = submit(emr, identifier)
    run(emr, identifier, job_run_id, "RUNNING")

    emr.cancel_job_run(applicationId=identifier, jobRunId=job_run_id)

    assert run(emr, identifier, job_run_id, "CANCELLING", "CANCELLED")["state"] == "CANCELLING"
    assert ended(emr, identifier, job_run_id)["state"] == "CANCELLED"
    with pytest.raises(emr.exceptions.ValidationException, match="in state CANCELLED"):
        emr.cancel_job_run(applicationId=identifier, jobRunId=job_run_id)


def test_a_run_over_its_time_is_cancelled(emr, standin):
    standin.runner, standin.durations.minute = ScriptedRunner(seconds=30), 0.02
    identifier = application(emr)

    ends = ended(emr, identifier, submit(emr, identifier, executionTimeoutMinutes=5))

    assert (ends["state"], ends["stateDetails"]) == ("CANCELLED", "Job run exceeded its execution timeout of 5 minutes")


def test_a_run_without_an_end_in_sight_is_refused(emr):
    identifier = application(emr)

    for minutes in (0, 4, 10081):
        with pytest.raises(emr.exceptions.ValidationException, match="between 5 minutes and 10080 minutes"):
            submit(emr, identifier, executionTimeoutMinutes=minutes)


def test_a_failed_run_is_tried_again_as_often_as_it_may_be(aws, emr, standin):
    aws("s3").create_bucket(Bucket="fruits", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    codes = iter([1, 1, 0])
    standin.runner = lambda request, context: Ended(next(codes), [f"attempt {context.attempt}"])
    identifier = application(emr)
    monitoring = {"s3MonitoringConfiguration": {"logUri": "s3://fruits/logs"}}
    job_run_id = submit(emr, identifier, retryPolicy={"maxAttempts": 3}, configurationOverrides={"monitoringConfiguration": monitoring})

    last = run(emr, identifier, job_run_id, "SUCCESS")

    assert last["attempt"] == 3
    attempts = emr.list_job_run_attempts(applicationId=identifier, jobRunId=job_run_id)["jobRunAttempts"]
    assert [(attempt["attempt"], attempt["state"]) for attempt in attempts] == [(3, "SUCCESS"), (2, "FAILED"), (1, "FAILED")]
    assert emr.get_job_run(applicationId=identifier, jobRunId=job_run_id, attempt=2)["jobRun"]["state"] == "FAILED"
    keys = {item["Key"] for item in aws("s3").list_objects_v2(Bucket="fruits")["Contents"]}
    place = f"logs/applications/{identifier}/jobs/{job_run_id}"
    assert {f"{place}/SPARK_DRIVER/stdout.gz", f"{place}/attempts/3/SPARK_DRIVER/stdout.gz"} < keys


def test_executors_without_a_limit_take_the_run_over_the_quota(emr, standin):
    standin.runner = ScriptedRunner(seconds=30)
    identifier = application(emr)

    ends = ended(emr, identifier, submit(emr, identifier, spark="--conf spark.executor.cores=4"))

    assert ends["state"] == "FAILED"
    assert ends["stateDetails"] == "Job failed as account has reached the service limit on the maximum vCPU it can use concurrently."
    assert "startedAt" in ends  # not before it ran
    standin.runner = ScriptedRunner()
    assert ended(emr, identifier, submit(emr, identifier))["state"] == "SUCCESS"
    standin.quota(12)
    assert ended(emr, identifier, submit(emr, identifier))["state"] == "FAILED"


def test_workers_beyond_the_applications_capacity_fail_the_run(emr):
    identifier = application(emr, maximumCapacity={"cpu": "16 vCPU", "memory": "40 GB"})

    details = ended(emr, identifier, submit(emr, identifier))["stateDetails"]

    assert details == "Worker could not be allocated as the application has exceeded maximumCapacity settings: [memory: 40 GB]"


def test_a_worker_of_no_known_size_is_refused(emr):
    identifier = application(emr)

    for spark, fault in {
        "--conf spark.driver.cores=3": "driver: 3 vCPU is none of 1, 2, 4, 8, 16",
        f"{SMALL} --conf spark.executor.memory=28G": "executor: 30.8 GB is more than a worker of 4 vCPU may have, 30",
        f"{SMALL} --conf spark.emr-serverless.driver.disk=10G": "driver: a disk of 10 GB",
        "--conf spark.dynamicAllocation.maxExecutors=2": "maxExecutors 2 is less than initialExecutors 3",
    }.items():
        with pytest.raises(emr.exceptions.ValidationException, match=fault):
            submit(emr, identifier, spark=spark)


def test_each_worker_is_billed_for_a_minute_at_least_and_for_disk_beyond_20_gb(emr, standin):
    identifier = application(emr)
    spark = (
        "--conf spark.driver.cores=2 --conf spark.driver.memory=6G --conf spark.executor.cores=4 --conf spark.executor.memory=14G "
        "--conf spark.dynamicAllocation.initialExecutors=1 --conf spark.dynamicAllocation.maxExecutors=2 "
        "--conf spark.emr-serverless.executor.disk=50G"
    )

    ends = ended(emr, identifier, submit(emr, identifier, spark=spark))

    # 2 + 2 x 4 vCPU, 7 + 2 x 16 GB, 2 x 30 GB of disk: a sixtieth of an hour
    assert ends["billedResourceUtilization"] == {"vCPUHour": 0.166667, "memoryGBHour": 0.65, "storageGBHour": 1.0}
    assert ends["totalResourceUtilization"]["vCPUHour"] < 0.166667


def test_a_run_of_service_minutes_is_billed_for_them(emr, standin):
    standin.runner, standin.durations.minute = ScriptedRunner(seconds=0.3), 0.1
    identifier = application(emr)

    ends = ended(emr, identifier, submit(emr, identifier, executionTimeoutMinutes=60))

    assert ends["totalExecutionDurationSeconds"] >= 180
    assert ends["billedResourceUtilization"]["vCPUHour"] == ends["totalResourceUtilization"]["vCPUHour"] >= 16 * 180 / 3600


def test_runs_are_listed_by_state_and_time(emr):
    identifier = application(emr)
    first = submit(emr, identifier)
    ended(emr, identifier, first)
    later = datetime.now(UTC) + timedelta(hours=1)

    def listed(**filters):
        return [item["id"] for item in emr.list_job_runs(applicationId=identifier, **filters)["jobRuns"]]

    assert listed() == listed(states=["SUCCESS"]) == listed(createdAtBefore=later) == [first]
    assert listed(states=["FAILED"]) == listed(createdAtAfter=later) == []


def test_a_dashboard_is_good_for_an_hour_and_another_one_each_time(emr):
    identifier = application(emr)
    job_run_id = submit(emr, identifier)

    first, second = (emr.get_dashboard_for_job_run(applicationId=identifier, jobRunId=job_run_id)["url"] for _ in range(2))

    assert first.startswith(f"https://j-{job_run_id}.{identifier}.emrappui-prod.eu-west-3.amazonaws.com/")
    assert first != second


def test_tags_of_applications_are_found_by_the_tagging_api(aws, emr):
    identifier = application(emr, tags={"fruitsctl": "fruitsctl"})
    arn = emr.get_application(applicationId=identifier)["application"]["arn"]
    emr.tag_resource(resourceArn=arn, tags={"colour": "red"})
    emr.untag_resource(resourceArn=arn, tagKeys=["fruitsctl"])

    tagging = aws("resourcegroupstaggingapi")
    assert emr.list_tags_for_resource(resourceArn=arn)["tags"] == {"colour": "red"}
    assert [item["ResourceARN"] for item in tagging.get_resources(TagFilters=[{"Key": "colour"}])["ResourceTagMappingList"]] == [arn]
    assert tagging.get_resources(TagFilters=[{"Key": "fruitsctl"}])["ResourceTagMappingList"] == []


def test_a_run_that_is_cancelled_while_another_has_the_machine_ends_at_once_and_is_not_billed(emr, standin):
    standin.runner = ScriptedRunner()
    standin.runner.turns = threading.Lock()
    identifier = application(emr)
    with standin.runner.turns:
        job_run_id = submit(emr, identifier)

        def state():
            return emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"]["state"]

        wait_until(lambda: state() == "SCHEDULED")
        time.sleep(10 * standin.durations.scheduled)
        assert state() == "SCHEDULED"  # it waits

        emr.cancel_job_run(applicationId=identifier, jobRunId=job_run_id)
        ends = ended(emr, identifier, job_run_id)

    assert ends["state"] == "CANCELLED"
    assert "billedResourceUtilization" not in ends
    assert standin.runner.requests == []
    assert ended(emr, identifier, submit(emr, identifier))["state"] == "SUCCESS"
