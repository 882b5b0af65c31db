"""
Upload photos from a folder to a bucket in parallel, checksummed on both sides, only those that are not there yet.

Photos that are there with the same bytes are not sent again, so an interrupted push resumes. Nothing is ever deleted.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from cli.aws.errors import translate_aws_errors
from cli.errors import UsageError
from cli.photos.strip_metadata import UnknownFormat, strip
from job.contract.filenames import ignored_kind, skipped_folder
from job.contract.locations import check_folder
from job.contract.reading import check_regular, open_regular
from job.contract.uris import bucket_and_key

T = TypeVar("T")
Progress = Callable[[int, int | None], None]
CONNECTIONS = 16
MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html


@dataclass(frozen=True, order=True)
class LocalPhoto:
    """A local photo and its key in the bucket."""

    path: Path
    key: str


class State(Enum):
    """What is in the bucket under the key of a photo."""

    NEW = "nothing"
    SAME = "the same bytes"
    OTHER = "other bytes"
    EXPOSED = "a copy without metadata, where the photo has some"


@dataclass
class UploadResult:
    """
    What an upload sent and what it left out.

    `refused`: path and reason of what was not sent; `ignored`: files that are not photos by name; `replaced`: photos that differ from the
    object in the bucket; `exposed`: the keys of those among them whose metadata would come back after it was removed.
    """

    photos: int = 0
    sent: int = 0
    bytes: int = 0  # sent
    already: int = 0
    replaced: int = 0
    exposed: list[str] = field(default_factory=list)
    ignored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def find_photos(folder: Path, uri: str) -> tuple[list[LocalPhoto], UploadResult]:
    """
    Return the photos below `folder` with their keys below `uri`, and what will not be sent.

    Raises:
        UsageError: there is no such folder, or no photo in it.
        LocationError: it is a file.
    """
    check_folder(str(folder))
    if not folder.is_dir():
        raise UsageError(f"there is no folder `{folder}`", "give the folder with one sub-folder per label")
    _, prefix = bucket_and_key(uri)
    photos, result = [], UploadResult()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if skipped_folder(str(path.parent), str(folder)) or ignored_kind(path.name) is not None:
            result.ignored += 1
            continue
        key = f"{prefix}/{name}" if prefix else name
        try:
            too_long = len(key.encode()) > MAX_KEY_BYTES
        except UnicodeEncodeError:
            result.refused.append((os.fsencode(path).decode(errors="backslashreplace"), "file name is not UTF-8"))
            continue
        if too_long:
            result.refused.append((str(path), f"S3 key longer than {MAX_KEY_BYTES:,} bytes"))
            continue
        try:
            check_regular(str(path))
        except OSError as error:
            result.refused.append((str(path), _why(error)))
            continue
        photos.append(LocalPhoto(path, key))
    if not photos and not result.refused:
        raise UsageError(f"there are no photos below `{folder}`", "use files ending in .jpg .heic .png .webp .avif .gif .bmp .tif")
    result.photos = len(photos) + len(result.refused)
    return photos, result


def compare(
    client: Any, uri: str, photos: list[LocalPhoto], result: UploadResult, strip_metadata: bool, progress: Progress
) -> list[LocalPhoto]:
    """
    Return the photos that are missing below `uri` or differ there.

    The others are counted in `result`, with those that would be exposed.

    Raises:
        FruitsError: S3 cannot be reached, or refuses.
    """
    bucket, prefix = bucket_and_key(uri)
    with translate_aws_errors("s3:ListBucket"):
        there = dict(_listed(client, bucket, f"{prefix}/" if prefix else ""))
    missing = []
    for photo, state in _for_each(
        photos, lambda photo: _state(client, bucket, photo, there.get(photo.key), strip_metadata), result, progress
    ):
        if state is State.SAME:
            result.already += 1
            continue
        missing.append(photo)
        result.replaced += state is not State.NEW
        if state is State.EXPOSED:
            result.exposed.append(photo.key)
    result.exposed.sort()
    return sorted(missing)


def push(client: Any, uri: str, photos: list[LocalPhoto], result: UploadResult, strip_metadata: bool, progress: Progress) -> None:
    """
    Send `photos`; one that cannot be read is in `result.refused`, and the others are sent.

    Raises:
        FruitsError: S3 cannot be reached, or refuses.
    """
    bucket, _ = bucket_and_key(uri)
    for _, size in _for_each(photos, lambda photo: _send(client, bucket, photo, strip_metadata), result, progress):
        result.sent += 1
        result.bytes += size


def _for_each(
    photos: list[LocalPhoto], function: Callable[[LocalPhoto], T], result: UploadResult, progress: Progress
) -> Iterator[tuple[LocalPhoto, T]]:
    """Yield `function(photo)` for each photo that can be read, CONNECTIONS at a time, in no order."""
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="push")
    try:
        futures = {pool.submit(function, photo): photo for photo in photos}
        for done, future in enumerate(as_completed(futures), start=1):
            try:
                yield futures[future], future.result()
            except (OSError, UnknownFormat) as error:
                reason = _why(error) if isinstance(error, OSError) else f"cannot remove its metadata: {error}"
                result.refused.append((str(futures[future].path), reason))
            progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)
    result.refused.sort()


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _state(client: Any, bucket: str, photo: LocalPhoto, there: tuple[str, int] | None, strip_metadata: bool) -> State:
    if there is None:
        return State.NEW
    content = _content(photo, strip_metadata)
    if _is_there(client, bucket, photo.key, there, content):
        return State.SAME
    bare = without_metadata(content)
    if bare == content:
        return State.OTHER
    if bare is not None and _is_there(client, bucket, photo.key, there, bare):
        return State.EXPOSED
    with translate_aws_errors("s3:GetObject"):  # another picture: the copy itself tells whether its metadata was removed
        copy: bytes = client.get_object(Bucket=bucket, Key=photo.key)["Body"].read()
    return State.EXPOSED if without_metadata(copy) == copy else State.OTHER


def _content(photo: LocalPhoto, strip_metadata: bool) -> bytes:
    with open_regular(str(photo.path)) as file:
        content = file.read()
    return strip(content) if strip_metadata else content


def without_metadata(content: bytes) -> bytes | None:
    """Return `content` without metadata; None if that cannot be guaranteed."""
    try:
        return strip(content)
    except UnknownFormat:
        return None


def _send(client: Any, bucket: str, photo: LocalPhoto, strip_metadata: bool) -> int:
    """Upload a photo and return the number of bytes sent."""
    content = _content(photo, strip_metadata)
    kind = mimetypes.guess_type(photo.path.name)[0] or "application/octet-stream"
    with translate_aws_errors("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=photo.key, Body=content, ChecksumSHA256=_sha256(content), ContentType=kind)  # S3 compares it
    return len(content)


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _is_there(client: Any, bucket: str, key: str, there: tuple[str, int], content: bytes) -> bool:
    """
    Return whether S3 has this content.

    An ETag is the MD5 of the content, unless a KMS key encrypts it; then S3 is asked for the checksum that came with it.
    """
    etag, size = there
    if size != len(content):
        return False
    if etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    with translate_aws_errors("s3:GetObject"):
        head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return bool(head.get("ChecksumSHA256") == _sha256(content))


def _listed(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, tuple[str, int]]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"], (item["ETag"].strip('"'), item["Size"])


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files, sorted; links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))
