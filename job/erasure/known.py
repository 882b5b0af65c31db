"""Find which photos OUTPUT knows, by any of their addresses. Paths that lead to the same file are one photo."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain

import pyarrow.compute as pc

from job.contract.filenames import ignored_kind
from job.contract.locations import is_part
from job.contract.records import Manifest
from job.contract.uris import is_inside, is_s3, local_path, printable
from job.erasure.parquet import read
from job.erasure.tables import TABLES
from job.erasure.versions import versions_below, versions_of_each
from job.storage.data_files import read_table
from job.storage.object_store import Folder
from job.storage.schema import only

REFIT_MANIFEST = "manifest.refit"  # name of the manifest during a refit, so that readers do not see the run
REFIT_URIS = "images.refit"  # Parquet: the addresses of the matrix, which is deleted before the new one is written


class KnownPhotos:
    """The addresses in the tables and runs of OUTPUT, and the INPUT of its published runs. Read when they are asked for."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._real_folders: dict[str, str] = {}
        self._names: dict[str, dict[str, list[str]]] = {}  # folder to `_unified` name to the names that it lists

    def meant(self, uris: Iterable[str], prefixes: Iterable[str]) -> set[str]:
        """
        Return all addresses of the photos that `uris` and `prefixes` name, with and without symbolic links.

        A file that OUTPUT does not know is meant only if it is a photo in the INPUT of a published run: any other address may be a typing
        error, or that of another OUTPUT, where the features would stay.
        """
        asked, begins = set(uris), self.begins(prefixes)
        places = set(map(self._place, asked))
        shown = tuple(map(printable, begins))
        known = {
            uri for uri in self._addresses() if (place := self._place(uri)) in places or place.startswith(shown) or uri.startswith(shown)
        }
        found = set(map(self._place, known))
        versions = chain(versions_of_each(sorted(uri for uri in asked if self._place(uri) not in found)), *map(versions_below, begins))
        files = {version.uri for version in versions if self._place(version.uri) not in found and self._is_in_input(version.uri)}
        meant = known | files | {uri for uri in asked if self._place(uri) in found}
        return meant | {self.real(uri) for uri in meant}

    def begins(self, prefixes: Iterable[str]) -> tuple[str, ...]:
        """Return `prefixes`, and what they begin with where symbolic links lead."""
        found = set(prefixes)
        for prefix in [prefix for prefix in found if not is_s3(prefix)]:
            folder, begin = os.path.split(_on_disk(local_path(prefix)))
            found.add("file://" + os.path.join(self._real_folder(folder), begin))
            if os.path.isdir(local_path(prefix)):
                found.add("file://" + os.path.join(self._real_folder(local_path(prefix)), ""))
        return tuple(sorted(found))

    def photos_below(self, prefix: str) -> Iterator[str]:
        """Yield the addresses, without links, of the photos by their name that begin with `prefix`, but for those in OUTPUT."""
        for version in chain.from_iterable(map(versions_below, self.begins([prefix]))):
            if self._is_photo(version.uri):
                yield self.real(version.uri)

    def is_in_output(self, uri: str) -> bool:
        """Return whether the photo is a part of OUTPUT itself: INPUT may be beside that, in the same folder."""
        return is_part(uri, self._folder.uri) or is_part(self.real(uri), self.real(self._folder.uri))

    def real(self, uri: str) -> str:
        """Return `uri` without symbolic links, and with the names that the disk lists. Each folder is asked for once."""
        if is_s3(uri):
            return uri
        folder, name = os.path.split(_on_disk(local_path(uri)))
        path = os.path.join(self._real_folder(folder), name)
        if os.path.islink(path):
            folder, name = os.path.split(os.path.realpath(path))
        folder = self._real_folder(folder)
        return "file://" + os.path.join(folder, self._listed(folder, name))

    def _real_folder(self, folder: str) -> str:
        if folder not in self._real_folders:
            above, name = os.path.split(os.path.realpath(folder))
            self._real_folders[folder] = os.path.join(self._real_folder(above), self._listed(above, name)) if name else above
        return self._real_folders[folder]

    def _listed(self, folder: str, name: str) -> str:
        """
        Return `name` as `folder` lists it: many disks find a file by other spellings too, in upper or lower case or composed otherwise.

        Of several names of the same file that are spelt alike, the first one.
        """
        if folder not in self._names:
            self._names[folder] = _names_in(folder)
        names = self._names[folder]
        alike = names.get(_unified(name), [])
        if alike == [name] or not name:
            return name
        path = os.path.join(folder, name)
        others = alike if name in alike else chain(alike, *names.values())  # the rest: short names, as `PHOTOS~1`
        return next((one for one in others if _is_same(path, os.path.join(folder, one))), name)

    def _place(self, uri: str) -> str:
        """Return what all addresses of a photo have in common, whether its file is there or not."""
        return printable(self.real(uri))

    def _is_photo(self, uri: str) -> bool:
        return ignored_kind(uri.rpartition("/")[2]) is None and not self.is_in_output(uri)

    def _is_in_input(self, uri: str) -> bool:
        return self._is_photo(uri) and any(is_inside(self.real(uri), place) for place in self._inputs)

    @cached_property
    def _inputs(self) -> set[str]:
        manifests = (manifest_of(self._folder, run) for run in self._folder.names("runs"))
        return {self.real(manifest.params["input"].rstrip("/")) for manifest in manifests if manifest is not None}

    def _addresses(self) -> Iterator[str]:
        for table, schema in TABLES.items():
            for rows in read_table(self._folder, table, only(schema, ["uri"])):
                yield from pc.unique(rows["uri"]).to_pylist()
        for run in self._folder.names("runs"):
            yield from uris_of_run(self._folder, run)


def _names_in(folder: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    try:
        for name in sorted(os.listdir(folder)):
            names[_unified(name)].append(name)
    except OSError:  # it is not there, or may not be listed
        return {}
    return dict(names)


def _unified(name: str) -> str:
    """Return what all spellings have in common that a disk may take for the same name."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _is_same(path: str, other: str) -> bool:
    """Return whether two paths are the same file. Links are not followed."""
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False


def _on_disk(path: str) -> str:
    """Return the path of which `path` is the `printable` form: so the tables have a name that is not UTF-8."""
    if "\\x" not in path or os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    folder = _on_disk(folder)
    try:
        return next(os.path.join(folder, one) for one in os.listdir(folder) if printable(one) == name)
    except (OSError, StopIteration):
        return os.path.join(folder, name)


def manifest_of(folder: Folder, run: str) -> Manifest | None:
    """Return the manifest of a run, also while it is being rewritten; None for an attempt that was never published."""
    stored = folder.read(f"runs/{run}/manifest.json") or folder.read(f"runs/{run}/{REFIT_MANIFEST}")
    return Manifest.from_json(stored.content) if stored else None


def uris_of_run(folder: Folder, run: str) -> list[str]:
    """Return the URIs in the matrix of a run. During a refit, return those of the previous matrix."""
    saved = read(folder, f"runs/{run}/{REFIT_URIS}", ["uri"])
    found: list[str] = [] if saved is None else saved["uri"].to_pylist()
    if found:
        return found
    for name in folder.names(f"runs/{run}/pca"):
        if name.endswith(".parquet"):
            table = read(folder, f"runs/{run}/pca/{name}", ["uri"])
            found += pc.unique(table["uri"]).to_pylist() if table is not None else []
    return found
