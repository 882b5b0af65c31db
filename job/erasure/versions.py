"""List, read and permanently remove files and S3 objects in every version, with delete markers and unfinished uploads."""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from job.contract.atomic_write import is_partial
from job.contract.errors import InputError, OutputError
from job.contract.reading import NotRegular, open_regular
from job.contract.uris import bucket_and_key, is_s3, local_path, printable
from job.storage.s3_client import ACCESS_DENIED, S3_ERRORS, client, error_code, translate_error

T = TypeVar("T")
R = TypeVar("R")
IN_FLIGHT = 32  # requests
# Characters that the XML of DeleteObjects cannot have or changes: https://www.w3.org/TR/xml/#charsets
NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


Progress = Callable[[int], None]


def no_progress(done: int) -> None:
    pass


class ArchivedError(OutputError):
    """An object of a storage class that cannot be read before it is restored; it can be deleted."""


class Version(NamedTuple):
    """One version of a file or object, a delete marker or an unfinished upload."""

    uri: str
    version: str | None  # None on a disk, which has no versions
    current: bool  # whether readers see it; False for older versions and for delete markers
    marker: bool  # a delete marker: it has no content
    upload: bool = False  # an unfinished multipart upload: `version` is its id; it is not readable until it is completed
    size: int = 0  # bytes, where a listing says it


def versions_below(prefix: str) -> Iterator[Version]:
    """
    Yield every version whose URI begins with `prefix`, of hidden files too.

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
                yield Version(f"s3://{bucket}/{found['Key']}", found["VersionId"], found["IsLatest"], False, size=found.get("Size", 0))
            for found in page.get("DeleteMarkers", []):
                yield Version(f"s3://{bucket}/{found['Key']}", found["VersionId"], False, True)
    except S3_ERRORS as error:
        raise translate_error(error, prefix, OutputError) from error


def unfinished(folder: str) -> Iterator[Version]:
    """Yield what killed writers left below `folder`: under the lease there are no others. Raises the errors of `versions_below`."""
    if is_s3(folder):
        yield from _uploads(folder.rstrip("/") + "/")
    else:
        yield from (version for version in versions_below(folder + "/") if is_partial(version.uri.rpartition("/")[2]))


def unfinished_of(uris: Iterable[str]) -> Iterator[Version]:
    """
    Yield uploads of exactly these objects that were never completed.

    One listing per bucket. Raises the errors of `versions_below`.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for bucket, key in (bucket_and_key(uri) for uri in uris if is_s3(uri)):
        keys[bucket].add(key)
    for bucket, wanted in keys.items():
        found = _uploads(f"s3://{bucket}/{os.path.commonprefix(sorted(wanted))}")  # noqa: RUF071 - S3 compares prefixes by characters too
        yield from (upload for upload in found if bucket_and_key(upload.uri)[1] in wanted)


def versions_of(uri: str) -> list[Version]:
    """Return the versions of exactly this file or object; none for a folder or if it does not exist."""
    if not is_s3(uri):
        path = local_path(uri)
        return [Version(uri, None, True, False)] if os.path.lexists(path) and not os.path.isdir(path) else []
    return [version for version in versions_below(uri) if version.uri == uri]


def versions_of_each(uris: Iterable[str], progress: Progress = no_progress) -> Iterator[Version]:
    """Yield the versions of all `uris`. `progress` gets the number of URIs looked up."""
    for done, versions in enumerate(map_in_parallel(versions_of, uris), start=1):
        yield from versions
        progress(done)


def map_in_parallel(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `function(item)` for each item in order, IN_FLIGHT at a time: S3 answers many requests as fast as one."""
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        yield from pool.map(function, items)


def content_of(version: Version) -> bytes | None:
    """
    Return the content; None if there is none.

    That is so for a delete marker, a version that no longer exists, and a file that holds no bytes: a pipe, a socket, a device, a link to
    itself.

    Raises:
        ArchivedError, OutputError, CredentialsError: it cannot be read.
    """
    if version.marker:
        return None
    if version.version is None:
        try:
            with open_regular(local_path(version.uri)) as file:
                return file.read()
        except (FileNotFoundError, NotRegular):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise OutputError(f"cannot read `{printable(local_path(version.uri))}`: {error.strerror}", "make the file readable") from error
    bucket, key = bucket_and_key(version.uri)
    older = {} if version.current else {"VersionId": version.version}  # not every server knows the version `null` of an unversioned bucket
    try:
        content: bytes = client().get_object(Bucket=bucket, Key=key, **older)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion", "404"):
            return None
        if error_code(error) == "InvalidObjectState":
            raise ArchivedError(f"cannot read `{printable(version.uri)}`: it is archived", "restore the object first") from error
        raise translate_error(error, version.uri, OutputError) from error
    except S3_ERRORS as error:
        raise translate_error(error, version.uri, OutputError) from error
    return content


def size_of(version: Version) -> int:
    """Return the bytes of a version as its listing said, or of a file on a disk as it is now; 0 if it has gone."""
    if is_s3(version.uri):
        return version.size
    try:
        return os.stat(local_path(version.uri)).st_size
    except OSError:
        return 0


def remove(versions: Iterable[Version], progress: Progress = no_progress) -> int:
    """
    Remove for good; how many. What has gone already counts too, so a second try ends alike. `progress` is told how many are gone.

    Delete markers go last, when everything else is gone: without its marker a version that is left is an object for readers again.

    Raises:
        InputError, CredentialsError: something may not be removed; what comes before it is gone.
    """
    by_bucket: dict[tuple[bool, str], list[Version]] = defaultdict(list)
    removed = 0
    for version in versions:
        if version.version is None:
            _unlink(local_path(version.uri))
            removed += 1
        elif version.upload:
            _abort(version)
            removed += 1
        else:
            by_bucket[version.marker, bucket_and_key(version.uri)[0]].append(version)
    for markers in (False, True):
        found = [versions for (marker, _), versions in by_bucket.items() if marker is markers]
        batches = (some[first : first + DELETED_AT_ONCE] for some in found for first in range(0, len(some), DELETED_AT_ONCE))
        for deleted in map_in_parallel(_delete_objects, batches):
            removed += deleted
            progress(removed)
    return removed


def _uploads(prefix: str) -> Iterator[Version]:
    """
    Yield the unfinished uploads below `prefix`.

    Keys are requested in URL form, since XML cannot have all of them. boto3 does so, and decodes them, in all other listings; its paginator
    would send the next page's marker undecoded.
    """
    bucket, key = bucket_and_key(prefix)
    markers: dict[str, str] = {}
    try:
        while True:
            page = client().list_multipart_uploads(Bucket=bucket, Prefix=key, EncodingType="url", **markers)
            read = unquote_plus if page.get("EncodingType") == "url" else str  # not every server can
            for found in page.get("Uploads", []):
                yield Version(f"s3://{bucket}/{read(found['Key'])}", found["UploadId"], False, True, upload=True)
            if not page.get("IsTruncated"):
                return
            markers = {"KeyMarker": read(page["NextKeyMarker"]), "UploadIdMarker": page["NextUploadIdMarker"]}
    except S3_ERRORS as error:
        raise translate_error(error, prefix, OutputError) from error


def _abort(upload: Version) -> None:
    bucket, key = bucket_and_key(upload.uri)
    try:
        client().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.version)
    except S3_ERRORS as error:
        if error_code(error) != "NoSuchUpload":
            raise translate_error(error, upload.uri, InputError) from error


def _local(prefix: str) -> Iterator[Version]:
    """Yield local files. Symbolic links to folders are followed, to each folder once: a search must see what a reader sees."""
    path, seen = local_path(prefix), set()
    for folder, below, names in os.walk(os.path.dirname(path), onerror=_not_listed, followlinks=True):
        seen.add(os.path.realpath(folder))
        paths = {name: os.path.join(folder, name, "") for name in below}
        below[:] = [name for name in below if paths[name].startswith(path) and os.path.realpath(paths[name]) not in seen]
        for name in names:
            uri = "file://" + os.path.join(folder, name)
            if uri.startswith(prefix):
                yield Version(uri, None, True, False)


def _not_listed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise OutputError(f"cannot list `{printable(error.filename)}`: {error.strerror}", "make the folder readable") from error


def _unlink(path: str) -> None:
    """
    Delete the file, then each symbolic link to it: after an interruption the links lead to the file again.

    Of a link to a special file, such as a device, delete only the link.
    """
    links = []
    while os.path.islink(path) and path not in links:
        links.append(path)
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    for one in [*([path] if not links or os.path.isfile(path) else []), *reversed(links)]:
        try:
            os.unlink(one)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(
                f"cannot delete `{printable(one)}`: {error.strerror}", "make its folder writable, then run the command again"
            ) from error


def _delete_objects(versions: list[Version]) -> int:
    """Delete at most DELETED_AT_ONCE versions of one bucket and return their number."""
    for odd in (one for one in versions if NOT_IN_XML.search(one.uri)):
        _delete_object(odd)
    if together := [one for one in versions if not NOT_IN_XML.search(one.uri)]:
        _delete_together(together)
    return len(versions)


def _delete_object(version: Version) -> None:
    bucket, key = bucket_and_key(version.uri)
    try:
        client().delete_object(Bucket=bucket, Key=key, VersionId=version.version)
    except S3_ERRORS as error:
        raise translate_error(error, printable(version.uri), InputError) from error


def _delete_together(versions: list[Version]) -> None:
    bucket = bucket_and_key(versions[0].uri)[0]
    objects = [{"Key": bucket_and_key(one.uri)[1], "VersionId": one.version} for one in versions]
    try:
        failed = client().delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors")
    except S3_ERRORS as error:
        raise translate_error(error, f"s3://{bucket}", InputError) from error
    if failed:
        uri, why = f"s3://{bucket}/{failed[0].get('Key')}", failed[0].get("Code")
        allow = "allow s3:DeleteObject and s3:DeleteObjectVersion, then " if why in ACCESS_DENIED else ""
        raise InputError(f"cannot delete `{uri}`: {why}", f"{allow}run the command again")
