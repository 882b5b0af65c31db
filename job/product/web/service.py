"""Take photos of requests within the limits and identify them. One service per server, for the API and the page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import Depends, Request

from job.contract.errors import JobError
from job.product.gallery import Gallery
from job.product.identify.identifier import Identifier
from job.product.web.answers import Identified, to_web
from job.product.web.limits import Limits, MemoryBudget, RateLimiter, Refused, WorkerPool
from job.product.web.photo import read_photo

if TYPE_CHECKING:
    from job.inputs.fetch import ListedImage

T = TypeVar("T")
Numbers = npt.NDArray[np.intp]
THUMBNAILS = 2_000  # kept in memory, a few KB each, while their photos are there
NO_SUCH_PHOTO = "no_such_photo"


class View(NamedTuple):
    """
    What the server shows. `numbers` (n,) name the thumbnails of the gallery's rows.

    A photo keeps its number when others are erased: a page that was sent before never shows another photo in its place.
    """

    identifier: Identifier
    numbers: Numbers


class IdentifyService:
    """Answers requests by one identifier, with limits."""

    def __init__(self, identifier: Identifier, limits: Limits) -> None:
        self.limits = limits
        self._shown = View(identifier, np.arange(len(identifier.gallery)))
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
        self._rate.check(request.client.host if request.client else "")
        with self._memory.reserve() as book:
            content = await read_photo(request, self.limits, book)
            return await self._work.run(partial(look, content))

    def identify(self, content: bytes, top: int = 5) -> Identified:
        """
        Identify a photo.

        Raises:
            Refused: the run cannot be read now.
        """
        identifier, numbers = self._view()
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
        return await asyncio.to_thread(self._view)

    def _view(self) -> View:
        """Return what is shown now. The run's files are listed for each request, so that an erased photo disappears at once."""
        try:
            if self._shown.identifier.gallery.is_current():
                return self._shown
            with self._reading:
                before = self._shown
                if not before.identifier.gallery.is_current():  # no other thread has read it meanwhile
                    now = before.identifier.reopened()
                    self._shown = View(now, kept_numbers(before, now.gallery))
                    self._picture.cache_clear()
                return self._shown
        except JobError as error:
            raise Refused(503, "no_run", "the run is being changed, or cannot be read", 5) from error

    def _thumbnail(self, row: int) -> bytes:
        identifier, numbers = self._view()
        places = np.flatnonzero(numbers == row)
        if not len(places):
            raise Refused(404, NO_SUCH_PHOTO, "photo not found")
        key = identifier.key(identifier.gallery.uri(int(places[0])))
        if key is None:
            self._picture.cache_clear()  # no picture outlives its photo
            raise Refused(404, NO_SUCH_PHOTO, "the photo was deleted or has changed")
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
        raise Refused(404, NO_SUCH_PHOTO, "the photo was deleted or has changed")
    return picture


def kept_numbers(before: View, gallery: Gallery) -> Numbers:
    """Return the numbers (n,) that the photos of `gallery` had; row numbers if one is new, because the whole run is."""
    import pyarrow.compute as pc

    rows = pc.index_in(gallery.uris, value_set=before.identifier.gallery.uris)
    return np.arange(len(gallery)) if rows.null_count else before.numbers[rows.to_numpy(zero_copy_only=False)]


def service_of(request: Request) -> IdentifyService:
    service: IdentifyService = request.app.state.service
    return service


ServiceDep = Annotated[IdentifyService, Depends(service_of)]
