"""An application's image in; its digest out, or the reason why the service cannot use it. Asks the same ECR as everyone: moto's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/application-custom-image.html
ACTIONS = ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer")
PRINCIPAL = "emr-serverless.amazonaws.com"
URI = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/(.+?)(?::([^:@]+)|@(sha256:[0-9a-f]{64}))")


class ImageRefusedError(Exception):
    """Its text is the service's."""


@dataclass(frozen=True)
class ImageFacts:
    """What the service sees in an image; None: nothing is known, and it is taken for right."""

    architecture: str | None = None  # X86_64 or ARM64
    release: str | None = None


def resolve(
    client: Callable[[str, str], Any],
    application: dict[str, Any],
    facts: Callable[[str], ImageFacts],
    digests: Callable[[str, str], str | None],
) -> str:
    """
    The digest of the image of `application`, GetApplication's. `client` makes clients from service and Region; `digests` may know the
    digest of a repository's tag or digest from elsewhere than ECR.

    Raises:
        ImageRefusedError: ECR has no such image, does not let the service have it, or it does not fit the application.
    """
    uri = application["imageConfiguration"]["imageUri"]
    account, region, repository, tag, digest = URI.fullmatch(uri).groups()  # type: ignore[union-attr] # checked against the model's pattern
    ecr = client("ecr", region)
    arn = f"arn:aws:ecr:{region}:{account}:repository/{repository}"
    try:
        policy = json.loads(ecr.get_repository_policy(registryId=account, repositoryName=repository)["policyText"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            raise ImageRefusedError(f"The repository {repository} does not exist in the registry {account}") from error
        policy = {"Statement": []}
    refused = next((action for action in ACTIONS if not allows(policy, action, application["arn"], account)), None)
    if refused:  # https://repost.aws/articles/AR8qhFX6KXRpOpVKEEdM8UYA
        name = refused.replace("ecr:", "ECR:")
        raise ImageRefusedError(f"EMR Serverless service principal is not authorized to perform: {name} on resource: {arn}")
    found = digests(repository, tag or digest) or _in_ecr(ecr, account, repository, tag, digest)
    if found is None:
        raise ImageRefusedError(f"The image {uri} does not exist")
    _fits(application, facts(f"{uri.split('@')[0]}@{found}" if digest else uri))
    return found


def _fits(application: dict[str, Any], facts: ImageFacts) -> None:
    if facts.architecture not in (None, application["architecture"]):
        raise ImageRefusedError("Custom image architecture doesn't match application architecture")
    if facts.release not in (None, application["releaseLabel"]) and not resolves_at_start(application["releaseLabel"]):
        # From the same releases on: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-version-7140.html
        raise ImageRefusedError(
            f"Custom image release version {facts.release} doesn't match application release version {application['releaseLabel']}"
        )


def _in_ecr(ecr: Any, account: str, repository: str, tag: str | None, digest: str | None) -> str | None:
    wanted = {"imageTag": tag} if tag else {"imageDigest": digest}
    try:
        return str(ecr.describe_images(registryId=account, repositoryName=repository, imageIds=[wanted])["imageDetails"][0]["imageDigest"])
    except ecr.exceptions.ImageNotFoundException:
        return None


def resolves_at_start(release_label: str) -> bool:
    """Up to 7.13 an application's start fixes the digest, later each job run does."""
    found = re.fullmatch(r"emr-(\d+)\.(\d+)\..*", release_label)
    return bool(found) and (int(found[1]), int(found[2])) <= (7, 13)  # type: ignore[index]


def allows(policy: dict[str, Any], action: str, application_arn: str, account: str) -> bool:
    """Whether a statement of a repository policy lets the service do `action` for this application."""
    for statement in policy["Statement"]:
        services = _many(statement.get("Principal", {}).get("Service")) if isinstance(statement.get("Principal"), dict) else []
        actions = [pattern.lower() for pattern in _many(statement.get("Action"))]
        if (
            statement["Effect"] == "Allow"
            and PRINCIPAL in services
            and any(fnmatchcase(action.lower(), pattern) for pattern in actions)
            and all(_holds(test, statement["Condition"][test], application_arn, account) for test in statement.get("Condition", {}))
        ):
            return True
    return False


def _holds(test: str, keys: dict[str, Any], application_arn: str, account: str) -> bool:
    """Only what such policies use; any other condition does not hold."""
    context = {"aws:sourcearn": application_arn, "aws:sourceaccount": account}
    like = test in ("StringLike", "ArnLike", "ArnEquals")  # the two on ARNs are the same
    if not like and test != "StringEquals":
        return False
    for key, wanted in keys.items():
        actual = context.get(key.lower())
        if actual is None or not any(fnmatchcase(actual, value) if like else actual == value for value in _many(wanted)):
            return False
    return True


def _many(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]
