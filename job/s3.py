"""The boto3 S3 client of the job: one per process, Region and endpoint from the environment, errors in our words."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from job.errors import CredentialsError, JobError, SetupError

REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "ExpiredTokenException"}
S3_ERRORS = (BotoCoreError, ClientError)


@cache
def client() -> Any:
    """boto3's own chain finds the credentials; `AWS_ENDPOINT_URL_S3` and `AWS_REGION` are read by boto3 itself."""
    config = Config(
        retries={"mode": "adaptive", "max_attempts": 8},  # backs off on throttling: 503 SlowDown
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=64,
        # Checksums that S3-compatible servers may not know, https://github.com/boto/boto3/issues/4392
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=config)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: Exception, uri: str, kind: type[JobError] = SetupError) -> JobError:
    """A boto3 error about `uri` as the error to raise: no credentials, refused, no such bucket, or what the service said."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return CredentialsError(f"no AWS credentials for `{uri}`", "set AWS_PROFILE, or run `aws sso login`")
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in REFUSED:
            return CredentialsError(f"S3 refused access to `{uri}`: {code}", "check the credentials and what they may do there")
        if code in ("NoSuchBucket", "404"):
            return kind(f"there is no bucket for `{uri}`", "create the bucket, or check its name")
    return kind(f"S3 did not answer for `{uri}`: {error}", "check AWS_ENDPOINT_URL_S3, the Region and the network")
