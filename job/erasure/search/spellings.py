"""Spell addresses in every way a text may, and tell whether a match in a text is that address. No I/O."""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import markupsafe

from job.contract.uris import bucket_and_key, is_s3, local_path

RAW = "surrogateescape"  # bytes of a file name that are not UTF-8
SAFE = ("", "/", "/:", "/:!$&'()*+,;=@~")  # characters that URL writers do not quote
DOMAINS = ("amazonaws.com", "amazonaws.eu")  # of S3 in the Regions that are allowed
BEFORE = 600  # bytes: a scheme and the longest host, in UTF-16
SLASH, COLON = rb"(?:\\?/|%2F)", rb"(?::|%3A)"
# What is directly before `bucket/key`: `s3://`, also `s3a://` and `s3n://`; `arn:aws:s3:::`; `https://host/`, of AWS or another server.
BEFORE_BUCKET = re.compile(rb"(?:%(s)s%(s)s|%(c)s|https?%(c)s%(s)s%(s)s[\w.:%%-]+%(s)s)\Z" % {b"s": SLASH, b"c": COLON}, re.I)


def uris_by_search_string(uris: Iterable[str]) -> dict[bytes, list[str]]:
    """Return the strings to search for, with the addresses that each may be: the URL form of `a b` may be another file's name."""
    found: dict[bytes, list[str]] = defaultdict(list)
    for uri in uris:
        for needle in search_strings(uri):
            found[needle].append(uri)
    return found


def search_strings(uri: str) -> set[bytes]:
    """
    Return how `uri` is written: all of it, or its end where only the beginnings differ.

    A file is written as a path too. An object is `bucket/key` after several schemes and hosts, and `key` after the host
    `bucket.s3.REGION.amazonaws.com`.
    """
    if not is_s3(uri):
        return spellings(uri) | spellings(local_path(uri))
    _, key = bucket_and_key(uri)
    return spellings(uri.removeprefix("s3://")).union(*(spellings(f"{domain}/{key}") for domain in DOMAINS))


def is_address(text: bytes, at: int, uri: str) -> bool:
    """Return whether the match of one of `search_strings(uri)` at `at` has before it what makes it an address."""
    if not is_s3(uri):
        return True
    before = text[max(0, at - BEFORE) : at].replace(b"\0", b"")  # of UTF-16
    host = re.escape(bucket_and_key(uri)[0].encode()) + rb"\.s3[\w.-]*\.\Z"
    return bool(BEFORE_BUCKET.search(before) or re.search(host, before, re.I))


def spellings(text: str) -> set[bytes]:
    """
    Return an address, or part of one, as text, HTML, URL, CSV, JSON and Python write it.

    JSON of HTML is included, as a notebook has it.
    """
    plain = {text, html.escape(text), html.escape(text, quote=False), str(markupsafe.escape(text)), text.replace('"', '""')}
    plain |= {one.encode("ascii", "xmlcharrefreplace").decode() for one in plain} | {repr(text)[1:-1], ascii(text)[1:-1]}
    quoted = {quote(text, safe=safe, errors=RAW) for safe in SAFE} | {quote_plus(text, safe="/:", errors=RAW)}
    plain |= quoted | {re.sub("%..", lambda digits: digits[0].lower(), one) for one in quoted}
    escaped = {json.dumps(one, ensure_ascii=ascii_only)[1:-1] for one in plain for ascii_only in (True, False)}
    escaped |= {re.sub(r"\\u[0-9a-f]{4}", lambda code: code[0][:2] + code[0][2:].upper(), one) for one in escaped}
    escaped |= {one.replace("<", "\\u003c") for one in escaped}  # as a report writes it
    escaped |= {one.replace("/", "\\/") for one in escaped}
    windows = {text.encode(code, "surrogatepass") for code in ("utf-16-le", "utf-16-be")}
    return {one.encode(errors=RAW) for one in plain | escaped} | windows
