"""
A URI is `scheme://` and then the path or the key as it is, never percent-encoded: `file:///photos/a b#1%20.jpg`, `s3://bucket/a b.jpg`.

Pure: no I/O. Plain paths become `file://` URIs at the edge (`from_text`).
"""

from __future__ import annotations

import os


def from_text(text: str) -> str:
    """What a user types to a URI: `./photos` to `file:///…/photos`, `s3a://` to `s3://`, no slash at the end."""
    if text.startswith(("s3://", "s3a://")):
        return "s3://" + text.split("://", 1)[1].rstrip("/")
    return "file://" + os.path.abspath(os.path.expanduser(text.removeprefix("file://")))


def is_s3(uri: str) -> bool:
    return uri.startswith("s3://")


def bucket_and_key(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` to (`bucket`, `a/b`)."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def local_path(uri: str) -> str:
    return uri.removeprefix("file://")


def join(uri: str, *names: str) -> str:
    return "/".join([uri.rstrip("/"), *names])


def is_inside(uri: str, folder: str) -> bool:
    return uri == folder or uri.startswith(folder.rstrip("/") + "/")
