"""Remove presigned URLs, keys and tokens from text of AWS or of a log. Pure."""

from __future__ import annotations

import re

SIGNED = re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]*(?:X-Amz-|Signature=|[Tt]oken=)[^\s\"'<>]*")
KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
NAMED = re.compile(
    r"(?i)((?:secret[_-]?(?:access[_-]?)?key|session[_-]?token|security[_-]?token|authorization)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
)


def redact(text: str) -> str:
    """Return `text` with presigned URLs, keys and tokens replaced."""
    return NAMED.sub(r"\1***", KEY_ID.sub("***", SIGNED.sub(r"\1?***", text)))
