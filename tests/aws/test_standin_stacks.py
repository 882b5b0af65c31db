"""The stand-in's CloudFormation, asked by boto3: what it does with the application's stack, and that all else is moto's."""

import json
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.waiting import wait_until

TEMPLATE = (Path(__file__).parents[2] / "cli" / "infra" / "templates" / "app.yaml").read_text()
IMAGE = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@sha256:" + "a" * 64
OTHER = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@sha256:" + "b" * 64
IN_LONDON = IMAGE.replace("eu-west-3", "eu-west-2")


def change_set(cloudformation, kind="CREATE", image=IMAGE, project="fruitsctl", **more):
    parameters = {"Project": project, "Release": "emr-7.13.0", "Image": image, **more}
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    name = f"set-{time.time_ns()}"
    made = cloudformation.create_change_set(
        StackName="fruitsctl-app", ChangeSetName=name, ChangeSetType=kind, TemplateBody=TEMPLATE, Parameters=given
    )
    return cloudformation.describe_change_set(ChangeSetName=made["Id"])


def rest(cloudformation, name="fruitsctl-app"):
    """The state in which the stack comes to rest."""

    def state():
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return None if found.endswith("_IN_PROGRESS") else found

    return wait_until(state)


def deployed(cloudformation, kind="CREATE", **parameters):
    cloudformation.execute_change_set(ChangeSetName=change_set(cloudformation, kind, **parameters)["ChangeSetId"])
    return rest(cloudformation)


def application(aws):
    """The only one that is not deleted."""
    emr = aws("emr-serverless")
    (found,) = [item for item in emr.list_applications()["applications"] if item["state"] != "TERMINATED"]
    return emr.get_application(applicationId=found["id"])["application"]


def test_a_change_set_says_what_it_would_make_and_makes_nothing(aws, standin):
    cloudformation = aws("cloudformation")

    found = change_set(cloudformation)

    assert [
        (change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"], change["ResourceChange"]["ResourceType"])
        for change in found["Changes"]
    ] == [("Add", "Application", "AWS::EMRServerless::Application")]
    assert cloudformation.describe_stacks(StackName="fruitsctl-app")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert aws("emr-serverless").list_applications()["applications"] == []


def test_executed_it_makes_the_application_and_gives_its_id(aws, standin):
    cloudformation = aws("cloudformation")

    assert deployed(cloudformation) == "CREATE_COMPLETE"

    made = application(aws)
    assert (made["name"], made["state"], made["imageConfiguration"]["imageUri"]) == ("fruitsctl", "CREATED", IMAGE)
    assert made["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 5}
    assert made["maximumCapacity"]["cpu"] == "16 vCPU"
    assert made["tags"]["fruitsctl"] == "fruitsctl"
    (stack,) = cloudformation.describe_stacks(StackName="fruitsctl-app")["Stacks"]
    assert {"OutputKey": "ApplicationId", "OutputValue": made["applicationId"]} in stack["Outputs"]
    assert cloudformation.get_template(StackName="fruitsctl-app")["TemplateBody"] == TEMPLATE
    (resource,) = cloudformation.list_stack_resources(StackName="fruitsctl-app")["StackResourceSummaries"]
    assert (resource["PhysicalResourceId"], resource["ResourceStatus"]) == (made["applicationId"], "CREATE_COMPLETE")
    events = cloudformation.describe_stack_events(StackName="fruitsctl-app")["StackEvents"]
    assert [event["ResourceStatus"] for event in events] == [
        "CREATE_COMPLETE",
        "CREATE_COMPLETE",
        "CREATE_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
    ]


def test_the_same_again_is_no_change_and_another_image_changes_only_that(aws, standin):
    cloudformation = aws("cloudformation")
    deployed(cloudformation)
    before = application(aws)["applicationId"]

    nothing = change_set(cloudformation, "UPDATE")
    assert nothing["Status"] == "FAILED"
    assert "didn't contain changes" in nothing["StatusReason"]

    (change,) = change_set(cloudformation, "UPDATE", image=OTHER)["Changes"]
    assert [detail["Target"]["Name"] for detail in change["ResourceChange"]["Details"]] == ["ImageConfiguration"]
    assert change["ResourceChange"]["Replacement"] == "False"
    assert deployed(cloudformation, "UPDATE", image=OTHER) == "UPDATE_COMPLETE"
    assert application(aws)["imageConfiguration"]["imageUri"] == OTHER
    assert application(aws)["applicationId"] == before


def test_another_name_replaces_the_application(aws, standin):
    cloudformation = aws("cloudformation")
    deployed(cloudformation)
    before = application(aws)["applicationId"]

    assert deployed(cloudformation, "UPDATE", project="peaches") == "UPDATE_COMPLETE"

    assert application(aws)["applicationId"] != before
    assert application(aws)["name"] == "peaches"


def test_what_the_service_refuses_is_rolled_back_with_its_reason(aws, standin):
    cloudformation = aws("cloudformation")

    assert deployed(cloudformation, image=IN_LONDON) == "ROLLBACK_COMPLETE"

    failed = [
        event
        for event in cloudformation.describe_stack_events(StackName="fruitsctl-app")["StackEvents"]
        if "FAILED" in event["ResourceStatus"]
    ]
    assert "The image must be in Region eu-west-3, not in eu-west-2" in failed[0]["ResourceStatusReason"]
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        change_set(cloudformation, "UPDATE")


def test_a_change_that_fails_leaves_what_was(aws, standin):
    cloudformation = aws("cloudformation")
    deployed(cloudformation)

    assert deployed(cloudformation, "UPDATE", image=IN_LONDON) == "UPDATE_ROLLBACK_COMPLETE"

    assert application(aws)["imageConfiguration"]["imageUri"] == IMAGE


def test_while_it_is_being_changed_no_other_change_may_begin(aws, standin):
    standin.durations.stack = 0.5
    cloudformation = aws("cloudformation")
    cloudformation.execute_change_set(ChangeSetName=change_set(cloudformation)["ChangeSetId"])

    with pytest.raises(ClientError, match="CREATE_IN_PROGRESS state and can not be updated"):
        change_set(cloudformation, "UPDATE")


def test_a_started_application_cannot_be_deleted_and_a_stopped_one_can(aws, standin):
    cloudformation, emr = aws("cloudformation"), aws("emr-serverless")
    repository(aws)
    standin.emr.digests = lambda repository, reference: reference
    deployed(cloudformation)
    identifier = application(aws)["applicationId"]
    emr.start_application(applicationId=identifier)
    wait_until(lambda: application(aws)["state"] == "STARTED")

    cloudformation.delete_stack(StackName="fruitsctl-app")
    assert rest(cloudformation) == "DELETE_FAILED"
    assert application(aws)["state"] == "STARTED"

    emr.stop_application(applicationId=identifier)
    wait_until(lambda: application(aws)["state"] == "STOPPED")
    stack_id = cloudformation.describe_stacks(StackName="fruitsctl-app")["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName="fruitsctl-app")
    assert rest(cloudformation, stack_id) == "DELETE_COMPLETE"
    assert emr.get_application(applicationId=identifier)["application"]["state"] == "TERMINATED"
    with pytest.raises(ClientError, match="fruitsctl-app does not exist"):
        cloudformation.describe_stacks(StackName="fruitsctl-app")


def repository(aws):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "emr-serverless.amazonaws.com"},
        "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"],
    }
    aws("ecr").create_repository(repositoryName="fruitsctl")
    aws("ecr").set_repository_policy(repositoryName="fruitsctl", policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_an_application_deleted_by_hand_does_not_keep_the_stack(aws, standin):
    cloudformation = aws("cloudformation")
    deployed(cloudformation)
    aws("emr-serverless").delete_application(applicationId=application(aws)["applicationId"])
    stack_id = cloudformation.describe_stacks(StackName="fruitsctl-app")["Stacks"][0]["StackId"]

    cloudformation.delete_stack(StackName="fruitsctl-app")

    assert rest(cloudformation, stack_id) == "DELETE_COMPLETE"


def test_a_parameter_that_is_missing_or_unknown_or_not_allowed_is_refused(aws, standin):
    with pytest.raises(ClientError, match=r"Parameters: \[Colour\] do not exist in the template"):
        change_set(aws("cloudformation"), Colour="red")
    with pytest.raises(ClientError, match="'Architecture' must be one of AllowedValues"):
        change_set(aws("cloudformation"), Architecture="RISC")
    with pytest.raises(ClientError, match="'Image' must match pattern"):
        change_set(aws("cloudformation"), image=IMAGE.partition("@")[0] + ":latest")


def test_every_other_stack_is_motos(aws, standin):
    cloudformation = aws("cloudformation")
    bucket = "Resources: {Bucket: {Type: 'AWS::S3::Bucket', Properties: {BucketName: apples-and-pears}}}"
    cloudformation.create_stack(StackName="fruitsctl-data", TemplateBody=bucket)
    deployed(cloudformation)

    assert [found["Name"] for found in aws("s3").list_buckets()["Buckets"]] == ["apples-and-pears"]
    assert {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]} == {"fruitsctl-data", "fruitsctl-app"}
    assert "cloudformation:CreateStack" in {call.action for call in standin.calls}
