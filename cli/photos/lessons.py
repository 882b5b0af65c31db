"""Find the photos that `fruitsctl teach` is given, with their labels."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from cli.errors import FruitsError, UsageError
from cli.photos.strip_metadata import UnknownFormat, strip
from cli.settings.folders import local
from job.contract.filenames import ignored_kind, skipped_folder
from job.contract.reading import open_regular

STDIN = "-"


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
                raise UsageError(f"there are no photos below `{path}`", "use files ending in .jpg .png .webp")
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


def without_metadata(photo: LabelledPhoto) -> LabelledPhoto | str:
    """Return the photo without place, time, camera and names, or why they cannot be removed."""
    try:
        strip(photo.read())
    except UnknownFormat as error:
        return f"cannot remove its metadata: {error}"
    return photo._replace(read=lambda: strip(photo.read()))


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
