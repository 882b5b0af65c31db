"""Read the photo of a request, and what a form says about it, into memory, never to disk; or refuse it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from job.contract.uris import printable
from job.product.web.limits import Limits, Refused

FIELD = "photo"
USE_A_FORM = f"send multipart/form-data with a file in its field `{FIELD}`"
FRAME_BYTES = 100_000  # of a form around its photo: boundaries, names, an empty second field


class Sent(NamedTuple):
    """What a visitor sent. `fields`: the texts of the form, by name."""

    content: bytes
    fields: Mapping[str, str]


class InMemory(MultiPartParser):
    """Starlette's parser writes parts of more than 1 MB to a temporary file. Here no photo touches a disk."""

    spool_max_size = 2**40


async def read_photo(request: Request, limits: Limits, book: Callable[[int], None]) -> Sent:
    """
    Return the photo and the fields beside it: the body itself (`image/…` or `application/octet-stream`), or the field `photo` of a form.

    `book` gets the number of bytes kept. A form may have the field twice, as the page has: for the camera and for a file.

    Raises:
        Refused: 400, 408, 413, 415, or what `book` raises.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    if not form and not kind.startswith("image/") and kind != "application/octet-stream":
        raise Refused(
            415, "unsupported", f"`{printable(kind)}` is neither a form nor an image", f"{USE_A_FORM}, or the image itself as image/…"
        )
    most = limits.photo_bytes + FRAME_BYTES * form
    refuse_announced(request, most)
    body = counted(request, most, book)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            sent = await parts_of(request, body) if form else Sent(b"".join([chunk async for chunk in body]), {})
    except TimeoutError as error:
        raise Refused(408, "slow_upload", f"the upload timed out after {limits.upload_seconds:g} s", "send a smaller photo") from error
    except ClientDisconnect as error:
        raise Refused(400, "broken_off", "the upload was interrupted", "send it again") from error
    if len(sent.content) > limits.photo_bytes:
        raise too_large(limits.photo_bytes)
    return sent


def refuse_announced(request: Request, most: int) -> None:
    """Refuse with 413 by Content-Length, before a byte is read. The HTTP server refuses values that are not numbers."""
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large(most)


async def counted(request: Request, most: int, book: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """Yield the body in chunks; refuse with 413 as soon as it is too long, whatever was announced."""
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > most:
            raise too_large(most)
        book(len(chunk))
        yield chunk


async def parts_of(request: Request, body: AsyncGenerator[bytes, None]) -> Sent:
    """Return the first file in the form's fields `photo`, and its texts."""
    try:
        form = await InMemory(request.headers, body).parse()
    except (MultiPartException, ValueError) as error:  # ValueError: an unknown charset
        raise Refused(400, "malformed", "the form cannot be read", USE_A_FORM) from error
    files = [part for part in form.getlist(FIELD) if isinstance(part, UploadFile)]
    chosen = [part for part in files if part.filename or part.size]  # a browser sends an input without a file as a file without a name
    if not chosen:
        raise Refused(400, "no_photo", f"the form has no file in its field `{FIELD}`", "choose a photo")
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return Sent(await chosen[0].read(), texts)


def too_large(most: int) -> Refused:
    """Return the refusal of a photo of more than `most` bytes."""
    return Refused(413, "too_large", f"the photo is larger than {most / 1e6:.0f} MB", "send a smaller photo")
