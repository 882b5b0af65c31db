"""
Photos from a folder into a bucket: in parallel, checksummed on both sides, only what is not there yet. In: a folder and an s3:// URI.

What is there with the same bytes is not sent again, so a push that was interrupted goes on, and nothing is ever deleted.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.aws import asking
from cli.errors import UsageError
from cli.metadata import UnknownFormat, strip
from job.listing_rows import ignored_as, skipped_folder
from job.uris import bucket_and_key

CONNECTIONS = 16
MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html


@dataclass(frozen=True)
class Photo:
    path: Path
    key: str


@dataclass
class Pushed:
    """`refused`: path and reason of what was not sent; `ignored`: files that are no photos by their name."""

    photos: int = 0
    sent: int = 0
    bytes: int = 0  # sent
    already: int = 0
    ignored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def find(folder: Path, uri: str) -> tuple[list[Photo], Pushed]:
    """
    The photos below `folder` with their keys below `uri`, and what is already known not to be sent.

    Raises:
        UsageError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder `{folder}`", "give the folder with one sub-folder per label")
    _, prefix = bucket_and_key(uri)
    photos, result = [], Pushed()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if skipped_folder(str(path.parent), str(folder)) or ignored_as(path.name) is not None:
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
        photos.append(Photo(path, key))
    if not photos and not result.refused:
        raise UsageError(f"there are no photos below `{folder}`", "use files ending in .jpg .png .gif .webp .bmp .tif")
    result.photos = len(photos) + len(result.refused)
    return photos, result


def push(
    client: Any, uri: str, photos: list[Photo], result: Pushed, strip_metadata: bool, progress: Callable[[int, int | None], None]
) -> Pushed:
    """
    Send what is not yet below `uri`; one photo that cannot be read is in `refused`, and the others go on.

    Raises:
        FruitsError: S3 cannot be reached, or refuses.
    """
    bucket, prefix = bucket_and_key(uri)
    with asking("s3:ListBucket"):
        there = dict(_listed(client, bucket, f"{prefix}/" if prefix else ""))
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="push")
    try:
        futures = {pool.submit(_push_one, client, bucket, photo, there.get(photo.key), strip_metadata): photo for photo in photos}
        for done, future in enumerate(as_completed(futures), start=1):
            try:
                size = future.result()
            except (OSError, UnknownFormat) as error:
                reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else f"cannot remove its metadata: {error}"
                result.refused.append((str(futures[future].path), reason))
            else:
                result.sent += size is not None
                result.already += size is None
                result.bytes += size or 0
            progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)
    result.refused.sort()
    return result


def _push_one(client: Any, bucket: str, photo: Photo, there: tuple[str, int] | None, strip_metadata: bool) -> int | None:
    """Bytes sent, or None if it was there."""
    content = photo.path.read_bytes()
    if strip_metadata:
        content = strip(content)
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if there is not None and there[1] == len(content) and _same(client, bucket, photo.key, there[0], content, sha256):
        return None
    kind = mimetypes.guess_type(photo.path.name)[0] or "application/octet-stream"
    with asking("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=photo.key, Body=content, ChecksumSHA256=sha256, ContentType=kind)  # S3 compares it
    return len(content)


def _same(client: Any, bucket: str, key: str, etag: str, content: bytes, sha256: str) -> bool:
    """An ETag is the MD5 of the content, unless a KMS key encrypts it; then S3 is asked for the checksum that came with it."""
    if etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    with asking("s3:GetObject"):
        head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return bool(head.get("ChecksumSHA256") == sha256)


def _listed(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, tuple[str, int]]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"], (item["ETag"].strip('"'), item["Size"])


def _files(folder: Path) -> Iterator[Path]:
    """Sorted; links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))
