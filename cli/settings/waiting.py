"""Wait and retry, always with a limit: `wait_until` polls until all is over, `every` paces a generator, `retry` repeats what failed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from time import sleep as pause
from typing import TYPE_CHECKING, Any, TypeVar

from cli.errors import FruitsError
from job.contract.records import counted

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


def jittered(seconds: float) -> float:
    """Vary `seconds` by a fifth, so that many who wait do not ask at the same moment."""
    return seconds * random.uniform(0.8, 1.2)


def skip_repeats(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return a `tell` that skips a line equal to the one before."""
    said: list[str] = []

    def tell_new(line: str) -> None:
        if said[-1:] != [line]:
            said.append(line)
            tell(line)

    return tell_new


def wait_until(
    look: Callable[[], T],
    ended: Callable[[T], Any],
    every_seconds: float,
    most_seconds: float,
    still: Callable[[T], str] | None = None,
    hint: str = "",
) -> T:
    """
    Call `look` about every `every_seconds` and return the first result that has `ended`; without `still`, the last one at the limit.

    Raises:
        FruitsError: none has `ended` within `most_seconds`; the message is what `still` says of the last one.
    """
    from tenacity import Retrying, retry_if_result, stop_after_delay  # lazily: it imports asyncio

    def give_up(state: RetryCallState) -> T:
        assert state.outcome is not None
        last: T = state.outcome.result()
        if still is None:
            return last
        raise FruitsError(f"{still(last)} after {counted(round(most_seconds / 60), 'minutes')}", hint)

    return Retrying(
        retry=retry_if_result(lambda found: not ended(found)),
        wait=lambda _: jittered(every_seconds),
        stop=stop_after_delay(most_seconds),
        sleep=pause,
        retry_error_callback=give_up,
    )(look)


def every(seconds: float, most_seconds: float, still: str, hint: str = "") -> Iterator[None]:
    """
    Yield at once, then about every `seconds`: for a generator, which has results to yield between two looks.

    Raises:
        FruitsError: the caller has not stopped within `most_seconds`; the message is `still`.
    """
    give_up = monotonic() + most_seconds
    yield
    while monotonic() < give_up:
        pause(jittered(seconds))
        yield
    raise FruitsError(f"{still} after {counted(round(most_seconds / 60), 'minutes')}", hint)


def retry(
    action: Callable[[], T],
    passes: Callable[[BaseException], bool],
    pauses: Sequence[float],
    most_seconds: float | None = None,
    before: Callable[[BaseException, float], None] = lambda *_: None,
    sleep: Callable[[float], None] | None = None,
) -> T:
    """
    Call `action`, and again after each of `pauses` while its error `passes`.

    With `most_seconds` it is retried for that long, with the last pause repeated. `before` gets the error and the pause. The last error is
    raised unchanged.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_chain, wait_fixed

    return Retrying(
        retry=retry_if_exception(passes),
        wait=wait_chain(*(wait_fixed(seconds) for seconds in pauses)),
        stop=stop_after_attempt(len(pauses) + 1) if most_seconds is None else stop_after_delay(most_seconds),
        before_sleep=lambda state: before(state.outcome.exception(), state.upcoming_sleep),  # type: ignore[union-attr, arg-type]
        sleep=sleep or pause,
        reraise=True,
    )(action)
