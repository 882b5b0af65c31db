"""
A proxy in front of an S3 server that makes trouble on purpose. In: HTTP requests; out: the server's answers, late, cut off or none.

All that passes does so byte for byte, the signed `Host` header too: signatures stay valid. What a GET meets is drawn from the seed,
its key and how often the key was asked for, not from the order of requests: the same run meets the same trouble.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

BLOCK_BYTES = 64 << 10
KINDS = ("slow_down", "reset", "truncate")
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
SLOW_DOWN_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>proxy</RequestId></Error>"
)
CONFLICT_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>ConditionalRequestConflict</Code><Message>A conflicting operation is in progress.</Message></Error>"
)
CONFLICT = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(CONFLICT_XML), CONFLICT_XML)
SLOW_DOWN = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN_XML), SLOW_DOWN_XML)


@dataclass(frozen=True)
class Faults:
    """
    What happens to GETs of objects whose key begins with `prefix`: the share of them, 0..1, that meets each kind of trouble; and to the
    first PUT of each object whose key ends with `put_suffix`.
    """

    slow_down: float = 0.0  # 503 SlowDown instead of the answer
    reset: float = 0.0  # the connection is reset, there is no answer
    truncate: float = 0.0  # half the body, then the connection ends
    prefix: str = ""
    first: int | None = None  # only so many GETs of each key; None: all
    seed: int = 0
    delay_seconds: float = 0.0  # before every GET, of any object or listing
    put: str | None = None  # lose_answer: the object is written and the connection reset; conflict: 409 instead of the request
    put_suffix: str = ""


class Head(NamedTuple):
    """Start line and headers of a message, and the bytes they came in."""

    raw: bytes
    start: list[str]
    headers: dict[str, str]  # names in lower case

    @property
    def key(self) -> str | None:
        """Of a GET of an object (`/bucket/key`), else None."""
        return self._key_of("GET")

    @property
    def put_key(self) -> str | None:
        """Of a PUT of an object, else None."""
        return self._key_of("PUT")

    def _key_of(self, wanted: str) -> str | None:
        method, target, _ = self.start
        if method != wanted:
            return None
        path = target.partition("?")[0].removeprefix("/")
        return unquote(path.partition("/")[2]) or None

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", 0))


class Side(NamedTuple):
    """One of the two connections."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Proxy:
    """Listens while inside `with`, in a separate thread. `faults` may be exchanged at any time."""

    def __init__(self, target: str, faults: Faults | None = None) -> None:
        """`target`: URL of the server."""
        self.faults = faults or Faults()
        self.done: Counter[str] = Counter()  # kind of trouble -> how often; `passed`: requests that went through
        self.heads: list[Head] = []  # of all requests, in the order they came
        self.url = ""
        self._target = urlsplit(target)
        self._asked: Counter[str] = Counter()  # key -> GETs
        self._put: set[str] = set()  # keys of PUTs that met trouble
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self._listening.set()
        await self._over.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Request after request, until one side leaves or the next one could not be told from the rest of this one."""
        client = Side(reader, writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            async with closing(client):
                while await self._answer(client):
                    pass

    async def _answer(self, client: Side) -> bool:
        """The next request. False: the client's connection is of no further use."""
        request = await read_head(client)
        self.heads.append(request)
        if request.start[0] == "GET":
            await asyncio.sleep(self.faults.delay_seconds)
        fault = self._draw(request.key) or self._first_put(request.put_key)
        self.done[fault or "passed"] += 1
        if fault == "slow_down":
            await send(client, SLOW_DOWN)
            return True
        if fault == "reset":
            reset(client)
            return False
        if fault == "conflict":
            await send(client, CONFLICT)
            return False
        return await self._exchange(request, client, fault)

    def _first_put(self, key: str | None) -> str | None:
        if key is None or not self.faults.put or not key.endswith(self.faults.put_suffix) or key in self._put:
            return None
        self._put.add(key)
        return self.faults.put

    def _draw(self, key: str | None) -> str | None:
        faults = self.faults
        if key is None or not key.startswith(faults.prefix):
            return None
        self._asked[key] += 1
        if faults.first is not None and self._asked[key] > faults.first:
            return None
        point = random.Random(f"{faults.seed} {self._asked[key]} {key}").random()
        for kind in KINDS:
            point -= getattr(faults, kind)
            if point < 0:
                return kind
        return None

    async def _exchange(self, request: Head, client: Side, fault: str | None) -> bool:
        """One request to the server, its answer back; as `_answer`."""
        assert self._target.hostname
        async with closing(Side(*await asyncio.open_connection(self._target.hostname, self._target.port))) as server:
            await send(server, request.raw)
            sending = asyncio.create_task(copy_body(request, client, server))
            try:
                answer = await read_head(server)
                while answer.start[1].startswith("1"):  # 100 Continue: the answer comes after the body
                    await send(client, answer.raw)
                    answer = await read_head(server)
                if fault == "lose_answer":
                    reset(client)
                    return False
                await send(client, answer.raw)
                if fault == "truncate":
                    await copy(answer.length // 2, server, client)
                    return False
                if request.start[0] != "HEAD" and answer.start[1] not in ("204", "304"):
                    await copy_body(answer, server, client)
                # If it was answered before its end, what comes next may be the rest of its body.
                return sending.done() and not sending.exception() and answer.headers.get("connection", "").lower() != "close"
            finally:
                sending.cancel()


@asynccontextmanager
async def closing(side: Side) -> AsyncIterator[Side]:
    try:
        yield side
    finally:
        side.writer.close()


def reset(side: Side) -> None:
    """RST instead of FIN: https://man7.org/linux/man-pages/man7/socket.7.html, SO_LINGER of 0 seconds."""
    side.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    side.writer.transport.abort()


async def read_head(side: Side) -> Head:
    """Raises asyncio.IncompleteReadError when the other side has left."""
    raw = await side.reader.readuntil(b"\r\n\r\n")
    start, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = (line.partition(":") for line in lines)
    return Head(raw, start.split(" ", 2), {name.lower(): value.strip() for name, _, value in headers})


async def copy_body(head: Head, source: Side, target: Side) -> None:
    """https://www.rfc-editor.org/rfc/rfc9112#section-6; S3 always says where a body ends."""
    if head.headers.get("transfer-encoding", "").lower() != "chunked":
        await copy(head.length, source, target)
        return
    while size := int((line := await source.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        await send(target, line)
        await copy(size + 2, source, target)
    await send(target, line)
    while line != b"\r\n":  # trailers
        line = await source.reader.readuntil(b"\r\n")
        await send(target, line)


async def copy(length: int, source: Side, target: Side) -> None:
    while length:
        block = await source.reader.readexactly(min(length, BLOCK_BYTES))
        await send(target, block)
        length -= len(block)


async def send(side: Side, content: bytes) -> None:
    side.writer.write(content)
    await side.writer.drain()
