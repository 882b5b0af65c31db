"""Show the first rejects of each reason, with a small picture if there is one. Reads the Delta table without Spark."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from PIL import Image

from job.contract.errors import DecodeError, FetchError
from job.contract.records import Manifest
from job.contract.uris import is_inside
from job.imaging.bounded_decode import CRASHED, TOO_LONG, run_in_subprocess
from job.inputs.fetch import fetch
from job.product.thumbnails import FindImages, small_photo
from job.storage.data_files import read_table
from job.storage.object_store import Folder
from job.storage.schema import REJECTS, only
from job.storage.tombstones import REFUSED

FIRST = 8  # of each reason
SHOWN_BYTES = 32 << 20  # a larger file is not read again for a picture that may not come
COLUMNS = ["uri", "model", "stage", "reason"]
WITHOUT_PICTURE = (TOO_LONG, CRASHED, REFUSED)  # dangerous to decode, or not to be shown


@dataclass(frozen=True)
class Rejected:
    """A rejected image as the report shows it."""

    uri: str
    stage: str  # list, fetch, decode
    picture: Image.Image | None


def first_rejects(folder: Folder, manifest: Manifest, keys_of: FindImages) -> dict[str, list[Rejected]]:
    """
    Return the first FIRST images of each reason by name.

    Images that are no longer in INPUT are left out, unless that is the reason.

    Raises:
        OutputError, CredentialsError: the table cannot be read.
    """
    if not manifest.counts.get("rejected"):
        return {}
    by_reason: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for rows in read_table(folder, "rejects", only(REJECTS, COLUMNS)):
        for row in rows.to_pylist():
            if row["model"] == manifest.model and row["reason"] in manifest.rejects and is_inside(row["uri"], manifest.params["input"]):
                found = by_reason[row["reason"]]
                found.append((row["uri"], row["stage"]))
                by_reason[row["reason"]] = sorted(set(found))[: 4 * FIRST]  # some of them may be gone
    wanted = [uri for found in by_reason.values() for uri, stage in found if stage == "decode"]
    hidden = {uri for reason in WITHOUT_PICTURE for uri, _ in by_reason.get(reason, [])}
    keys = {key.uri: key for key in keys_of(wanted)}
    affordable = [key for key in keys.values() if key.size is not None and key.size <= SHOWN_BYTES and key.uri not in hidden]
    pictures = {key.uri: _picture(content) for key, content in fetch(affordable) if not isinstance(content, FetchError)}
    return {
        reason: [Rejected(uri, stage, pictures.get(uri)) for uri, stage in found if stage != "decode" or uri in keys][:FIRST]
        for reason, found in sorted(by_reason.items())
    }


def _picture(content: bytes) -> Image.Image | None:
    """Decode in a subprocess: this process is the driver, and these images are known to be bad."""
    try:
        return run_in_subprocess(small_photo, content, even_if_cut=True)
    except DecodeError:
        return None
