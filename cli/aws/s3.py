"""Make a client for the Region of a bucket. Nothing is sent to a bucket outside the European Union."""

from __future__ import annotations

from typing import Any

from cli.aws import errors as aws
from cli.aws.errors import translate_aws_errors
from cli.aws.regions import PARIS
from cli.aws.session import ERRORS
from cli.errors import UsageError
from job.contract.aws_session import allowed_region


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
