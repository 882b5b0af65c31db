"""What one visitor may ask of the machine, and what all together: how large, how often, how long, how many at once."""

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
ADDRESSES = 10_000  # that are remembered; the one longest silent is forgotten first


@dataclass(frozen=True)
class Limits:
    photo_bytes: int = 25_000_000
    upload_seconds: float = 60.0  # until a photo has arrived: a slow phone has time, a visitor who never ends has not
    seconds: float = 60.0  # from arrival to answer, waiting for a free core included
    photos_per_minute: int = 120  # of one address; 0: any number
    photos_at_once: int = field(default_factory=lambda: os.cpu_count() or 1)  # in work; the others wait
    held_bytes: int = 400_000_000  # of all photos that have arrived and are not answered yet


class Refused(Exception):  # noqa: N818 - not an error of ours
    """A request that gets no answer: `status` of HTTP, `code` for programs and for the page's words, `message` for people."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after + 0.5)))}


class Rate:
    """A bucket of tokens per address: a minute's worth at once, then as fast as it fills again."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> tokens, when that was

    def take(self, address: str) -> None:
        """Raises Refused 429 when the bucket of `address` is empty."""
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
            raise Refused(429, "too_many", f"more than {counted(self._per_minute, 'photos')} per minute", wait)


def _network(address: str) -> str:
    """One subscriber has 2^64 addresses of IPv6: they count as one. https://www.rfc-editor.org/rfc/rfc6177"""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:  # ::ffff:192.0.2.1, where one socket listens for both
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Memory:
    """The bytes of all photos in the house."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @contextmanager
    def account(self) -> Iterator[Callable[[int], None]]:
        """Gives a callable that books so many more bytes; Refused 503 beyond the limit. At the end all are given back."""
        mine = 0

        def book(count: int) -> None:
            nonlocal mine
            if self._held + count > self._limit:
                raise Refused(503, "busy", "too many uploads in progress", 5)
            mine += count
            self._held += count

        try:
            yield book
        finally:
            self._held -= mine


class Work:
    """Threads for what would block the server, as many as cores; who waits too long is sent away."""

    def __init__(self, threads: int, seconds: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="photo")
        self._free = asyncio.Semaphore(threads)
        self._seconds = seconds

    async def run(self, task: Callable[[], T]) -> T:
        """
        What `task` returns.

        Raises:
            Refused: 503, no thread became free in time; 504, `task` takes too long. Its thread cannot be killed and stays taken.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError as error:
            raise Refused(503, "busy", "all cores are busy", self._seconds) from error
        running = loop.run_in_executor(self._threads, task)
        running.add_done_callback(self._ended)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(running)
        except TimeoutError as error:
            if running.done():  # its own TimeoutError
                raise
            raise Refused(504, "too_slow", f"timed out after {self._seconds:g} s") from error

    def _ended(self, running: asyncio.Future[T]) -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # seen, also where no request waits any more

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
