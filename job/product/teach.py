"""
Teach a run new photos: add them to INPUT, to the table `features`, and to the matrix of the run. The PCA stays. No Spark, no Java.

A photo is stored first, because its row needs the etag that the next listing of INPUT gives: the next run finds its features. Its name
comes from its content: teaching it again resumes after an interruption, and changes nothing after the end.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from job.contract.errors import DecodeError, InputError, JobError, OutputError
from job.contract.filenames import FolderToList, label_of, skipped_folder, taught_name
from job.contract.records import Manifest, counted
from job.contract.uris import is_s3, join, printable, shown
from job.imaging.bounded_decode import decode_in_subprocess
from job.imaging.decode import FORMATS, Decoded
from job.imaging.networks import FULL, Features
from job.inputs import local, s3
from job.inputs.fetch import MAX_BYTES, ListedImage, content_etag, fetch, find_image
from job.product.gallery import Gallery
from job.product.identify.identifier import Identifier
from job.product.matrix import write_part
from job.storage import data_files
from job.storage.data_files import read_table
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.object_store import Folder
from job.storage.s3_client import S3_ERRORS, translate_error
from job.storage.schema import EMBEDDED, FEATURES, SCORES, only
from job.storage.tombstones import REFUSED, Tombstones, read_tombstones

SUFFIXES = {name: f".{name.lower()}" for name in FORMATS} | {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}  # by Pillow's name
PART = re.compile(r"part-(\d+).*\.parquet$")
MAX_LABEL_BYTES = 255  # of a file name on Linux, macOS and Windows
NOTE = "taught after the run: report.html does not show them"  # ends the note of the manifest
Progress = Callable[[int, int | None], None]
Decode = Callable[[bytes, int, bool], Decoded]


class Lesson(NamedTuple):
    """A photo and its label. `read` returns its bytes as they are to be stored; it is called twice."""

    source: str  # its name in messages
    label: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Taught:
    """
    What was taught to the run `run_id`.

    `added`: URIs in INPUT that are new in the matrix; `already`: those that it had; `refused`: source and reason of the others.
    """

    run_id: str
    input: str
    added: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


class _Photo(NamedTuple):
    lesson: Lesson
    name: str  # below INPUT
    digest: str  # SHA-256 of the content
    size: int  # bytes
    width: int
    height: int
    features: Features


def check_label(label: str) -> None:
    """
    Raise InputError for a label that cannot be the name of a folder of INPUT, or that a listing would change or leave out.

    The rules are those of `label_of` and `skipped_folder`.
    """
    usable = (
        label not in ("", ".", "..")
        and not set(label) & set("/\\")
        and label.isprintable()
        and printable(label) == label
        and len(label.encode()) <= MAX_LABEL_BYTES
        and label_of(f"file:///i/{label}/x.jpg", "file:///i") == label
        and skipped_folder(f"file:///i/{label}", "file:///i") is None
    )
    if not usable:
        raise InputError(f"`{printable(label)}` cannot be a label", "use the name of a folder, for example Apple")


def teach(identifier: Identifier, lessons: Sequence[Lesson], progress: Progress, decode: Decode = decode_in_subprocess) -> Taught:
    """
    Teach the run of `identifier` and return what came of it. Photos that cannot be decoded are refused, the others are taught.

    A process with busy threads passes another `decode`: a fork waits for OpenBLAS to end its own, forever if one is multiplying.

    If the features cannot be committed, the photos are taken back from INPUT.

    Raises:
        InputError: a label cannot be used, or INPUT does not exist any more.
        LeaseError: a run or an erasure is writing to OUTPUT.
        OutputError, CredentialsError, RegionError: INPUT or OUTPUT cannot be read or written.
    """
    for lesson in lessons:
        check_label(lesson.label)
    folder = open_folder(identifier.gallery.output)
    photos, refused = _prepare(identifier, lessons, read_tombstones(folder), progress, decode)
    run_id = f"teach-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:4]}"
    with Lease.acquire(folder, run_id) as lease:
        if not identifier.gallery.is_current():
            identifier = identifier.reopened()
        gallery = identifier.gallery
        manifest = _manifest(folder, gallery.run_id)
        input_uri: str = manifest.params["input"]
        (s3 if is_s3(input_uri) else local).check(input_uri)
        if not photos:
            return Taught(gallery.run_id, input_uri, refused=refused)
        images = _store(folder, open_folder(input_uri), photos, manifest, lease, run_id)
        lease.check()
        added = _add_to_matrix(folder, gallery, images, manifest, lease)
    already = [image.uri for image, _ in images if image.uri not in added]
    return Taught(gallery.run_id, input_uri, added, already, refused)


def _prepare(
    identifier: Identifier, lessons: Sequence[Lesson], erased: Tombstones, progress: Progress, decode: Decode
) -> tuple[list[_Photo], list[tuple[str, str]]]:
    """Decode and embed every photo before anything is written. The bytes are not kept: many photos take gigabytes."""
    photos: dict[str, _Photo] = {}
    refused = []
    for done, lesson in enumerate(lessons, start=1):
        content = lesson.read()
        try:
            if len(content) > MAX_BYTES:
                raise DecodeError(f"too large: {len(content)} bytes")
            if erased.contains(content):
                raise DecodeError(REFUSED)
            decoded = decode(content, identifier.network.size_px, identifier.gallery.model.endswith(FULL))
            digest = hashlib.sha256(content).hexdigest()
            name = taught_name(lesson.label, digest, _suffix(content))
            photos[name] = _Photo(lesson, name, digest, len(content), decoded.width, decoded.height, identifier.network(decoded.pixels))
        except DecodeError as error:
            refused.append((lesson.source, str(error)))
        progress(done, len(lessons))
    return list(photos.values()), refused


def _suffix(content: bytes) -> str:
    with Image.open(io.BytesIO(content)) as image:  # decoded before: it is one of SUFFIXES
        return SUFFIXES[image.format or ""]


def _manifest(folder: Folder, run_id: str) -> Manifest:
    stored = folder.read(f"runs/{run_id}/manifest.json")
    if stored is None:
        raise InputError(f"run `{run_id}` in `{shown(folder.uri)}` was removed", "omit --run to use the newest run")
    return Manifest.from_json(stored.content)


def _store(
    folder: Folder, source: Folder, photos: list[_Photo], manifest: Manifest, lease: Lease, run_id: str
) -> list[tuple[ListedImage, _Photo]]:
    """Write the photos to INPUT that it does not have under their label, and commit their features; or take back what was written."""
    content_hash = bool(manifest.params.get("content_hash"))
    there = _same_content(source.uri, photos, content_hash)
    stored: list[str] = []
    try:
        images = []
        for photo in photos:
            lease.check()
            image = there.get((photo.lesson.label, photo.digest))
            if image is None:
                if source.read(photo.name) is not None:
                    raise InputError(f"`{shown(join(source.uri, photo.name))}` was changed", "rename it or delete it")
                content = photo.lesson.read()
                if content_etag(content) != photo.digest:
                    raise InputError(f"`{photo.lesson.source}` changed while it was read", "run the command again")
                stored.append(photo.name)
                source.write(photo.name, content)
                image = _listed(join(source.uri, photo.name), photo, content_hash)
            images.append((image, photo))
        _commit(folder, images, manifest.model, lease, run_id)
    except BaseException:  # Ctrl-C too: a photo without features is one that nobody asked to keep
        _take_back(folder, source, stored, manifest.model)
        raise
    return images


def _same_content(input_uri: str, photos: list[_Photo], content_hash: bool) -> dict[tuple[str, str], ListedImage]:
    """Return the images of INPUT with the content of one of `photos` and its label, by label and digest."""
    found: dict[tuple[str, str], ListedImage] = {}
    for label in {photo.lesson.label for photo in photos}:
        folder, sizes = FolderToList(join(input_uri, label) + "/", deep=False), {photo.size for photo in photos}
        rows = (s3 if is_s3(input_uri) else local).list_folders(input_uri, [folder], content_hash)
        listed = (ListedImage(row.uri, row.etag, row.size, row.label) for row in rows if row.uri and row.etag and row.size in sizes)
        found |= {(label, content_etag(content)): image for image, content in fetch(listed) if isinstance(content, bytes)}
    return found


def _take_back(folder: Folder, source: Folder, names: list[str], model: str) -> None:
    """Delete the photos `names` of INPUT that have no features: an error may come after the commit, or instead of its answer."""
    uris = {join(source.uri, name): name for name in names}
    with suppress(JobError):  # without an answer they stay: INPUT then has photos that the next run embeds
        for uri in uris.keys() - {row["uri"] for row in _rows_of(folder, list(uris), model)}:
            source.delete(uris[uri])


def _listed(uri: str, photo: _Photo, content_hash: bool) -> ListedImage:
    """Return what the next listing gives for a photo that was just written."""
    try:
        found = find_image(uri)
    except (OSError, *S3_ERRORS) as error:
        raise translate_error(error, uri, OutputError) if is_s3(uri) else OutputError(f"cannot read `{uri}`: {error}") from error
    if found is None:
        raise OutputError(f"`{shown(uri)}` disappeared", "run the command again")
    etag = photo.digest if content_hash and not is_s3(uri) else found[0].etag
    return found[0]._replace(etag=etag, label=photo.lesson.label)


def _commit(folder: Folder, images: list[tuple[ListedImage, _Photo]], model: str, lease: Lease, run_id: str) -> None:
    """Commit the rows of `features` that it does not have."""
    known = {(row["uri"], row["etag"]) for row in _rows_of(folder, [image.uri for image, _ in images], model)}
    rows = [
        {
            "uri": image.uri,
            "etag": image.etag,
            "label": image.label,
            "width": photo.width,
            "height": photo.height,
            "embedding": photo.features.tolist(),
        }
        for image, photo in images
        if (image.uri, image.etag) not in known
    ]
    log = DeltaLog(folder, "features", lease)
    log.create(FEATURES)
    values = {"model": model, "run_id": run_id, "embedded_at": datetime.now(UTC)}
    file = data_files.write(log.uri, [pa.RecordBatch.from_pylist(rows, EMBEDDED)] if rows else [], FEATURES, **values)
    if file:
        log.commit([file])


def _rows_of(folder: Folder, uris: list[str], model: str) -> Iterator[dict[str, str]]:
    """Yield uri, etag and model of the rows of `features` about `uris`."""
    wanted = pa.array(uris, pa.string())
    for table in read_table(folder, "features", only(FEATURES, ["uri", "etag", "model"])):
        yield from table.filter(pc.and_(pc.is_in(table["uri"], wanted), pc.equal(table["model"], model))).to_pylist()


def _add_to_matrix(
    folder: Folder, gallery: Gallery, images: list[tuple[ListedImage, _Photo]], manifest: Manifest, lease: Lease
) -> list[str]:
    """Add one part with the scores of the photos that the matrix does not have; return their URIs."""
    known = set(pc.filter(gallery.uris, pc.is_in(gallery.uris, pa.array([image.uri for image, _ in images]))).to_pylist())
    new = sorted((image, photo) for image, photo in images if image.uri not in known)
    if new:
        scores = ((np.stack([photo.features for _, photo in new]) - gallery.mean) @ gallery.loadings).astype(np.float32)
        columns = {"uri": [image.uri for image, _ in new], "label": [image.label for image, _ in new], "pc": scores.tolist()}
        parts = [int(found[1]) for name in folder.names(f"runs/{gallery.run_id}/pca") if (found := PART.match(name))]
        number = 1 + max(parts, default=-1)
        write_part(folder.uri, gallery.run_id, number, pa.table(columns, SCORES), gallery.loadings.shape[1])
    labels = set(gallery.names) | {photo.lesson.label for _, photo in new}
    rows = len(gallery) + len(new)
    taught = manifest.counts.get("taught", 0) + rows - manifest.counts["rows"]
    counts = manifest.counts | {"rows": rows, "labels": len(labels), "taught": taught}
    if counts != manifest.counts:
        notes = [note for note in manifest.notes if not note.endswith(NOTE)]
        manifest = replace(manifest, counts=counts, notes=[*notes, f"{counted(taught, 'photos')} {NOTE}"])
        lease.check()
        folder.write(f"runs/{gallery.run_id}/manifest.json", manifest.to_json().encode())
    return [image.uri for image, _ in new]
