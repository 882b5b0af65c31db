"""List the images below an S3 prefix, with many list requests in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from botocore.exceptions import ClientError

from job.contract import uris
from job.contract.errors import InputError, NoPhotosError
from job.contract.filenames import MAX_LOOSE, FolderToList, ListingRow, ignored_kind, is_pattern, label_of, skipped_folder
from job.storage import s3_client

IN_FLIGHT = 16  # list requests per task; one answers with 1,000 keys in about 0.1 s
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}  # storage classes

Page = tuple[FolderToList, list[ListingRow], str | None]  # one answer of ListObjectsV2, and the token of the next


ERRORS = s3_client.S3_ERRORS  # of one folder


def check(input_uri: str) -> None:
    """
    Raise an error if the prefix cannot be listed.

    Raises:
        InputError: there is no such bucket or prefix, or it is an object.
        CredentialsError: S3 denies access.
    """
    bucket, key = uris.bucket_and_key(input_uri)
    try:
        if _first_key(bucket, key + "/" if key else "") or not key:
            return
        if _first_key(bucket, key) == key:
            raise InputError(f"`{input_uri}` is a file", "give the folder that holds one sub-folder per label")
    except s3_client.S3_ERRORS as error:
        raise s3_client.translate_error(error, input_uri, InputError) from error
    hint = "give the prefix that all photos share, not a pattern" if is_pattern(key) else "check the bucket and the prefix"
    raise NoPhotosError(f"there are no objects below `{input_uri}`", hint)


def _first_key(bucket: str, prefix: str) -> str | None:
    found = s3_client.client().list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
    return found[0]["Key"] if found else None


def list_folders(input_uri: str, folders: list[FolderToList], _content_hash: bool) -> Iterator[ListingRow]:
    """
    Yield one row per key below `folders`; the etag is S3's own.

    IN_FLIGHT pages at a time, so memory does not grow with the number of keys.
    """
    waiting: deque[tuple[FolderToList, str | None]] = deque((folder, None) for folder in folders)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        running: set[Future[Page]] = set()
        while waiting or running:
            while waiting and len(running) < IN_FLIGHT:
                running.add(pool.submit(_page, input_uri, *waiting.popleft()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                folder, rows, token = future.result()
                if token:
                    waiting.appendleft((folder, token))
                yield from rows


def _page(input_uri: str, folder: FolderToList, token: str | None) -> Page:
    """
    Return one page of a listing.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    bucket = uris.bucket_and_key(folder.uri)[0]
    try:
        answer = _list_objects(folder.uri, folder.deep, token)
    except s3_client.S3_ERRORS as error:
        # This folder's policy; credentials that are refused altogether end the run.
        if isinstance(error, ClientError) and s3_client.error_code(error) in ("AccessDenied", "403"):
            return folder, [ListingRow(folder.uri.rstrip("/"), problem="access denied")], None
        raise s3_client.translate_error(error, folder.uri, InputError) from error
    rows = []
    for found in answer.get("Contents", []):
        uri, name = f"s3://{bucket}/{found['Key']}", found["Key"].rpartition("/")[2]
        if not name:
            continue  # a key that ends in a slash marks a folder
        if suffix := skipped_folder(uri.rpartition("/")[0], input_uri) or ignored_kind(name):
            rows.append(ListingRow(None, suffix=suffix, files=1))
        else:
            rows.append(ListingRow(uri, found["ETag"].strip('"'), None if _archived(found) else found["Size"], label_of(uri, input_uri)))
    return folder, rows, answer.get("NextContinuationToken")


def _archived(found: dict[str, Any]) -> bool:
    """
    Return whether the object must be restored before a GET.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
    """
    restored = found.get("RestoreStatus", {})
    return found.get("StorageClass") in ARCHIVES and not ("RestoreExpiryDate" in restored and not restored.get("IsRestoreInProgress"))


def subfolders(uri: str) -> tuple[list[str], int]:
    """Return the URIs of the sub-folders, and the number of keys directly in it. Counting ends a page after MAX_LOOSE."""
    bucket = uris.bucket_and_key(uri)[0]
    below: list[str] = []
    loose, token = 0, None
    while True:
        answer = _list_objects(uri, deep=False, token=token)
        below += [f"s3://{bucket}/{found['Prefix']}" for found in answer.get("CommonPrefixes", [])]
        loose += sum(not found["Key"].endswith("/") for found in answer.get("Contents", []))
        token = answer.get("NextContinuationToken")
        if not token or loose > MAX_LOOSE:
            return below, loose


def _list_objects(uri: str, deep: bool, token: str | None) -> dict[str, Any]:
    bucket, prefix = uris.bucket_and_key(uri)
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "OptionalObjectAttributes": ["RestoreStatus"]}
    if not deep:
        request["Delimiter"] = "/"
    if token:
        request["ContinuationToken"] = token
    answer: dict[str, Any] = s3_client.client().list_objects_v2(**request)
    return answer
