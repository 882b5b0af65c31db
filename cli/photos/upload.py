"""
Photos from a folder into a bucket: in parallel, checksummed on both sides, only what is not there yet. In: a folder and an s3:// URI.

What is there with the same bytes is not sent again, so a push that was interrupted can be resumed, and nothing is ever deleted.
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

from cli.aws.errors import asking
from cli.errors import UsageError
from cli.photos.strip_metadata import UnknownFormat, strip
from job.contract.filenames import ignored_as, skipped_folder
from job.contract.places import check_folder
from job.contract.reading import check_regular, open_regular
from job.contract.uris import bucket_and_key

T = TypeVar("T")
Progress = Callable[[int, int | None], None]
CONNECTIONS = 16
MAX_KEY_BYTES = 1024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html


@dataclass(frozen=True, order=True)
class Photo:
    path: Path
    key: str


class State(Enum):
    """What is in the bucket under the key of a photo."""

    NEW = "nothing"
    SAME = "the same bytes"
    OTHER = "other bytes"
    EXPOSED = "a copy without metadata, where the photo has some"


@dataclass
class Pushed:
    """
    `refused`: path and reason of what was not sent; `ignored`: files that are no photos by their name; `replaced`: photos that differ
    from what is there; `exposed`: the keys of those among them that would bring metadata to where it was removed.
    """

    photos: int = 0
    sent: int = 0
    bytes: int = 0  # sent
    already: int = 0
    replaced: int = 0
    exposed: list[str] = field(default_factory=list)
    ignored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def find(folder: Path, uri: str) -> tuple[list[Photo], Pushed]:
    """
    The photos below `folder` with their keys below `uri`, and what is already known not to be sent.

    Raises:
        UsageError: there is no such folder, or no photo in it.
        PlaceError: it is a file.
    """
    check_folder(str(folder))
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
        try:
            check_regular(str(path))
        except OSError as error:
            result.refused.append((str(path), _why(error)))
            continue
        photos.append(Photo(path, key))
    if not photos and not result.refused:
        raise UsageError(f"there are no photos below `{folder}`", "use files ending in .jpg .png .gif .webp .bmp .tif")
    result.photos = len(photos) + len(result.refused)
    return photos, result


def compare(client: Any, uri: str, photos: list[Photo], result: Pushed, strip_metadata: bool, progress: Progress) -> list[Photo]:
    """
    The photos that are not below `uri` yet, or with other bytes. Counts the others in `result`, and names there what would be exposed.

    Raises:
        FruitsError: S3 cannot be reached, or refuses.
    """
    bucket, prefix = bucket_and_key(uri)
    with asking("s3:ListBucket"):
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


def push(client: Any, uri: str, photos: list[Photo], result: Pushed, strip_metadata: bool, progress: Progress) -> None:
    """
    Send `photos`; one that cannot be read is in `result.refused`, and the others are sent.

    Raises:
        FruitsError: S3 cannot be reached, or refuses.
    """
    bucket, _ = bucket_and_key(uri)
    for _, size in _for_each(photos, lambda photo: _send(client, bucket, photo, strip_metadata), result, progress):
        result.sent += 1
        result.bytes += size


def _for_each(photos: list[Photo], function: Callable[[Photo], T], result: Pushed, progress: Progress) -> Iterator[tuple[Photo, T]]:
    """What `function` makes of each photo that can be read, CONNECTIONS of them at a time, in no order."""
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


def _state(client: Any, bucket: str, photo: Photo, there: tuple[str, int] | None, strip_metadata: bool) -> State:
    if there is None:
        return State.NEW
    content = _content(photo, strip_metadata)
    if _is_there(client, bucket, photo.key, there, content):
        return State.SAME
    bare = stripped(content)
    if bare == content:
        return State.OTHER
    if bare is not None and _is_there(client, bucket, photo.key, there, bare):
        return State.EXPOSED
    with asking("s3:GetObject"):  # another picture: the copy itself tells whether its metadata was removed
        copy: bytes = client.get_object(Bucket=bucket, Key=photo.key)["Body"].read()
    return State.EXPOSED if stripped(copy) == copy else State.OTHER


def _content(photo: Photo, strip_metadata: bool) -> bytes:
    with open_regular(str(photo.path)) as file:
        content = file.read()
    return strip(content) if strip_metadata else content


def stripped(content: bytes) -> bytes | None:
    """`content` without metadata; None where that cannot be promised."""
    try:
        return strip(content)
    except UnknownFormat:
        return None


def _send(client: Any, bucket: str, photo: Photo, strip_metadata: bool) -> int:
    """Bytes sent."""
    content = _content(photo, strip_metadata)
    kind = mimetypes.guess_type(photo.path.name)[0] or "application/octet-stream"
    with asking("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=photo.key, Body=content, ChecksumSHA256=_sha256(content), ContentType=kind)  # S3 compares it
    return len(content)


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _is_there(client: Any, bucket: str, key: str, there: tuple[str, int], content: bytes) -> bool:
    """An ETag is the MD5 of the content, unless a KMS key encrypts it; then S3 is asked for the checksum that came with it."""
    etag, size = there
    if size != len(content):
        return False
    if etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    with asking("s3:GetObject"):
        head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return bool(head.get("ChecksumSHA256") == _sha256(content))


def _listed(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, tuple[str, int]]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"], (item["ETag"].strip('"'), item["Size"])


def _files(folder: Path) -> Iterator[Path]:
    """Sorted; links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names))
