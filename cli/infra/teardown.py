"""
Delete everything of a project in the order that works: runs, users of the bucket, its content, bucket, key, stacks.

An interrupted deletion continues when it is called again. Only a bucket that the data stack made is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli.aws import emr_serverless as application
from cli.aws import errors as aws
from cli.aws.emr_serverless import TAG
from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError
from cli.infra import presence, stacks
from cli.infra.stacks import Resource
from job.contract.records import counted, plural_noun

KEY_DAYS = 7  # the shortest waiting period of KMS before a key is deleted


def down(session: Any, region: str, project: str, keep_data: bool, tell: Callable[[str], None]) -> None:
    """
    Delete everything of the project.

    Raises:
        RefusedError: another process is changing a stack.
        FruitsError: AWS refuses, or something cannot be deleted.
    """
    cloudformation = aws.client(session, "cloudformation", region)

    def gone(resource: Resource) -> bool:
        return not presence.exists(session, region, resource.kind, resource.physical)

    stacks.delete(cloudformation, f"{project}-schedule", tell, gone)  # first: it starts runs
    emr = aws.client(session, "emr-serverless", region)
    for identity in application.find(emr, project):  # CloudFormation does not delete a started application, or one with active runs
        application.stop_application(emr, identity, cancel=True, tell=tell)
    stacks.delete(cloudformation, f"{project}-app", tell, gone)
    for identity in application.find(emr, project):  # its stack was deleted by hand
        application.delete(emr, identity)
        tell(f"{identity}: deleted")
    for name in ("alarm", "budget"):
        stacks.delete(cloudformation, f"{project}-{name}", tell, gone)
    ecr = aws.client(session, "ecr", region)
    if any(resource.kind == "AWS::ECR::Repository" for resource in stacks.resources(cloudformation, f"{project}-base")):
        empty_repository(ecr, project, tell)
    stacks.delete(cloudformation, f"{project}-base", tell, gone)
    delete_stray_repository(ecr, project, tell)
    if not keep_data:
        _delete_data(session, region, f"{project}-data", cloudformation, gone, tell)


def _delete_data(
    session: Any, region: str, name: str, cloudformation: Any, gone: Callable[[Resource], bool], tell: Callable[[str], None]
) -> None:
    found = stacks.describe(cloudformation, name)
    made = {resource.logical: resource for resource in stacks.resources(cloudformation, name)}
    if found and "Bucket" in made and not gone(made["Bucket"]):
        account = found["StackId"].split(":")[4]
        delete_bucket(aws.client(session, "s3", region), made["Bucket"].physical, account, tell)
    if "Key" in made and not gone(made["Key"]):
        delete_key(aws.client(session, "kms", region), made["Key"].physical, tell)
    stacks.delete(cloudformation, name, tell, gone)


def delete_bucket(s3: Any, bucket: str, account: str, tell: Callable[[str], None]) -> None:
    """
    Delete the bucket with all versions of all objects and unfinished uploads.

    A bucket that is gone or belongs to another account is not touched.

    Raises:
        FruitsError: AWS refuses, or keeps an object: locked, for instance.
    """
    own = {"Bucket": bucket, "ExpectedBucketOwner": account}
    deleted = 0
    with translate_aws_errors("s3:AbortMultipartUpload"):
        for page in s3.get_paginator("list_multipart_uploads").paginate(**own):
            for item in page.get("Uploads", []):
                s3.abort_multipart_upload(Key=item["Key"], UploadId=item["UploadId"], **own)
    with translate_aws_errors("s3:DeleteObjectVersion"):
        for page in s3.get_paginator("list_object_versions").paginate(**own):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                kept = s3.delete_objects(Delete={"Objects": keys, "Quiet": True}, **own).get("Errors", [])
                if kept:
                    first = kept[0]
                    raise FruitsError(
                        f"cannot delete `{len(kept)}` {plural_noun(len(kept), 'objects')} of bucket `{bucket}`, "
                        f"first `{first['Key']}`: {first['Code']}",
                        "remove the object lock or policy that protects them, then run `fruitsctl infra down` again",
                    )
                deleted += len(keys)
                tell(f"{bucket}: {counted(deleted, 'object versions')} deleted")
    with translate_aws_errors("s3:DeleteBucket"):
        s3.delete_bucket(**own)
    tell(f"{bucket}: deleted")


def delete_key(kms: Any, key: str, tell: Callable[[str], None]) -> None:
    """Schedule the deletion of the key."""
    with translate_aws_errors("kms:ScheduleKeyDeletion"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_DAYS)
    tell(f"key {key}: KMS deletes it in {KEY_DAYS} days, free of charge until then")


def empty_repository(ecr: Any, repository: str, tell: Callable[[str], None]) -> None:
    """Delete all images. CloudFormation would do it too, unless that was disabled by hand."""
    with translate_aws_errors("ecr:BatchDeleteImage"):
        try:
            for page in ecr.get_paginator("list_images").paginate(repositoryName=repository):
                digests = [{"imageDigest": digest} for digest in {item["imageDigest"] for item in page["imageIds"]}]
                for start in range(0, len(digests), 100):  # no more at a time
                    ecr.batch_delete_image(repositoryName=repository, imageIds=digests[start : start + 100])
                if digests:
                    tell(f"{repository}: {counted(len(digests), 'images')} deleted")
        except ecr.exceptions.RepositoryNotFoundException:
            return


def delete_stray_repository(ecr: Any, repository: str, tell: Callable[[str], None]) -> None:
    """Delete a repository that has our tag and whose stack was deleted by hand."""
    with translate_aws_errors("ecr:ListTagsForResource"):
        try:
            arn = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]["repositoryArn"]
        except ecr.exceptions.RepositoryNotFoundException:
            return
        tags = {tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
    if tags.get(TAG) == repository:
        with translate_aws_errors("ecr:DeleteRepository"):
            ecr.delete_repository(repositoryName=repository, force=True)
        tell(f"{repository}: deleted")


def list_remaining(session: Any, region: str, project: str) -> list[str]:
    """
    Return ARNs of all resources that still have the project's tag, except keys scheduled for deletion; and the roles.

    The tagging API lists deleted resources for some minutes, and no roles at all, so each service is asked about its own:
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
    """
    with translate_aws_errors("tag:GetResources"):
        pages = aws.client(session, "resourcegroupstaggingapi", region).get_paginator("get_resources")
        tagged = [
            item["ResourceARN"]
            for page in pages.paginate(TagFilters=[{"Key": TAG, "Values": [project]}])
            for item in page["ResourceTagMappingList"]
        ]
    names = (f"{project}-{region}", f"{project}-{region}-scheduler")
    roles = [f"role {name}" for name in names if presence.exists(session, region, "AWS::IAM::Role", name)]
    return [arn for arn in tagged if presence.arn_exists(session, region, arn)] + roles
