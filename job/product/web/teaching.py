"""Teach the run a photo of a visitor, after consent, by the code of `fruitsctl teach`. One photo at a time; answers do not wait for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from fastapi import Request

from job.contract.errors import DecodeError, InputError, JobError, LeaseError, RegionError
from job.contract.uris import printable, shown
from job.imaging.decode import decode_image
from job.product.fruits import LANGUAGES, group_name
from job.product.identify.identifier import Identifier
from job.product.teach import Lesson, Taught, check_label, teach
from job.product.web.limits import Refused, WorkerPool
from job.product.web.photo import Sent
from job.product.web.service import IdentifyService
from job.storage.tombstones import REFUSED

Clean = Callable[[bytes], bytes]  # returns a photo without metadata; raises DecodeError where this cannot be guaranteed
LABEL, CONSENT, AGREED = "label", "consent", "yes"  # fields of the form
LEASE_SECONDS = 10.0  # until a visitor may try again
AGAIN = "send it again: a photo is stored once, and the answer has its address"
UNREADABLE = "save it as JPEG, then send it again"


class Kept(NamedTuple):
    """A photo that was taught. `address` is that of the copy in INPUT; `new` is False if the run had it."""

    run_id: str
    label: str
    address: str
    erase: str  # the command
    new: bool


class Teaching:
    """Teaches the run of `service`. `clean` removes metadata from what is stored."""

    def __init__(self, service: IdentifyService, clean: Clean) -> None:
        self._service, self._clean = service, clean
        self._work = WorkerPool(1, service.limits.seconds)  # its own thread: it never takes one of an answer

    async def process_photo(self, request: Request) -> Kept:
        """
        Teach the photo of `request` with its label.

        Raises:
            Refused: the form is not complete, a limit is reached, or the photo cannot be taught; nothing of it is stored then. 504: it
                takes too long, and may be stored later.
        """
        async with self._service.received(request) as sent:
            try:
                return await self._work.run(partial(self._teach, sent))
            except Refused as error:
                if error.status == 504:
                    raise Refused(504, "teaching_slow", f"{error}; the photo may be stored all the same", AGAIN) from error
                raise

    def _teach(self, sent: Sent) -> Kept:
        refuse_without_consent(sent.fields)
        identifier = self._service.current().identifier
        label = label_of(sent.fields, identifier)
        try:
            content = self._clean(sent.content)
            with self._service.changing():  # decodes in this process, as answers do
                taught = teach(identifier, [Lesson("photo", label, lambda: content)], lambda *_: None, decode_image)
        except DecodeError as error:
            raise Refused(422, "unreadable", f"the photo cannot be taught: {error}", UNREADABLE) from error
        except JobError as error:
            raise refusal_of(error) from error
        return kept(taught, label, identifier.gallery.output)

    def close(self) -> None:
        self._work.close()


def refuse_without_consent(fields: Mapping[str, str]) -> None:
    """Raise Refused 400 if the visitor has not agreed that the photo is stored."""
    given = fields.get(CONSENT, "")
    if given != AGREED:
        message = f"`{printable(given)}` is not consent to storing the photo" if given else "there is no consent to storing the photo"
        raise Refused(400, "no_consent", message, f"add the field `{CONSENT}` with the value `{AGREED}` if the visitor agrees")


def label_of(fields: Mapping[str, str], identifier: Identifier) -> str:
    """
    Return the label in the form, spelled as the run spells it: `banana` and `Banane` are its `Banana`.

    Raises:
        Refused: 400, there is none; 422, INPUT cannot have a folder with this name.
    """
    typed = fields.get(LABEL, "").strip()
    if not typed:
        raise Refused(400, "no_label", f"the form has no text in its field `{LABEL}`", "name the fruit, for example Apple")
    groups = sorted(set(identifier.groups))
    spellings = {group_name(group, language).casefold(): group for group in groups for language in LANGUAGES}
    spellings |= {name.casefold(): name for name in [*groups, *identifier.gallery.names]}
    label = typed if typed in identifier.gallery.names else spellings.get(typed.casefold(), typed)
    try:
        check_label(label)
    except InputError as error:
        raise Refused(422, "bad_label", str(error), error.hint) from error
    return label


def refusal_of(error: JobError) -> Refused:
    """Return the refusal for an error that ended the teaching. The photo is not in INPUT then."""
    if isinstance(error, LeaseError):
        return Refused(409, "lease", str(error), "send it again once that run or erasure has ended", LEASE_SECONDS)
    if isinstance(error, RegionError):
        return Refused(403, "region", str(error), error.hint)
    return Refused(503, "storage", str(error), error.hint or "check that the server can write to INPUT and OUTPUT", LEASE_SECONDS)


def kept(taught: Taught, label: str, output: str) -> Kept:
    """
    Return where the one photo of `taught` is.

    Raises:
        Refused: 403, it was erased on request; 422, it cannot be used.
    """
    for _, reason in taught.refused:
        if reason == REFUSED:
            raise Refused(403, "erased", f"the photo cannot be taught: {reason}", "send another photo")
        raise Refused(422, "unreadable", f"the photo cannot be taught: {reason}", UNREADABLE)
    (address,) = [*taught.added, *taught.already]
    erase = shlex.join(["fruitsctl", "forget", shown(address), "--output", shown(output)])
    return Kept(taught.run_id, label, shown(address), erase, bool(taught.added))
