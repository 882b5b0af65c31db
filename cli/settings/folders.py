"""Convert a local folder or file of the command line to a path. An address of S3 or another store is refused."""

from __future__ import annotations

from pathlib import Path

from cli.errors import UsageError
from cli.settings.user import expand_home
from job.contract.uris import AddressError, from_text, is_s3


def local(text: str, hint: str) -> Path:
    """
    Return `text` as a path on this machine; nothing need be there.

    Raises:
        UsageError: it is an address, or looks like a misspelt one; `hint` says what to do instead.
    """
    try:
        elsewhere = is_s3(from_text(text))
    except AddressError:
        elsewhere = True
    if elsewhere:
        raise UsageError(f"`{text}` is not on this machine", hint)
    return expand_home(text.removeprefix("file://"))
