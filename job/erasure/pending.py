"""Store what an erasure knows in OUTPUT before anything is removed: the next `forget` uses it to continue an interrupted one."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from job.storage.object_store import Folder
from job.storage.tombstones import FOLDER

OPTIONS = ("refit", "tombstone")  # of `ForgetParams`: an erasure that continues another one does what either was asked to do


@dataclass
class Targets:
    """Images to erase and the progress of their erasure. What an interrupted erasure knew and did is added."""

    uris: set[str] = field(default_factory=set)
    etags: set[str] = field(default_factory=set)
    photos: set[str] = field(default_factory=set)  # those of `uris` that were still there
    contents: set[str] = field(default_factory=set)  # SHA-256 of their bytes, of every version
    numbers: set[str] = field(default_factory=set)  # base64 of float32: the first HEAD numbers of each embedding
    copies: set[str] = field(default_factory=set)  # other URIs of the same bytes, which stay
    shared: set[str] = field(default_factory=set)  # `value uri`: etags, hashes and numbers that staying photos have too
    folders: set[str] = field(default_factory=set)  # those of `uris` that are folders which could not be listed
    begun: set[str] = field(default_factory=set)  # files of the erasures that this one continues
    runs: set[str] = field(default_factory=set)  # whose matrix had rows of them
    asked: set[str] = field(default_factory=set)  # of OPTIONS
    removed: dict[str, Counter[str]] = field(default_factory=dict)  # by name in Receipt.removed: what was found, and how often

    def add(self, other: Targets) -> None:
        """Merge `other`."""
        for name, values in vars(other).items():
            if name != "removed":
                getattr(self, name).update(values)
        for name, found in other.removed.items():
            self.note(name, found)
        self.copies -= self.uris

    def note(self, name: str, found: Iterable[str] | Counter[str]) -> None:
        """
        Add what is about to be removed.

        What an interrupted erasure has noted too counts once, whether it was removed or not: the receipt of the erasure that continues it
        counts everything.
        """
        self.removed[name] = self.removed.get(name, Counter()) | Counter(found)

    @classmethod
    def from_json(cls, text: bytes) -> Targets:
        values = json.loads(text)
        noted = values.pop("removed", {})  # in a record of an earlier version, numbers
        removed = {name: Counter(found if isinstance(found, dict) else {"": found}) for name, found in noted.items()}
        known = {name: set(found) for name, found in values.items() if name in vars(cls())}  # another version may have stored more
        return cls(**known, removed=removed)

    def to_json(self) -> bytes:
        sets = {name: sorted(values) for name, values in vars(self).items() if name != "removed"}
        return json.dumps({**sets, "removed": self.removed}).encode()

    def searched(self) -> set[str]:
        """Return the addresses to search for: that of a folder is in those of all photos below it, which stay."""
        return self.uris - self.folders

    def heads(self) -> set[bytes]:
        return {base64.b64decode(numbers) for numbers in self.numbers}

    def staying(self) -> tuple[set[str], set[str]]:
        """Return what photos that stay have too, and their addresses, which alone tell them from what is erased."""
        pairs = [(value, uri) for value, _, uri in (one.partition(" ") for one in self.shared) if uri not in self.uris]
        return {value for value, _ in pairs}, {uri for _, uri in pairs}


def save_targets(folder: Folder, run_id: str, targets: Targets) -> None:
    """Store the targets in OUTPUT, so that the next `forget` can continue this erasure."""
    folder.write(f"{FOLDER}/{run_id}.pending", targets.to_json())


def unfinished_erasures(folder: Folder) -> Iterable[tuple[str, Targets]]:
    """Yield names and targets of erasures that did not end."""
    for name in folder.names(FOLDER):
        stored = folder.read(f"{FOLDER}/{name}") if name.endswith(".pending") else None
        if stored is not None:
            yield f"{FOLDER}/{name}", Targets.from_json(stored.content)
