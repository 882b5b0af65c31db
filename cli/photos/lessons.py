"""Find the photos that a run is to be taught, with their labels, and teach them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cli.errors import FruitsError, UsageError
from cli.photos.strip_metadata import UnknownFormat, strip
from cli.settings.folders import local
from cli.ui.output import progress_bar, say
from job.contract.errors import DecodeError
from job.contract.filenames import ignored_kind, skipped_folder
from job.contract.reading import open_regular
from job.contract.records import counted

if TYPE_CHECKING:
    from job.product.identify.identifier import Identifier
    from job.product.teach import Taught

STDIN = "-"
SHOWN = 10  # of what was not taught


class LabelledPhoto(NamedTuple):
    """A photo of this machine. `read` returns its bytes."""

    source: str
    label: str
    read: Callable[[], bytes]


def labelled_photos(photos: list[str], label: str | None) -> Iterator[LabelledPhoto]:
    """
    Yield the photos with `label`, or below folders with the name of their own folder as label.

    Raises:
        UsageError: a photo has no label, a folder has no photos, or there is no such file.
    """
    for photo in photos:
        if photo == STDIN:
            yield LabelledPhoto(photo, _label(label, photo), cache(sys.stdin.buffer.read))
            continue
        path = local(photo, "download the photo first, then give its file")
        if path.is_dir():
            found = list(_below(path))
            if not found:
                raise UsageError(f"there are no photos below `{path}`", "use files ending in .jpg .heic .png .webp .avif")
            for file in found:
                yield LabelledPhoto(str(file), label or _folder_of(file, path), partial(read_photo, str(file)))
        else:
            yield LabelledPhoto(photo, _label(label, photo), partial(read_photo, str(path)))


def read_photo(path: str) -> bytes:
    """
    Return the bytes of a photo.

    Raises:
        FruitsError: it does not exist or is not readable.
    """
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        hint = "give image files, for example photos/*/*.jpg, or `-` to read one from stdin"
        raise FruitsError(f"cannot read `{path}`: {error.strerror}", hint) from error


def check_labels(photos: list[LabelledPhoto]) -> None:
    """Raise FruitsError for a label that a folder of INPUT cannot have."""
    from job.contract.errors import JobError
    from job.product.teach import check_label

    try:
        for photo in photos:
            check_label(photo.label)
    except JobError as error:
        raise FruitsError(str(error), error.hint, error.code) from error


def taught_to(identifier: Identifier, photos: list[LabelledPhoto], with_metadata: bool = False) -> Taught:
    """
    Teach the run of `identifier`, by default with copies without place, time, camera and names.

    Raises:
        FruitsError: as `job.product.teach.teach`.
    """
    from job.contract.errors import JobError
    from job.product.teach import Lesson, teach

    try:
        usable, refused = (photos, []) if with_metadata else _stripped(photos)
        with progress_bar("Teach photos", "photos") as progress:
            result = teach(identifier, [Lesson(*photo) for photo in usable], progress)
    except JobError as error:
        raise FruitsError(str(error), error.hint, error.code) from error
    return replace(result, refused=sorted([*result.refused, *refused]))


def without_metadata(content: bytes) -> bytes:
    """
    Return a photo without metadata, as it is taught.

    Raises:
        DecodeError: this cannot be guaranteed for the file.
    """
    try:
        return strip(content)
    except UnknownFormat as error:
        raise DecodeError(f"cannot remove its metadata: {error}") from error


def refuse_untaught(result: Taught, photos: int) -> None:
    """Raise FruitsError if some of the `photos` photos were not taught."""
    if not result.refused:
        return
    for source, reason in result.refused[:SHOWN]:
        say(f"not taught: {source}: {reason}")
    raise FruitsError(
        f"`{len(result.refused)}` of {counted(photos, 'photos')} {'was' if photos == 1 else 'were'} not taught",
        "save them as JPEG, then run the command again: photos that were taught are skipped",
    )


def _stripped(photos: list[LabelledPhoto]) -> tuple[list[LabelledPhoto], list[tuple[str, str]]]:
    """Return the photos without metadata, and source and reason of those from which it cannot be removed."""
    usable, refused = [], []
    for photo in photos:
        try:
            without_metadata(photo.read())
        except DecodeError as error:
            refused.append((photo.source, str(error)))
            continue
        usable.append(photo._replace(read=partial(_read_stripped, photo)))
    return usable, refused


def _label(label: str | None, photo: str) -> str:
    if label is None:
        raise UsageError(
            f"`{photo}` has no label", "add --label, for example --label Apple, or give a folder with one sub-folder per label"
        )
    return label


def _folder_of(file: Path, folder: Path) -> str:
    if file.parent == folder:
        raise UsageError(f"`{file}` has no label", "add --label, or put it into a sub-folder with the name of its label")
    return file.parent.name


def _below(folder: Path) -> Iterator[Path]:
    """Yield the photos below `folder`, sorted, by the rules of a listing of INPUT."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        if skipped_folder(root, str(folder)) is None:
            yield from (Path(root, name) for name in sorted(names) if ignored_kind(name) is None)


def _read_stripped(photo: LabelledPhoto) -> bytes:
    return strip(photo.read())
