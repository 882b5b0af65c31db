"""Keep small files below a prefix of S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from job.contract.errors import OutputError
from job.contract.uris import bucket_and_key, join
from job.storage.local_store import local_errors
from job.storage.object_store import Conflict, File, Folder, Stored
from job.storage.s3_client import S3_ERRORS, client, error_code, read_whole, translate_error

ATTEMPTS = 4  # of one request to S3: a wrong endpoint is known within seconds
# 404: deleted under an If-Match. 409: another conditional write is under way.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html#conditional-error-response
CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}


class S3Folder(Folder):
    """A prefix of an S3 bucket."""

    def read(self, name: str) -> Stored | None:
        with self._errors(name):
            try:
                found, content = read_whole(client(ATTEMPTS), **self._at(name))
            except client(ATTEMPTS).exceptions.NoSuchKey:
                return None
        answered = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"].get("date", formatdate()))
        age = (answered - found["LastModified"]).total_seconds() - 1  # both are cut to the second
        return Stored(content, found["ETag"], max(0.0, age))

    def write(self, name: str, content: bytes) -> None:
        with self._errors(name):
            client(ATTEMPTS).put_object(**self._at(name), Body=content)

    def compare_and_swap(self, name: str, content: bytes, version: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._errors(name):
            try:
                etag: str = client(ATTEMPTS).put_object(**self._at(name), Body=content, **condition)["ETag"]
            except ClientError as error:
                if error_code(error) in CONFLICTS:
                    raise Conflict(join(self.uri, name)) from error
                raise
        return etag

    def upload(self, name: str, path: str) -> None:
        with self._errors(name), local_errors(path), open(path, "rb") as source:
            client(ATTEMPTS).put_object(**self._at(name), Body=source)

    def delete(self, name: str) -> None:
        with self._errors(name):
            client(ATTEMPTS).delete_object(**self._at(name))

    def delete_tree(self, name: str) -> None:
        with self._errors(name):
            for page in self._pages(name):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
                if not keys:
                    continue
                failed = client(ATTEMPTS).delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if failed:
                    key, why = failed[0].get("Key"), failed[0].get("Code")
                    raise OutputError(f"cannot delete `s3://{self._bucket}/{key}`: {why}", "allow s3:DeleteObject on OUTPUT")

    def names(self, prefix: str = "") -> list[str]:
        found: set[str] = set()
        with self._errors(prefix):
            for page in self._pages(prefix, Delimiter="/"):
                found |= {below["Prefix"] for below in page.get("CommonPrefixes", [])}
                found |= {file["Key"] for file in page.get("Contents", [])}
        start = len(self._prefix(prefix))
        names = (key[start:].rstrip("/") for key in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def files(self, prefix: str = "") -> list[File]:
        with self._errors(prefix):
            found = [file for page in self._pages(prefix, Delimiter="/") for file in page.get("Contents", [])]
        start = len(self._prefix(prefix))
        files = (File(file["Key"][start:], file["LastModified"].timestamp(), file["ETag"]) for file in found)
        return sorted(file for file in files if file.name and not file.name.startswith("."))

    @property
    def _bucket(self) -> str:
        return bucket_and_key(self.uri)[0]

    def _at(self, name: str) -> dict[str, str]:
        bucket, key = bucket_and_key(join(self.uri, name))
        return {"Bucket": bucket, "Key": key}

    def _prefix(self, name: str) -> str:
        _, key = bucket_and_key(join(self.uri, name) if name else self.uri)
        return key + "/" if key else ""

    def _pages(self, name: str, **arguments: str) -> Iterator[dict[str, Any]]:
        pages = client(ATTEMPTS).get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self._bucket, Prefix=self._prefix(name), **arguments)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except S3_ERRORS as error:
            raise translate_error(error, join(self.uri, name) if name else self.uri, OutputError) from error
