"""Write the receipt of an erasure, which holds keyed hashes only."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from job.erasure.search.proof import Proof
from job.storage.object_store import Folder
from job.storage.tombstones import FOLDER

REMOVED = ("photos", "features", "rejects", "rows", "versions")  # photos with old versions; rows of runs; older versions in OUTPUT


@dataclass(frozen=True)
class Receipt:
    """One erasure; `erasures/<id>.json`. `images` and their contents are HMAC-SHA256 with the key of this OUTPUT."""

    id: str
    at: str  # ISO 8601, UTC
    by: str
    asked: dict[str, Any]
    images: list[str]
    removed: dict[str, int]  # by REMOVED, also what attempts that were interrupted have removed
    refitted: list[str]  # runs
    marked: list[str]  # runs whose PCA was fitted with the images
    copies_left: int  # other addresses of the same bytes
    searched: dict[str, int]
    found: list[str]  # places with a trace left: files of OUTPUT, or logs

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def write(folder: Folder, receipt: Receipt) -> None:
    """Write the receipt into OUTPUT."""
    folder.write(f"{FOLDER}/{receipt.id}.json", receipt.to_json().encode())


def times_of(folder: Folder) -> dict[str, str]:
    """Return when each image that a receipt has was erased: `Receipt.images` to `Receipt.at`, the last one."""
    times: dict[str, str] = {}
    for name in sorted(name for name in folder.names(FOLDER) if name.endswith(".json")):
        with suppress(ValueError, TypeError, KeyError):  # another file, or a damaged one
            stored = folder.read(f"{FOLDER}/{name}")
            receipt = json.loads(stored.content) if stored else {"images": []}
            times |= dict.fromkeys(receipt["images"], receipt.get("at"))
    return times


def searched(proof: Proof) -> dict[str, int]:
    """Return what was searched, for the receipt."""
    return {"objects": proof.objects, "older_versions": proof.versions, "bytes": proof.bytes, "log_events": proof.log_events}
