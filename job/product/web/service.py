"""Take photos of requests within the limits and identify them. One service per server, for the API and the page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import Depends, Request

from job.contract.errors import JobError, OutputError
from job.product.identify.identifier import Identifier
from job.product.web.answers import Identified, to_web
from job.product.web.limits import LATER, Limits, MemoryBudget, RateLimiter, Refused, WorkerPool
from job.product.web.photo import Sent, read_photo

if TYPE_CHECKING:
    from job.inputs.fetch import ListedImage

T = TypeVar("T")
Numbers = npt.NDArray[np.intp]
THUMBNAILS = 2_000  # kept in memory, a few KB each, while their photos are there
NO_SUCH_PHOTO = ("no_such_photo", "photo not found", "ask for one that an answer names")
GONE = (NO_SUCH_PHOTO[0], "the photo was deleted or has changed", NO_SUCH_PHOTO[2])
TRIES = 5  # to read a run while this server adds a photo to it: two files, one shortly after the other


class View(NamedTuple):
    """
    What the server shows. `numbers` (n,) name the thumbnails of the gallery's rows, `unused` is the first that none has had.

    A photo keeps its number when others are erased or added: a page that was sent before never shows another photo in its place.
    """

    identifier: Identifier
    numbers: Numbers
    unused: int


class IdentifyService:
    """Answers requests by one identifier, with limits."""

    def __init__(self, identifier: Identifier, limits: Limits) -> None:
        self.limits = limits
        self._own_changes = 0  # begun and ended: odd while this server adds a photo to the run
        self.shown = View(identifier, np.arange(len(identifier.gallery)), len(identifier.gallery))
        self._reading = threading.Lock()
        self._work = WorkerPool(limits.photos_at_once, limits.seconds)
        self._rate, self._memory = RateLimiter(limits.photos_per_minute), MemoryBudget(limits.held_bytes)
        self._picture = lru_cache(THUMBNAILS)(_picture)

    async def process_photo(self, request: Request, look: Callable[[bytes], T]) -> T:
        """
        Return what `look` makes of the photo of `request`, in a thread.

        Raises:
            Refused: the photo does not come as it should, or a limit is reached.
        """
        async with self.received(request) as sent:
            return await self._work.run(partial(look, sent.content))

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Sent]:
        """
        Give the photo of `request`; its bytes count as held until the end of the block.

        Raises:
            Refused: as `process_photo`.
        """
        self._rate.check(request.client.host if request.client else "")
        with self._memory.reserve() as book:
            yield await read_photo(request, self.limits, book)

    def identify(self, content: bytes, top: int = 5) -> Identified:
        """
        Identify a photo.

        Raises:
            Refused: the run cannot be read now.
        """
        identifier, numbers, _ = self.current()
        return to_web(identifier.identify(content, top), identifier.gallery.uris, numbers)

    async def thumbnail(self, row: int) -> bytes:
        """
        Return the WebP thumbnail of a gallery row.

        Raises:
            Refused: 404 if there is no such row or its photo is gone; a limit is reached; or the run cannot be read now.
        """
        return await self._work.run(partial(self._thumbnail, row))

    async def view(self) -> View:
        """
        Return what is shown now.

        Raises:
            Refused: the run cannot be read now.
        """
        return await asyncio.to_thread(self.current)

    def current(self) -> View:
        """
        Return what is shown now, as `view` does, and wait for it.

        The run's files are listed for each request, so that an erased photo disappears at once.
        """
        try:
            if self.shown.identifier.gallery.is_current():
                return self.shown
            with self._reading:
                before = self.shown
                if not before.identifier.gallery.is_current():  # no other thread has read it meanwhile
                    self.shown = renewed(before, self._reopened(before.identifier))
                    self._picture.cache_clear()
                return self.shown
        except JobError as error:
            raise Refused(503, "no_run", "the run is being changed, or cannot be read", LATER, 5) from error

    def _reopened(self, identifier: Identifier) -> Identifier:
        """Return the identifier with the run as it is now. An own photo that arrives meanwhile is no reason to refuse a request."""
        for left in reversed(range(TRIES)):
            before = self._own_changes
            try:
                return identifier.reopened()
            except OutputError:
                if not left or (before % 2 == 0 and self._own_changes == before):
                    raise
        raise AssertionError  # the last try returns or raises

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Mark the time during which this server itself, in one thread, may change the run."""
        self._own_changes += 1
        try:
            yield
        finally:
            self._own_changes += 1

    def _thumbnail(self, row: int) -> bytes:
        identifier, numbers, _ = self.current()
        places = np.flatnonzero(numbers == row)
        if not len(places):
            raise Refused(404, *NO_SUCH_PHOTO)
        key = identifier.key(identifier.gallery.uri(int(places[0])))
        if key is None:
            self._picture.cache_clear()  # no picture outlives its photo
            raise Refused(404, *GONE)
        return self._picture(key)

    def close(self) -> None:
        self._work.close()


def _picture(key: ListedImage) -> bytes:
    """
    Return the thumbnail of an image.

    Raises:
        Refused: 404, the photo is gone.
    """
    from job.product.thumbnails import as_webp

    picture = as_webp(key)
    if picture is None:
        raise Refused(404, *GONE)
    return picture


def renewed(before: View, identifier: Identifier) -> View:
    """Return the view of the run as `identifier` has it: photos keep their numbers, new ones get those that none has had."""
    import pyarrow.compute as pc

    rows = pc.fill_null(pc.index_in(identifier.gallery.uris, value_set=before.identifier.gallery.uris), -1).to_numpy(zero_copy_only=False)
    new = rows < 0
    numbers = np.where(new, before.unused + np.cumsum(new) - 1, before.numbers[rows])
    return View(identifier, numbers, before.unused + int(new.sum()))


def service_of(request: Request) -> IdentifyService:
    service: IdentifyService = request.app.state.service
    return service


ServiceDep = Annotated[IdentifyService, Depends(service_of)]
