"""
What S3 answers to a run that its session policy narrows, asked with a copy of the runtime role that this account may take on. No cost.

Needs `iam:CreateRole`, `PutRolePolicy`, `DeleteRolePolicy`, `DeleteRole` and `GetRolePolicy`; the copy is removed.
"""

import json
import time

import pytest

from cli.settings.config import settings
from cli.targets.emr_serverless.policy import session_policy
from job.contract.uris import bucket_and_key


@pytest.fixture(scope="module")
def narrowed(clients, deployed, scratch):
    """An S3 client that may what the run from `scratch`/photos to `scratch`/out may."""
    iam, sts = clients("iam"), clients("sts")
    name, runtime = f"{settings().project}-live-probe", deployed.role_arn.rpartition("/")[2]
    root = deployed.role_arn.partition(":role/")[0] + ":root"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    try:
        for policy in iam.list_role_policies(RoleName=runtime)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=runtime, PolicyName=policy)["PolicyDocument"]
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        time.sleep(15)  # until every server of IAM knows the role
        policy = session_policy(f"{scratch}/photos", f"{scratch}/out", deployed)
        keys = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="live", Policy=policy)["Credentials"]
        yield clients.session.client(
            "s3",
            region_name=clients.region,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
    finally:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


def status(ask, **request):
    """The HTTP status of a request that may be refused."""
    try:
        return ask(**request)["ResponseMetadata"]["HTTPStatusCode"]
    except ask.__self__.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_object_that_is_not_there_is_not_found_instead_of_refused(narrowed, scratch):
    """Delta, S3A and the lease all begin by asking for what a first run has not written yet."""
    bucket, key = bucket_and_key(f"{scratch}/out")

    assert status(narrowed.head_object, Bucket=bucket, Key=f"{key}/lease.json") == 404
    assert status(narrowed.get_object, Bucket=bucket, Key=f"{key}/latest.json") == 404


def test_input_and_output_can_be_listed_as_s3a_lists_them(narrowed, scratch):
    bucket, key = bucket_and_key(f"{scratch}/out")

    assert status(narrowed.list_objects_v2, Bucket=bucket, Prefix=f"{key}/features/_delta_log/", Delimiter="/", MaxKeys=2) == 200
    assert status(narrowed.list_objects_v2, Bucket=bucket, Prefix=f"{key}/", MaxKeys=2) == 200


def test_nothing_else_can_be_listed_read_or_written(narrowed, scratch):
    bucket, key = bucket_and_key(scratch)

    assert status(narrowed.list_objects_v2, Bucket=bucket, Prefix="photos/") == 403
    assert status(narrowed.put_object, Bucket=bucket, Key=f"{key}/photos/a.jpg", Body=b"") == 403
    assert status(narrowed.put_object, Bucket=bucket, Key=f"{key}/other/a.jpg", Body=b"") == 403
    assert status(narrowed.get_object, Bucket=bucket, Key="logs/a") == 403


def test_what_the_run_writes_it_may_replace_and_remove(narrowed, scratch):
    bucket, key = bucket_and_key(f"{scratch}/out/a")

    assert status(narrowed.put_object, Bucket=bucket, Key=key, Body=b"a") == 200
    assert status(narrowed.delete_object, Bucket=bucket, Key=key) == 204
