"""Open the store of a URI."""

from __future__ import annotations

from job.contract.errors import OutputError
from job.contract.uris import is_foreign, is_s3
from job.storage.local_store import LocalFolder
from job.storage.object_store import Folder
from job.storage.s3_store import S3Folder


def open_folder(uri: str) -> Folder:
    """
    Open the store of `uri`, local or on S3.

    Raises:
        OutputError: another kind of URI. Spark would write there without any check.
    """
    if is_foreign(uri):
        raise OutputError(f"`{uri}` is not an address of a local folder or of S3", "write s3://bucket/prefix, or file:///path")
    return S3Folder(uri) if is_s3(uri) else LocalFolder(uri)
