"""Files on disk and objects on S3, in every version, delete markers included: listed, read, removed for good."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from job.errors import InputError, JobError, OutputError
from job.s3 import S3_ERRORS, client, explain
from job.uris import bucket_and_key, is_s3, local_path

DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


class Version(NamedTuple):
    uri: str
    version: str | None  # None: a disk, which keeps none
    current: bool  # what a reader sees today; False for older ones, and for a delete marker
    marker: bool  # a delete marker: it has no content


def versions_below(prefix: str) -> Iterator[Version]:
    """
    Everything whose URI begins with `prefix`, hidden files too.

    Raises:
        OutputError, CredentialsError: it cannot be listed.
    """
    if not is_s3(prefix):
        yield from _local(prefix)
        return
    bucket, key = bucket_and_key(prefix)
    try:
        for page in client().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for found in page.get("Versions", []):
                yield Version(f"s3://{bucket}/{found['Key']}", found["VersionId"], found["IsLatest"], False)
            for found in page.get("DeleteMarkers", []):
                yield Version(f"s3://{bucket}/{found['Key']}", found["VersionId"], False, True)
    except S3_ERRORS as error:
        raise explain(error, prefix, OutputError) from error


def versions_of(uri: str) -> list[Version]:
    """Those of exactly this file or object; none if there is none."""
    if not is_s3(uri):
        return [Version(uri, None, True, False)] if os.path.lexists(local_path(uri)) else []
    return [version for version in versions_below(uri) if version.uri == uri]


def content_of(version: Version) -> bytes | None:
    """
    None for a delete marker, and for what has gone meanwhile.

    Raises:
        OutputError, CredentialsError: it cannot be read.
    """
    if version.marker:
        return None
    if version.version is None:
        try:
            with open(local_path(version.uri), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"cannot read `{local_path(version.uri)}`: {error.strerror}", "make the file readable") from error
    bucket, key = bucket_and_key(version.uri)
    older = {} if version.current else {"VersionId": version.version}  # not every server knows the version `null` of a bucket without any
    try:
        content: bytes = client().get_object(Bucket=bucket, Key=key, **older)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion", "404"):
            return None
        raise explain(error, version.uri, OutputError) from error
    except S3_ERRORS as error:
        raise explain(error, version.uri, OutputError) from error
    return content


def remove(versions: Iterable[Version]) -> int:
    """
    Remove for good; how many. What has gone already counts too, so a second try ends alike.

    Raises:
        InputError, CredentialsError: something may not be removed; what comes before it is gone.
    """
    by_bucket: dict[str, list[Version]] = defaultdict(list)
    removed = 0
    for version in versions:
        removed += 1
        if version.version is None:
            _unlink(local_path(version.uri))
        else:
            by_bucket[bucket_and_key(version.uri)[0]].append(version)
    for bucket, found in by_bucket.items():
        rest = iter(found)
        while some := list(islice(rest, DELETED_AT_ONCE)):
            _delete_objects(bucket, [{"Key": bucket_and_key(one.uri)[1], "VersionId": one.version} for one in some])
    return removed


def _local(prefix: str) -> Iterator[Version]:
    path = local_path(prefix)
    top = path if os.path.isdir(path) else os.path.dirname(path)
    for folder, _, names in os.walk(top):
        for name in names:
            uri = "file://" + os.path.join(folder, name)
            if uri.startswith(prefix):
                yield Version(uri, None, True, False)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot delete `{path}`: {error.strerror}", "make its folder writable, then run the command again") from error


def _delete_objects(bucket: str, objects: list[dict[str, Any]]) -> None:
    try:
        failed = client().delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors")
    except S3_ERRORS as error:
        raise _explained(error, bucket) from error
    if failed:
        uri, why = f"s3://{bucket}/{failed[0].get('Key')}", failed[0].get("Code")
        raise InputError(f"cannot delete `{uri}`: {why}", "allow s3:DeleteObject and s3:DeleteObjectVersion, then run the command again")


def _explained(error: Exception, bucket: str) -> JobError:
    return explain(error, f"s3://{bucket}", InputError)
