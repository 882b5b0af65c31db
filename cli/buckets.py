"""Where a bucket really is, and a client for it: nothing is sent to a bucket outside the European Union."""

from __future__ import annotations

from typing import Any

from cli.aws import asking
from cli.errors import RefusedError, UsageError
from cli.regions import PARIS, refuse_outside_eu

# What GetBucketLocation says of buckets older than the names: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
OLD_NAMES = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}


def client_for(session: Any, bucket: str) -> Any:
    """
    A client of the bucket's own Region.

    Raises:
        RefusedError: the bucket is outside the European Union, or its Region is unknown.
        UsageError: there is no such bucket.
        FruitsError: no credentials, or AWS refuses.
    """
    first = session.region_name or PARIS
    refuse_outside_eu(first)
    client = _client(session, first)
    real = region_of(client, bucket)
    refuse_outside_eu(real)
    return client if real == first else _client(session, real)


def region_of(client: Any, bucket: str) -> str:
    """
    HeadBucket tells it, also where it refuses or points elsewhere: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html

    Raises:
        RefusedError: its Region is unknown.
        UsageError: there is no such bucket.
        FruitsError: no credentials, or AWS refuses.
    """
    with asking("s3:ListBucket"):
        try:
            answer = client.head_bucket(Bucket=bucket)
        except client.exceptions.ClientError as error:
            answer = error.response
            if answer["ResponseMetadata"].get("HTTPStatusCode") == 404:
                raise UsageError(f"there is no bucket `{bucket}`", "create the bucket, or check its name") from error
            if answer["ResponseMetadata"].get("HTTPStatusCode") not in (301, 403):
                raise
    region = answer.get("BucketRegion") or answer["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
    if region:
        return str(region)
    with asking("s3:GetBucketLocation"):
        answer = client.get_bucket_location(Bucket=bucket)
    if "LocationConstraint" not in answer:
        raise RefusedError(f"unknown Region of bucket `{bucket}`", "use a bucket whose Region is known")
    location = answer["LocationConstraint"]
    return str(OLD_NAMES.get(location, location))


def _client(session: Any, region: str) -> Any:
    from botocore.config import Config

    config = Config(
        retries={"mode": "adaptive", "max_attempts": 8},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        # Checksums that S3-compatible servers may not know, https://github.com/boto/boto3/issues/4392
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.client("s3", region_name=region, config=config)
