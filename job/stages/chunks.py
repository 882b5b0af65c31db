"""Cut the missing images into chunks of a minute or two: each is one Spark job and one commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from job.inputs.rows import NumberedRows, Rows

SECONDS_PER_CHUNK = 90.0  # a killed run loses at most that, and a commit of a second or two stays under 3 % of it
FIRST_GUESS = 60.0  # images/s of one core, until a chunk has been measured


class Chunk(NamedTuple):
    """Images of one Spark job and one commit."""

    keys: Rows  # LISTED
    images: int
    end: int  # number of images of `missing` up to its end


def chunks(missing: NumberedRows, cores: int, fixed: int | None) -> Iterator[Chunk]:
    """
    Yield all of `missing` in chunks of `fixed` images, or of SECONDS_PER_CHUNK as the speed of the previous one suggests.

    The next chunk is cut when it is asked for, so the time between two is the time that one took.
    """
    first, rate = 0, FIRST_GUESS * cores
    while first < missing.count:
        left = missing.count - first
        images = fixed or int(rate * SECONDS_PER_CHUNK)
        if fixed is None and left < 1.5 * images:  # no small last chunk
            images = left
        images = max(1, min(left, images))
        began = time.monotonic()
        yield Chunk(missing.part(first, images), images, first + images)
        rate = images / max(time.monotonic() - began, 1e-3)
        first += images
