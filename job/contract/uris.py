"""
Parse and join URIs: `scheme://` and the raw path or key, such as `file:///photos/a b#1%20.jpg`, `s3://bucket/a b.jpg`.

Never percent-encoded. Pure: no I/O. Plain paths become `file://` URIs at the edge (`from_text`).
"""

from __future__ import annotations

import os
import re

# An address that is not on this machine: a scheme of two letters or more, a colon and a slash; or an ARN.
FOREIGN = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9+.-]+):/|arn:)")
VIRTUAL_HOST = re.compile(r"https?://([^/]+)\.s3[.-][a-z0-9.-]*amazonaws\.com(?:\.cn)?(/.*)?", re.I)
PATH_STYLE = re.compile(r"https?://s3[.-][a-z0-9.-]*amazonaws\.com(?:\.cn)?/(.+)", re.I)
BUCKET_ARN = re.compile(r"arn:[a-z-]+:s3:::(.+)")


class AddressError(ValueError):
    """An address that cannot be used. `hint` says what to write instead."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(f"`{text}` is not a folder and not an address such as s3://bucket/prefix")
        self.hint = hint


def from_text(text: str) -> str:
    """
    Convert what a user types to a URI.

    `./photos` becomes `file:///…/photos`, `s3a://` becomes `s3://`, and slashes at the end are removed.

    Raises:
        AddressError: another kind of address, such as `gs://`, or a misspelt one, such as `s3:/`.
    """
    if text.startswith(("s3://arn:", "s3a://arn:")):
        raise AddressError(text, _suggestion(text.split("://", 1)[1]))
    if text.startswith(("s3://", "s3a://")) and not bucket_and_key("s3://" + text.split("://", 1)[1])[0]:
        raise AddressError(text, "add the name of the bucket: s3://bucket/prefix")
    if not text.startswith(("s3://", "s3a://", "file://")) and FOREIGN.match(text):
        raise AddressError(text, _suggestion(text.strip()))
    if text.startswith(("s3://", "s3a://")):
        return "s3://" + text.split("://", 1)[1].rstrip("/")
    return "file://" + os.path.abspath(os.path.expanduser(text.removeprefix("file://")))


def _suggestion(text: str) -> str:
    """Return the hint for an address that is not supported."""
    for pattern in (VIRTUAL_HOST, PATH_STYLE, BUCKET_ARN):
        if found := pattern.fullmatch(text):
            return f"write s3://{''.join(part or '' for part in found.groups())}"
    if text.lower().startswith("arn:"):
        return "access points are not supported: write s3://bucket/prefix"
    scheme, _, rest = text.partition(":")
    if scheme.lower() in ("s3", "s3a", "s3n"):
        return f"write s3://{rest.lstrip('/')}"
    if scheme.lower() == "file":
        return f"write file:///{rest.lstrip('/')}"
    return "give a local folder, or s3://bucket/prefix; a folder of that name is ./" + text


def is_s3(uri: str) -> bool:
    return uri.startswith("s3://")


def is_foreign(uri: str) -> bool:
    """Return whether `uri` is neither a URI from `from_text` nor a plain path, such as `s3a://bucket` or `hdfs://host/x`."""
    return not uri.startswith(("s3://", "file://")) and FOREIGN.match(uri) is not None


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/a/b` into (`bucket`, `a/b`)."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def local_path(uri: str) -> str:
    """Return the path of a `file://` URI."""
    return uri.removeprefix("file://")


def shown(uri: str) -> str:
    """Return `uri` for a message: a plain path for a local file."""
    return uri if is_s3(uri) else local_path(uri)


def printable(uri: str) -> str:
    """Return `uri` as valid text: bytes that are not UTF-8, lone surrogates in Python, become `\\xff`."""
    return os.fsencode(uri).decode("utf-8", "backslashreplace")


def join(uri: str, *names: str) -> str:
    """Append `names` to `uri`, separated by slashes."""
    return "/".join([uri.rstrip("/"), *names])


def is_inside(uri: str, folder: str) -> bool:
    """Return whether `uri` is `folder` or below it."""
    return uri == folder or uri.startswith(folder.rstrip("/") + "/")
