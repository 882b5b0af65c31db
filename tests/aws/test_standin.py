"""The stand-in of EMR Serverless, asked by boto3: it behaves as the service is known to."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ParamValidationError

from tests.aws.standin.runner import Ended, ScriptedRunner

ROLE = "arn:aws:iam::123456789012:role/fruitsctl"
DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@{DIGEST}"
POLICY = {
    "Effect": "Allow",
    "Principal": {"Service": "emr-serverless.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"],
    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:emr-serverless:eu-west-3:123456789012:/applications/*"}},
}
SMALL = "--conf spark.dynamicAllocation.maxExecutors=3"  # with the driver 16 vCPU


@pytest.fixture
def emr(aws, standin):
    return aws("emr-serverless")


def application(emr, state="CREATED", **settings):
    settings = {"name": "fruitsctl", "releaseLabel": "emr-7.13.0", "type": "SPARK"} | settings
    identifier = emr.create_application(**settings)["applicationId"]
    if state == "STARTED":
        emr.start_application(applicationId=identifier)
    wait(emr, identifier, state)
    return identifier


def wait(emr, identifier, *states):
    while (found := emr.get_application(applicationId=identifier)["application"])["state"] not in states:
        time.sleep(0.005)
    return found


def submit(emr, identifier, spark=SMALL, **more):
    driver = {"sparkSubmit": {"entryPoint": "local:///opt/fruits/run_job.py", "sparkSubmitParameters": spark}}
    return emr.start_job_run(applicationId=identifier, executionRoleArn=ROLE, jobDriver=driver, **more)["jobRunId"]


def run(emr, identifier, job_run_id, *states):
    while (found := emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"])["state"] not in states:
        time.sleep(0.005)
    return found


def ended(emr, identifier, job_run_id):
    return run(emr, identifier, job_run_id, "SUCCESS", "FAILED", "CANCELLED")


def repository(aws, statement=POLICY):
    aws("ecr").create_repository(repositoryName="fruitsctl")
    if statement:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws("ecr").set_repository_policy(repositoryName="fruitsctl", policyText=policy)


def put_image(aws):
    layers = [{"digest": "sha256:" + "c" * 64, "size": 1, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": layers})
    image = aws("ecr").put_image(repositoryName="fruitsctl", imageManifest=manifest, imageTag="1")["image"]
    return image["imageId"]["imageDigest"]


# requests are held to the model


def test_what_the_model_forbids_is_refused_though_boto3_lets_it_pass(emr):
    with pytest.raises(ClientError, match="must satisfy regular expression pattern") as refused:
        application(emr, name="my fruits")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match=r"executionIamPolicy.policy.*must be at most 2048, is 2100"):
        submit(emr, application(emr), executionIamPolicy={"policy": "x" * 2100})
    with pytest.raises(ClientError, match="must satisfy enum value set"):
        application(emr, architecture="RISC")


def test_a_member_that_the_model_does_not_know_is_refused(emr):
    identifier = application(emr)
    client = boto3.client("emr-serverless", region_name="eu-west-3", config=Config(parameter_validation=False))

    def smuggle(params, **_):
        params["body"] = json.dumps({**json.loads(params["body"]), "imageConfiguration": {"imageUri": IMAGE}}).encode()

    client.meta.events.register("before-call.emr-serverless.StartJobRun", smuggle)
    with pytest.raises(ClientError, match="unknown member, or one of another type: imageConfiguration"):
        submit(client, identifier)


def test_the_newest_model_is_asked_before_the_stand_in_is(emr, standin):
    with pytest.raises(ParamValidationError):
        emr.start_job_run(applicationId="0", executionRoleArn=ROLE, image=IMAGE)
    assert standin.calls == []


def test_an_application_or_a_run_that_is_not_there_is_not_found(emr):
    with pytest.raises(emr.exceptions.ResourceNotFoundException) as refused:
        emr.get_application(applicationId="00f")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=application(emr), jobRunId="00f")


# applications


def test_an_application_goes_from_state_to_state(emr, standin):
    standin.durations.creating = standin.durations.starting = standin.durations.stopping = 0.1
    identifier = emr.create_application(name="fruitsctl", releaseLabel="emr-7.13.0", type="Spark")["applicationId"]

    assert wait(emr, identifier, "CREATING", "CREATED")["state"] == "CREATING"
    wait(emr, identifier, "CREATED")
    emr.start_application(applicationId=identifier)
    assert wait(emr, identifier, "STARTING", "STARTED")["state"] == "STARTING"
    wait(emr, identifier, "STARTED")
    emr.stop_application(applicationId=identifier)
    assert wait(emr, identifier, "STOPPING", "STOPPED")["state"] == "STOPPING"
    wait(emr, identifier, "STOPPED")
    emr.delete_application(applicationId=identifier)
    assert wait(emr, identifier, "TERMINATED")["architecture"] == "X86_64"


def test_only_a_resting_application_is_deleted(emr):
    identifier = application(emr, "STARTED")

    with pytest.raises(emr.exceptions.ValidationException, match="Current status: STARTED"):
        emr.delete_application(applicationId=identifier)


def test_a_started_application_takes_another_image_or_capacity_and_nothing_else(emr):
    identifier = application(emr, "STARTED")

    updated = emr.update_application(applicationId=identifier, maximumCapacity={"cpu": "8 vCPU", "memory": "32 GB"})
    assert updated["application"]["maximumCapacity"] == {"cpu": "8 vCPU", "memory": "32 GB"}
    emr.update_application(applicationId=identifier, imageConfiguration={"imageUri": IMAGE})
    with pytest.raises(emr.exceptions.ValidationException, match="Current status: STARTED"):
        emr.update_application(applicationId=identifier, releaseLabel="emr-7.12.0")


def test_an_idle_application_stops_by_itself(emr, standin):
    standin.durations.minute = 0.05
    identifier = application(emr, autoStopConfiguration={"enabled": True, "idleTimeoutMinutes": 1})

    ended(emr, identifier, submit(emr, identifier))

    assert wait(emr, identifier, "STOPPED")["state"] == "STOPPED"


def test_an_application_with_an_active_run_does_not_stop(emr, standin):
    standin.runner = ScriptedRunner(seconds=30)
    identifier = application(emr)
    run(emr, identifier, submit(emr, identifier), "RUNNING")

    with pytest.raises(emr.exceptions.ValidationException, match="must be completed or cancelled"):
        emr.stop_application(applicationId=identifier)


def test_the_same_token_makes_one_application_and_with_other_settings_a_conflict(emr):
    first = application(emr, clientToken="t")

    assert application(emr, clientToken="t") == first
    with pytest.raises(emr.exceptions.ConflictException):
        application(emr, clientToken="t", architecture="ARM64")


def test_applications_are_listed_by_state_and_by_the_page(emr):
    identifiers = {application(emr) for _ in range(3)}
    application(emr, "STARTED")

    pages = list(emr.get_paginator("list_applications").paginate(states=["CREATED"], PaginationConfig={"PageSize": 2}))
    assert [len(page["applications"]) for page in pages] == [2, 1]
    assert {item["id"] for page in pages for item in page["applications"]} == identifiers


# images


def test_an_image_that_the_service_may_not_read_keeps_the_application_from_starting(aws, emr):
    repository(aws, None)
    identifier = application(emr, imageConfiguration={"imageUri": IMAGE})

    emr.start_application(applicationId=identifier)

    details = wait(emr, identifier, "STOPPED")["stateDetails"]
    assert details.startswith(
        "Application failed to start. EMR Serverless service principal is not authorized to perform: ECR:BatchGetImage"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]},
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:emr-serverless:eu-west-1:123456789012:/applications/*"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}},
    ],
    ids=["an action is missing", "another service", "another Region's applications", "another account"],
)
def test_a_policy_that_does_not_quite_fit_is_none(aws, emr, changed):
    repository(aws, POLICY | changed)
    identifier = application(emr, imageConfiguration={"imageUri": IMAGE})

    ends = ended(emr, identifier, submit(emr, identifier))

    assert ends["state"] == "FAILED"
    assert "service principal is not authorized to perform: ECR:" in ends["stateDetails"]


def test_an_image_that_is_not_in_ecr_fails_the_run(aws, emr):
    repository(aws)
    identifier = application(emr, imageConfiguration={"imageUri": IMAGE})

    assert f"The image {IMAGE} does not exist" in ended(emr, identifier, submit(emr, identifier))["stateDetails"]


def test_up_to_7_13_the_start_fixes_the_digest(aws, emr):
    repository(aws)
    digest = put_image(aws)
    identifier = application(emr, imageConfiguration={"imageUri": IMAGE.partition("@")[0] + ":1"})

    image = ended(emr, identifier, submit(emr, identifier))["imageConfiguration"]

    assert (image["resolvedImageDigest"], image["applicationLevelDigestResolution"]) == (digest, True)
    emr.update_application(applicationId=identifier, imageConfiguration={"imageUri": IMAGE})
    assert ended(emr, identifier, submit(emr, identifier))["imageConfiguration"]["resolvedImageDigest"] == digest


def test_from_7_14_on_each_run_has_the_image_of_its_submission(aws, emr):
    repository(aws)
    digest = put_image(aws)
    identifier = application(emr, "STARTED", releaseLabel="emr-7.14.0")
    emr.update_application(applicationId=identifier, imageConfiguration={"imageUri": IMAGE.partition("@")[0] + f"@{digest}"})

    image = ended(emr, identifier, submit(emr, identifier))["imageConfiguration"]

    assert (image["resolvedImageDigest"], image["applicationLevelDigestResolution"]) == (digest, False)


def test_an_image_for_another_architecture_or_release_is_refused(aws, emr, standin):
    repository(aws)
    image = {"imageUri": IMAGE.partition("@")[0] + f"@{put_image(aws)}"}

    standin.image(architecture="ARM64")
    identifier = application(emr, imageConfiguration=image)
    assert "architecture doesn't match" in ended(emr, identifier, submit(emr, identifier))["stateDetails"]

    standin.image(release="emr-7.13.0")
    identifier = application(emr, imageConfiguration=image, releaseLabel="emr-7.14.0")
    assert "release version emr-7.13.0 doesn't match" in ended(emr, identifier, submit(emr, identifier))["stateDetails"]


def test_an_image_of_another_region_or_beside_worker_types_is_refused(emr):
    with pytest.raises(emr.exceptions.ValidationException, match="must be in Region eu-west-3, not in us-east-1"):
        application(emr, imageConfiguration={"imageUri": IMAGE.replace("eu-west-3", "us-east-1")})
    with pytest.raises(emr.exceptions.ValidationException, match="cannot be used together"):
        application(
            emr,
            imageConfiguration={"imageUri": IMAGE},
            workerTypeSpecifications={"Driver": {"imageConfiguration": {"imageUri": IMAGE}}},
        )


# job runs


def test_a_run_starts_its_application_and_goes_from_state_to_state(emr, standin):
    for name in ("submitted", "pending", "scheduled"):
        setattr(standin.durations, name, 0.1)
    standin.runner = ScriptedRunner(seconds=0.1)
    identifier = application(emr)
    job_run_id, seen = submit(emr, identifier), []
    while not seen or seen[-1] not in ("SUCCESS", "FAILED"):
        state = emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"]["state"]
        seen += [state] if state not in seen else []

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
    while not (events := aws("logs").filter_log_events(logGroupName="/aws/emr-serverless")["events"]):
        time.sleep(0.02)

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

    while (last := emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)["jobRun"])["state"] != "SUCCESS":
        time.sleep(0.01)

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


def test_a_worker_that_nobody_has_is_refused(emr):
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


# bad days


def test_an_operation_fails_as_often_as_it_is_told_to(emr, standin):
    identifier = application(emr)
    standin.fail("GetJobRun", "AccessDeniedException", times=1)
    job_run_id = submit(emr, identifier)

    with pytest.raises(ClientError, match="is not authorized to perform: emr-serverless:GetJobRun") as refused:
        emr.get_job_run(applicationId=identifier, jobRunId=job_run_id)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert ended(emr, identifier, job_run_id)["state"] == "SUCCESS"


def test_any_service_fails_if_all_of_them_are_asked_by_way_of_it(aws, standin, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", standin.environment(everything=True)["AWS_ENDPOINT_URL"])
    assert aws("ecr").describe_repositories()["repositories"] == []
    standin.fail("sts:GetCallerIdentity", "ExpiredTokenException")

    with pytest.raises(ClientError, match="ExpiredTokenException"):
        aws("sts").get_caller_identity()
    assert [call.action for call in standin.calls] == ["ecr:DescribeRepositories", "sts:GetCallerIdentity"]


def test_too_many_requests_are_throttled_for_so_long(emr, standin):
    identifier = application(emr)
    once = boto3.client("emr-serverless", region_name="eu-west-3", config=Config(retries={"total_max_attempts": 1}))
    standin.throttle(0.2)

    with pytest.raises(ClientError, match="ThrottlingException"):
        once.get_application(applicationId=identifier)
    time.sleep(0.2)
    assert once.get_application(applicationId=identifier)["application"]["applicationId"] == identifier


def test_a_lost_answer_is_of_a_request_that_was_carried_out(emr, standin):
    identifier = application(emr)
    once = boto3.client("emr-serverless", region_name="eu-west-3", config=Config(retries={"total_max_attempts": 1}))
    standin.lose_answer("StartJobRun")

    with pytest.raises(ConnectionClosedError):
        submit(once, identifier, clientToken="t")
    (found,) = emr.list_job_runs(applicationId=identifier)["jobRuns"]
    assert submit(once, identifier, clientToken="t") == found["id"]


def test_the_quota_and_the_prices_are_asked_as_of_the_real_ones(aws, standin):
    quotas, pricing = aws("service-quotas"), boto3.client("pricing", region_name="eu-central-1")
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-3"},
        {"Type": "TERM_MATCH", "Field": "meterunit", "Value": "CPUHours"},
    ]

    assert quotas.get_service_quota(ServiceCode="emr-serverless", QuotaCode="L-D05C8A75")["Quota"]["Value"] == 16
    found = [json.loads(text) for text in pricing.get_products(ServiceCode="ElasticMapReduce", Filters=filters)["PriceList"]]
    assert {item["product"]["attributes"]["usagetype"] for item in found} == {
        "EUW3-EMR-SERVERLESS-vCPUHours",
        "EUW3-EMR-EKS-EC2-vCPUHours",
    }
    standin.prices({})
    assert pricing.get_products(ServiceCode="ElasticMapReduce", Filters=filters)["PriceList"] == []
    standin.prices(None)
    with pytest.raises(ClientError, match="is not authorized to perform: pricing:GetProducts"):
        pricing.get_products(ServiceCode="ElasticMapReduce", Filters=filters)
