"""
The bytes of one image in, its pixels out, within bounds of processor time and memory: what a Spark worker decodes with.

`job.imaging.decode` refuses what is known to be endless before it begins. This is for what is not known yet: `decode_bounded`
takes an image that runs over its bounds for one that cannot be decoded. One that kills its process all the same costs a task, not a run:
the next attempt of the task decodes by `decode_apart`, where only a child can die, or hang. Limits are those of a process: not for a driver
or a server, which use `apart`.
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

SECONDS = 60.0  # of processor time: docs/decisions/0016 has what the worst images take that are not refused
PATIENCE = 10  # times SECONDS by the clock, for a child: a busy machine may take long over 2 x SECONDS of processor time
CHILDREN = 2  # that are tried: a lock that was held at one fork is hardly held at the next
MEMORY_BYTES = 3 << 30  # of addresses, over what the process has already
TOO_LONG, BREAKS = "decoding timed out", "decoder crashed"  # reasons of rejects
P = ParamSpec("P")
T = TypeVar("T")


def decode_bounded(content: bytes, size_px: int) -> Decoded:
    """
    `decode_image` within SECONDS and MEMORY_BYTES. A decoder that is stuck in C beyond twice the time ends the process by SIGPROF.

    Raises:
        DecodeError: as `decode_image`, or it takes too long.
    """
    return _bounded(decode_image, content, size_px)


def decode_apart(content: bytes, size_px: int) -> Decoded:
    """`decode_bounded` in a separate process, a few milliseconds slower. Raises DecodeError also if that process died."""
    return apart(decode_image, content, size_px)


def apart(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """
    What `work` gives, within the bounds and in a separate process.

    A process that does not answer in PATIENCE x SECONDS by the clock is killed and `work` tried in another one: where this process has
    threads, a fork can copy a lock that one of them holds, and then waits for it without using the processor.

    Raises:
        DecodeError: `work` raised it, took too long, twice did not answer, or its process died.
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
    (True, what `work` gives) or (False, why not), from a child; None if it has not answered in time. However this ends, the child is gone.

    Raises:
        DecodeError: the child died.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(writing, work)
    os.close(writing)
    said = None
    try:
        said = _read(reading, time.monotonic() + PATIENCE * SECONDS)
    finally:
        os.close(reading)
        if said is None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if said is None:
        return None
    if status:
        raise DecodeError(BREAKS)
    answer: tuple[bool, Any] = pickle.loads(said)  # noqa: S301 - from our own child
    return answer


def _read(pipe: int, until: float) -> bytes | None:
    """All that is written to `pipe`; None if it is still open at `until` (of the monotonic clock)."""
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


def _answer(writing: int, work: Callable[[], object]) -> None:
    """The whole life of the child. Never returns, and runs nothing of the parent's at its end."""
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
    """What is allocated beyond it fails, which Pillow and Python say as MemoryError: one image less, not a worker killed by its machine."""
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
    """Bytes of addresses that this process has; 0 where the system does not tell, as on macOS, which knows no such limit either."""
    with suppress(OSError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


@contextmanager
def _limited_time() -> Iterator[None]:
    """TimeoutError after SECONDS, at the next line of Python; the default of SIGPROF after twice as many, wherever it is."""
    if threading.current_thread() is not threading.main_thread():  # only there are signals answered
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
