"""Find which photos OUTPUT knows, by any of their addresses. Paths that differ only by symbolic links are one photo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain

import pyarrow.compute as pc

from job.contract.filenames import ignored_kind
from job.contract.records import Manifest
from job.contract.uris import is_inside, is_s3, local_path, printable
from job.erasure.parquet import read
from job.erasure.tables import TABLES
from job.erasure.versions import versions_below, versions_of_each
from job.storage.data_files import read_table
from job.storage.object_store import Folder
from job.storage.schema import only

REFIT_MANIFEST = "manifest.refit"  # name of the manifest during a refit, so that readers do not see the run


class KnownPhotos:
    """The addresses in the tables and runs of OUTPUT, and the INPUT of its published runs. Read when they are asked for."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._real_folders: dict[str, str] = {}

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
            found.add("file://" + os.path.join(os.path.realpath(folder), begin))
            if os.path.isdir(local_path(prefix)):
                found.add("file://" + os.path.join(os.path.realpath(local_path(prefix)), ""))
        return tuple(sorted(found))

    def photos_below(self, prefix: str) -> Iterator[str]:
        """Yield the addresses, without links, of the photos by their name that begin with `prefix`, but for those in OUTPUT."""
        for version in chain.from_iterable(map(versions_below, self.begins([prefix]))):
            if self._is_photo(version.uri):
                yield self.real(version.uri)

    def is_in_output(self, uri: str) -> bool:
        return is_inside(uri, self._folder.uri) or is_inside(self.real(uri), self.real(self._folder.uri))

    def real(self, uri: str) -> str:
        """Return `uri` without symbolic links, and with the name that the disk has. Each folder is asked for once."""
        if is_s3(uri):
            return uri
        folder, name = os.path.split(_on_disk(local_path(uri)))
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        path = os.path.join(self._real_folders[folder], name)
        return "file://" + (os.path.realpath(path) if os.path.islink(path) else path)

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
    """Return the URIs in the matrix of a run."""
    found: list[str] = []
    for name in folder.names(f"runs/{run}/pca"):
        if name.endswith(".parquet"):
            table = read(folder, f"runs/{run}/pca/{name}", ["uri"])
            found += pc.unique(table["uri"]).to_pylist() if table is not None else []
    return found
