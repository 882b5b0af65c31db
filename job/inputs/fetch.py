"""
Fetch the bytes of listed images in order: many reads in flight while the caller decodes, within a memory limit.

Never raises for one image: an unreadable one becomes a FetchError.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from job.contract.errors import FetchError
from job.contract.reading import open_regular
from job.contract.uris import bucket_and_key, is_s3, local_path
from job.imaging.decode import MAX_PIXELS
from job.storage.s3_client import bucket_store

IN_FLIGHT = 32  # at 60 ms a GET that is 530 images/s per task: well over what a core infers
IN_FLIGHT_BYTES = 32 << 20  # of a task, read ahead or waiting; one larger image still goes alone
# MAX_PIXELS as uncompressed 24-bit colours, 256 MiB, and room for headers. Larger files are not read.
MAX_BYTES = 3 * MAX_PIXELS + (1 << 20)

ARCHIVED = "archived, restore it first"  # in S3 Glacier


class ListedImage(NamedTuple):
    """One image of the listing."""

    uri: str
    etag: str
    size: int | None  # bytes; None: archived, so that a GET would fail
    label: str | None


def fetch(keys: Iterable[ListedImage]) -> Iterator[tuple[ListedImage, bytes | FetchError]]:
    """Yield each image with its content, in order, while up to IN_FLIGHT others are being read."""
    waiting: deque[tuple[ListedImage, Future[bytes | FetchError]]] = deque()
    waiting_bytes = 0
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="fetch") as pool:
        for key in keys:
            size = key.size or 0
            while waiting and (len(waiting) >= IN_FLIGHT or waiting_bytes + size > IN_FLIGHT_BYTES):
                first, content = waiting.popleft()
                yield first, content.result()
                waiting_bytes -= first.size or 0
            waiting.append((key, pool.submit(_read, key)))
            waiting_bytes += size
        while waiting:
            first, content = waiting.popleft()
            yield first, content.result()


def _read(key: ListedImage) -> bytes | FetchError:
    if key.size is None:
        return FetchError(ARCHIVED)
    if key.size > MAX_BYTES:
        return FetchError(f"too large: {key.size} bytes")
    try:
        return read_s3(key) if is_s3(key.uri) else read_local(key)
    except FetchError as error:
        return error


def read_local(key: ListedImage) -> bytes:
    """
    Return the bytes of a local file.

    Raises:
        FetchError: unreadable, vanished, no longer a regular file, or changed since it was listed.
    """
    try:
        with open_regular(local_path(key.uri)) as file:
            status = os.fstat(file.fileno())
            content = file.read((key.size or 0) + 1)  # the file may have grown meanwhile
    except OSError as error:
        raise FetchError((error.strerror or type(error).__name__).lower()) from error
    if key.etag not in (stat_etag(status), content_etag(content) if len(key.etag) == 64 else None):
        raise FetchError("changed since it was listed")
    return content


def stat_etag(status: os.stat_result) -> str:
    """Return the etag of a local file from its size and modification time."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def find_image(uri: str) -> tuple[ListedImage, float] | None:
    """
    Return what a listing gives for one image, without its label, and when it was written (seconds since 1970); None if it is gone.

    Raises:
        OSError, RegionError, one of S3_ERRORS: it cannot be asked for.
    """
    if not is_s3(uri):
        try:
            status = os.stat(local_path(uri))
        except FileNotFoundError:
            return None
        return ListedImage(uri, stat_etag(status), status.st_size, None), status.st_mtime
    from job.storage.s3_client import client, error_code

    bucket, name = bucket_and_key(uri)
    try:
        head = client().head_object(Bucket=bucket, Key=name)
    except client().exceptions.ClientError as error:
        if error_code(error) in ("404", "NoSuchKey"):
            return None
        raise
    return ListedImage(uri, head["ETag"].strip('"'), head["ContentLength"], None), head["LastModified"].timestamp()


def content_etag(content: bytes) -> str:
    """Return the etag of a content: its SHA-256."""
    return hashlib.sha256(content).hexdigest()


def read_s3(key: ListedImage) -> bytes:
    """
    Return the bytes of an S3 object by GET with If-Match, so that bytes and etag belong together.

    Throttling, resets and timeouts are retried with backoff.

    Raises:
        FetchError: refused, vanished, changed since it was listed, or still failing after all tries.
    """
    bucket, name = bucket_and_key(key.uri)
    if not _addressable(name):
        return _read_boto3(bucket, name, key.etag)
    import obstore  # here and below: workers that read local files start without it and without boto3
    from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, PreconditionError

    from job.storage.s3_client import S3_ERRORS

    try:
        result = obstore.get(bucket_store(bucket), name, options={"if_match": f'"{key.etag}"'})
        return bytes(result.bytes())
    except PreconditionError as error:
        raise FetchError("changed since it was listed") from error
    except (NotFoundError, FileNotFoundError) as error:
        raise FetchError("no such file or directory") from error
    except (PermissionDeniedError, PermissionError) as error:
        raise FetchError(ARCHIVED if "InvalidObjectState" in str(error) else "permission denied") from error
    except (BaseError, *S3_ERRORS) as error:
        raise FetchError("no response from S3") from error


def _addressable(name: str) -> bool:
    """Return whether obstore can read the key: its paths have no empty, `.` or `..` parts and no control characters."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and name.isprintable()


def _read_boto3(bucket: str, name: str, etag: str) -> bytes:
    from job.storage.s3_client import S3_ERRORS, error_code, read_object

    try:
        return read_object(bucket, name, etag)
    except S3_ERRORS as error:
        reasons = {
            "PreconditionFailed": "changed since it was listed",
            "NoSuchKey": "no such file or directory",
            "AccessDenied": "permission denied",
            "InvalidObjectState": ARCHIVED,
        }
        raise FetchError(reasons.get(error_code(error), "no response from S3")) from error
