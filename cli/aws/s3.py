"""Make a client for the Region of a bucket. Nothing is sent to a bucket outside the European Union."""

from __future__ import annotations

from typing import Any

from cli.aws import errors as aws
from cli.aws.errors import translate_aws_errors
from cli.aws.regions import PARIS
from cli.aws.session import ERRORS
from cli.errors import RefusedError, UsageError
from job.contract.aws_session import allowed_region
from job.contract.uris import bucket_and_key


def client_for(session: Any, bucket: str) -> Any:
    """
    Return a client of the bucket's own Region.

    Raises:
        RefusedError: the bucket is outside the European Union, or its Region is unknown.
        UsageError: there is no such bucket.
        FruitsError: no credentials, or AWS refuses.
    """
    first = session.region_name or PARIS
    client = aws.client(session, "s3", first)
    real = region_of(client, bucket)
    return client if real == first else aws.client(session, "s3", real)


def region_of(client: Any, bucket: str) -> str:
    """
    Return the Region of the bucket.

    Raises:
        RefusedError: the bucket is outside the European Union, or its Region is unknown.
        UsageError: there is no such bucket.
        FruitsError: no credentials, or AWS refuses.
    """
    with translate_aws_errors("s3:ListBucket"):
        try:
            return allowed_region(client, bucket, ERRORS)
        except client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") == 404:
                raise UsageError(f"there is no bucket `{bucket}`", "create the bucket, or check its name") from error
            raise


def check_region(client: Any, region: str, place: str, *uris: str) -> None:
    """
    Check that the buckets of `uris` are in `region`, where `place` is: bytes between Regions are slow, and billed.

    Raises:
        RefusedError: a bucket is outside the European Union, or in another Region.
        UsageError: there is no such bucket.
        FruitsError: no credentials, or AWS refuses.
    """
    for bucket in dict.fromkeys(bucket_and_key(uri)[0] for uri in uris):
        real = region_of(client, bucket)
        if real != region:
            message = f"bucket `{bucket}` is in {real}, {place} in {region}"
            raise RefusedError(message, f"copy the data to a bucket in the Region of {place}")


def read_if_there(client: Any, uri: str) -> bytes | None:
    """Return the bytes of an object, None if there is none. Raises FruitsError if AWS refuses."""
    bucket, key = bucket_and_key(uri)
    with translate_aws_errors("s3:GetObject"):
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
    return content
