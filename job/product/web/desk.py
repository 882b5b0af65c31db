"""Where photos are taken in and looked at, within the limits: requests in, answers out. One per server, for the API and the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from job.product.identify import Identifier
from job.product.web.answers import Identified, to_web
from job.product.web.limits import Limits, Memory, Rate, Refused, Work
from job.product.web.photo import read_photo

T = TypeVar("T")
THUMBNAILS = 2_000  # kept in memory, a few KB each


class Desk:
    def __init__(self, identifier: Identifier, limits: Limits) -> None:
        self.gallery, self.limits = identifier.gallery, limits
        self._identifier = identifier
        self._work = Work(limits.photos_at_once, limits.seconds)
        self._rate, self._memory = Rate(limits.photos_per_minute), Memory(limits.held_bytes)
        self._thumbnail = lru_cache(THUMBNAILS)(self._make_thumbnail)

    async def look(self, request: Request, look: Callable[[bytes], T]) -> T:
        """
        What `look` makes of the photo of `request`, in a thread of its own.

        Raises:
            Refused: the photo does not come as it should, or a limit is reached.
        """
        self._rate.take(request.client.host if request.client else "")
        with self._memory.account() as book:
            content = await read_photo(request, self.limits, book)
            return await self._work.run(partial(look, content))

    def identify(self, content: bytes, top: int = 5) -> Identified:
        return to_web(self._identifier.identify(content, top), self.gallery.uris)

    async def thumbnail(self, row: int) -> bytes:
        """
        WebP.

        Raises:
            Refused: 404, there is no such row, or its photo is gone; or a limit is reached.
        """
        if row >= len(self.gallery):
            raise Refused(404, "no_such_photo", "photo not found")
        return await self._work.run(partial(self._thumbnail, row))

    def _make_thumbnail(self, row: int) -> bytes:
        picture = self._identifier.thumbnail(self.gallery.uri(row))
        if picture is None:
            raise Refused(404, "no_such_photo", "the photo was deleted or has changed")
        return picture

    def close(self) -> None:
        self._work.close()


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]
