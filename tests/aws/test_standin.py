"""The stand-in of EMR Serverless, asked by boto3: requests, applications, images and bad days behave as the service is known to."""

import json
import subprocess
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ParamValidationError

from tests.aws.emr import DIGEST, IMAGE, POLICY, ROLE, SMALL, application, emr_serverless, ended, put_image, repository, run, submit, wait  # noqa: F401
from tests.aws.standin.runner import ScriptedRunner

# requests are checked against the model


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


def test_the_keys_of_a_rehearsal_get_into_no_commit():
    """`rehearsal.env`, as docs/how-to/rehearsal.md names it."""
    root = Path(__file__).parents[2]

    assert "> rehearsal.env" in (root / "docs" / "how-to" / "rehearsal.md").read_text()
    assert subprocess.run(["git", "check-ignore", "--quiet", "rehearsal.env"], cwd=root, check=False).returncode == 0
