"""Where photos are taken in and looked at, within the limits: requests in, answers out. One per server, for the API and the page."""

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
from job.product.web.limits import Limits, Memory, Rate, Refused, Work
from job.product.web.photo import read_photo

if TYPE_CHECKING:
    from job.inputs.fetch import Key

T = TypeVar("T")
Numbers = npt.NDArray[np.intp]
THUMBNAILS = 2_000  # kept in memory, a few KB each, while their photos are there
NO_SUCH_PHOTO = "no_such_photo"


class View(NamedTuple):
    """
    What the server shows. `numbers` (n,): by which the thumbnail of each row of the gallery is asked for. A number stays with its photo
    when others are erased: a page that was sent before shows no other photo instead.
    """

    identifier: Identifier
    numbers: Numbers


class Desk:
    def __init__(self, identifier: Identifier, limits: Limits) -> None:
        self.limits = limits
        self._shown = View(identifier, np.arange(len(identifier.gallery)))
        self._reading = threading.Lock()
        self._work = Work(limits.photos_at_once, limits.seconds)
        self._rate, self._memory = Rate(limits.photos_per_minute), Memory(limits.held_bytes)
        self._picture = lru_cache(THUMBNAILS)(_picture)

    async def look(self, request: Request, look: Callable[[bytes], T]) -> T:
        """
        What `look` makes of the photo of `request`, in a separate thread.

        Raises:
            Refused: the photo does not come as it should, or a limit is reached.
        """
        self._rate.take(request.client.host if request.client else "")
        with self._memory.account() as book:
            content = await read_photo(request, self.limits, book)
            return await self._work.run(partial(look, content))

    def identify(self, content: bytes, top: int = 5) -> Identified:
        """Raises Refused: the run cannot be read now."""
        identifier, numbers = self._view()
        return to_web(identifier.identify(content, top), identifier.gallery.uris, numbers)

    async def thumbnail(self, row: int) -> bytes:
        """
        WebP.

        Raises:
            Refused: 404, there is no such row, or its photo is gone; or a limit is reached, or the run cannot be read now.
        """
        return await self._work.run(partial(self._thumbnail, row))

    async def view(self) -> View:
        """What is shown now. Raises Refused: the run cannot be read now."""
        return await asyncio.to_thread(self._view)

    def _view(self) -> View:
        """An erased photo is gone at the next request: the run's files are listed for each."""
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


def _picture(key: Key) -> bytes:
    """Raises Refused: 404, the photo is gone."""
    from job.product.thumbnails import as_webp

    picture = as_webp(key)
    if picture is None:
        raise Refused(404, NO_SUCH_PHOTO, "the photo was deleted or has changed")
    return picture


def kept_numbers(before: View, gallery: Gallery) -> Numbers:
    """The numbers (n,) that the photos of `gallery` had; the rows' own where one of them is new, because the whole run is."""
    import pyarrow.compute as pc

    rows = pc.index_in(gallery.uris, value_set=before.identifier.gallery.uris)
    return np.arange(len(gallery)) if rows.null_count else before.numbers[rows.to_numpy(zero_copy_only=False)]


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]
