"""Limit what visitors can use: photo size, requests per minute, time, memory and threads."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from job.contract.records import counted

T = TypeVar("T")
LATER = "wait for the seconds of Retry-After, then send it again"
ADDRESSES = 10_000  # addresses remembered; the one idle for longest is forgotten first


@dataclass(frozen=True)
class Limits:
    """The limits of the server."""

    photo_bytes: int = 25_000_000
    upload_seconds: float = 60.0  # until a photo has arrived: enough for a slow phone, not for a client that never ends
    seconds: float = 60.0  # from arrival to answer, waiting for a free core included
    photos_per_minute: int = 120  # of one address; 0: any number
    photos_at_once: int = field(default_factory=lambda: os.cpu_count() or 1)  # in work; the others wait
    held_bytes: int = 400_000_000  # of all photos in progress


class Refused(Exception):  # noqa: N818 - the client's fault
    """A request that gets no answer: `status` of HTTP, `code` for programs and for the page's words, `message` and `hint` for people."""

    def __init__(self, status: int, code: str, message: str, hint: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after + 0.5)))}


class RateLimiter:
    """A token bucket per address: a minute's worth at once, refilled continuously."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> tokens, when that was

    def check(self, address: str) -> None:
        """Take a token for `address`; raise Refused 429 if its bucket is empty."""
        if not self._per_minute:
            return
        network, now = _network(address), self._clock()
        tokens, since = self._buckets.pop(network, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - since) * self._per_minute / 60)
        allowed = tokens >= 1
        self._buckets[network] = (tokens - allowed, now)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = (1 - tokens) * 60 / self._per_minute
            raise Refused(429, "too_many", f"more than {counted(self._per_minute, 'photos')} per minute", LATER, wait)


def _network(address: str) -> str:
    """
    Return the network of an address: the 2^64 IPv6 addresses of one subscriber count as one.

    https://www.rfc-editor.org/rfc/rfc6177
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:  # ::ffff:192.0.2.1, where one socket listens for both
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class MemoryBudget:
    """The bytes of all photos in progress."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @contextmanager
    def reserve(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves bytes and raises Refused 503 beyond the limit. At the end all of them are released."""
        mine = 0

        def book(count: int) -> None:
            nonlocal mine
            if self._held + count > self._limit:
                raise Refused(503, "busy", "too many uploads in progress", LATER, 5)
            mine += count
            self._held += count

        try:
            yield book
        finally:
            self._held -= mine


class WorkerPool:
    """One thread per core for blocking work; requests that wait too long are refused."""

    def __init__(self, threads: int, seconds: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="photo")
        self._free = asyncio.Semaphore(threads)
        self._seconds = seconds

    async def run(self, task: Callable[[], T]) -> T:
        """
        Return the result of `task`, run in a thread.

        Raises:
            Refused: 503, no thread became free in time; 504, `task` takes too long. Its thread cannot be killed and stays taken.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError as error:
            raise Refused(503, "busy", "all cores are busy", LATER, self._seconds) from error
        running = loop.run_in_executor(self._threads, task)
        running.add_done_callback(self._ended)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(running)
        except TimeoutError as error:
            if running.done():  # its own TimeoutError
                raise
            raise Refused(504, "too_slow", f"timed out after {self._seconds:g} s", "send a smaller photo") from error

    def _ended(self, running: asyncio.Future[T]) -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # retrieved, also if the request is gone

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
