"""Call Amazon ECR: registry address, token, repository. Every client gets a Region that was checked."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from typing import Any

from cli.aws import errors as aws
from cli.aws.errors import translate_aws_errors
from cli.aws.regions import refuse_outside_eu
from cli.container.logins import Login
from cli.errors import FruitsError

UNTAGGED_DAYS = 14  # after which untagged images of a push expire
ACTIONS = {"create_repository": "ecr:CreateRepository", "put_lifecycle_policy": "ecr:PutLifecyclePolicy"}

HOST = re.compile(r"(?:(\d{12})\.)?dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.")  # also dual-stack names and VPC endpoints
# https://docs.aws.amazon.com/general/latest/gr/ecr-public.html, https://docs.aws.amazon.com/AmazonECR/latest/public/public-ecr-requests.html
PUBLIC, PUBLIC_REGION = {"public.ecr.aws", "ecr-public.aws.com"}, "us-east-1"


def region_of(registry: str) -> str | None:
    """Return the Region of an ECR registry's host name, in any case; None for other registries."""
    registry = registry.lower()
    if registry.split(":")[0].rstrip(".") in PUBLIC:
        return PUBLIC_REGION
    found = HOST.search(registry)
    return found[2] if found else None


def checked_region(registry: str) -> str | None:
    """
    Return `region_of` a registry, or of an image in it.

    Raises:
        RefusedError: it is outside the European Union.
    """
    region = region_of(registry.partition("/")[0])
    if region is not None:
        refuse_outside_eu(region)
    return region


def own_registry(session: Any, region: str) -> str:
    """
    Return the registry of the caller's account, such as `123456789012.dkr.ecr.eu-west-3.amazonaws.com`.

    Raises:
        RefusedError: `region` is outside the European Union.
        FruitsError: no credentials, or AWS does not know them.
    """
    return f"{aws.account_of(session, region)}.dkr.ecr.{region}.{dns_suffix(region)}"


def dns_suffix(region: str) -> str:
    """Return `amazonaws.com`, or the suffix of the Region's partition in botocore."""
    from botocore.loaders import create_loader

    partitions = create_loader().load_data("partitions")["partitions"]
    return next(str(part["outputs"]["dnsSuffix"]) for part in partitions if re.match(part["regionRegex"], region))


def login(ecr: Any) -> Login:
    """
    Return a login that is valid for twelve hours.

    Raises:
        FruitsError: no credentials, or AWS refuses.
    """
    with translate_aws_errors("ecr:GetAuthorizationToken"):
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    username, _, password = base64.b64decode(token).decode().partition(":")
    return Login(username, password)


def has_repository(ecr: Any, registry: str, repository: str) -> bool:
    """
    Return whether the registry has the repository.

    Raises:
        FruitsError: no credentials, or AWS refuses.
    """
    owner = HOST.search(registry)
    account = {"registryId": owner[1]} if owner and owner[1] else {}
    with translate_aws_errors("ecr:DescribeRepositories"):
        try:
            ecr.describe_repositories(repositoryNames=[repository], **account)
        except ecr.exceptions.RepositoryNotFoundException:
            return False
    return True


def creation_requests(repository: str, kms_key: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the requests that create a repository: scan on push, immutable tags, encrypted, no tagged image ever expires."""
    encryption = {"encryptionType": "KMS", "kmsKey": kms_key} if kms_key else {"encryptionType": "AES256"}
    rule = {
        "rulePriority": 1,
        "description": f"untagged images, after {UNTAGGED_DAYS} days",
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": UNTAGGED_DAYS},
        "action": {"type": "expire"},
    }
    return {
        "create_repository": {
            "repositoryName": repository,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfiguration": encryption,
        },
        "put_lifecycle_policy": {"repositoryName": repository, "lifecyclePolicyText": json.dumps({"rules": [rule]})},
    }


def create_repository(ecr: Any, repository: str, kms_key: str | None = None) -> None:
    """
    Send all `creation_requests`, or undo them.

    Raises:
        FruitsError: no credentials, or AWS refuses.
    """
    requests = creation_requests(repository, kms_key)
    with translate_aws_errors(ACTIONS["create_repository"]):
        ecr.create_repository(**requests["create_repository"])
    try:
        with translate_aws_errors(ACTIONS["put_lifecycle_policy"]):
            ecr.put_lifecycle_policy(**requests["put_lifecycle_policy"])
    except FruitsError:
        with suppress(ecr.exceptions.ClientError):
            ecr.delete_repository(repositoryName=repository)  # still empty; the next attempt completes it
        raise
