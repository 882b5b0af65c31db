"""
Decode one image within limits of processor time and memory, as a Spark worker does.

`job.imaging.decode` refuses what is known to take too long before it begins. This module is for unknown cases: `decode_bounded` rejects an
image that exceeds the limits. An image that kills its process costs a task, not a run: the next attempt of the task uses
`decode_in_subprocess`, where only a child can die or hang. The limits apply to a process, so a driver or a server uses `run_in_subprocess`.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from job.contract.errors import DecodeError
from job.imaging.decode import Decoded, decode_image

SECONDS = 60.0  # of processor time: docs/decisions/0016 has the time of the slowest images that are not refused
CLOCK_FACTOR = 10  # times SECONDS by the clock, for a child: a busy machine may take long over 2 x SECONDS of processor time
CHILDREN = 2  # attempts: a lock that was held at one fork is rarely held at the next
MEMORY_BYTES = 3 << 30  # of address space, in addition to what the process has
TOO_LONG, CRASHED = "decoding timed out", "decoder crashed"  # reasons of rejects
P = ParamSpec("P")
T = TypeVar("T")


def decode_bounded(content: bytes, size_px: int, full: bool = False) -> Decoded:
    """
    Run `decode_image` within SECONDS and MEMORY_BYTES.

    A decoder that is stuck in C for twice the time ends the process by SIGPROF.

    Raises:
        DecodeError: as `decode_image`, or the time is up.
    """
    return _bounded(decode_image, content, size_px, full)


def decode_in_subprocess(content: bytes, size_px: int, full: bool = False) -> Decoded:
    """
    Run `decode_bounded` in a child process, a few milliseconds slower.

    Raises:
        DecodeError: as `decode_bounded`, or the child died.
    """
    return run_in_subprocess(decode_image, content, size_px, full)


def run_in_subprocess(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """
    Return the result of `work`, run within the limits in a child process.

    A child without an answer within CLOCK_FACTOR x SECONDS by the clock is killed and `work` tried in another one: where this process has
    threads, a fork can copy a lock that one of them holds, and then waits for it without using the processor.

    Raises:
        DecodeError: `work` raised it or took too long, two children gave no answer, or a child died.
    """
    for _ in range(CHILDREN):
        answer = _child(lambda: _bounded(work, *arguments, **named))
        if answer is not None:
            done, value = answer
            if not done:
                raise DecodeError(value)
            given: T = value
            return given
    raise DecodeError(TOO_LONG)


def _child(work: Callable[[], object]) -> tuple[bool, Any] | None:
    """
    Return (True, result) or (False, reason) from a child; None if there was no answer in time.

    The child is gone in any case.

    Raises:
        DecodeError: the child died.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _run_child(writing, work)
    os.close(writing)
    said = None
    try:
        said = _read(reading, time.monotonic() + CLOCK_FACTOR * SECONDS)
    finally:
        os.close(reading)
        if said is None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if said is None:
        return None
    if status:
        raise DecodeError(CRASHED)
    answer: tuple[bool, Any] = pickle.loads(said)  # noqa: S301 - from our own child
    return answer


def _read(pipe: int, until: float) -> bytes | None:
    """Return all that is written to `pipe`; None if it is still open at `until` (monotonic clock)."""
    said = bytearray()
    while wait([pipe], max(0.0, until - time.monotonic())):
        part = os.read(pipe, 1 << 20)
        if not part:
            return bytes(said)
        said += part
    return None


def _bounded(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    try:
        with _limited_memory(), _limited_time():
            return work(*arguments, **named)
    except TimeoutError as error:
        raise DecodeError(TOO_LONG) from error


def _run_child(writing: int, work: Callable[[], object]) -> None:
    """Run `work` in the child, send the answer and exit without running any exit handler of the parent."""
    status = 1
    try:
        try:
            answer: tuple[bool, object] = True, work()
        except DecodeError as error:
            answer = False, str(error)
        with open(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        status = 0
    finally:
        os._exit(status)


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Make allocations beyond the limit fail with MemoryError: one image is lost, instead of a worker killed by the system."""
    present = _address_space()
    if not present:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = present + MEMORY_BYTES
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Return the bytes of address space of this process; 0 where it is unknown, as on macOS, which has no such limit either."""
    with suppress(OSError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


@contextmanager
def _limited_time() -> Iterator[None]:
    """Raise TimeoutError after SECONDS, at the next line of Python; after twice as many SIGPROF ends the process anywhere."""
    if threading.current_thread() is not threading.main_thread():  # signal handlers run there only
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, 1.0)  # again and again: a parser may swallow the first error
    signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGVTALRM, before)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(TOO_LONG)
