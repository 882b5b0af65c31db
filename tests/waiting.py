"""Wait for something to become true, with a limit: no test waits forever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T], alive: Callable[[], bool] = lambda: True, seconds: float = 120) -> T:
    """
    Return the first true value of `look`.

    Raises:
        AssertionError: after `seconds`, or when `alive` is false.
    """
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert alive(), "the process ended before"
        assert time.monotonic() < ends, f"it did not happen within {seconds:g} s"
        time.sleep(0.01)
    return found
