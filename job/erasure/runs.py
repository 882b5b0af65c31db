"""Remove images from published runs and dead attempts: matrix, report, notebook, log, outcome. No Spark."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from job.contract.errors import LeaseError
from job.contract.records import Manifest
from job.contract.uris import is_s3
from job.erasure import parquet
from job.erasure.known import REFIT_URIS, manifest_of
from job.erasure.pending import Targets
from job.erasure.search.spellings import is_address, spellings, uris_by_search_string
from job.erasure.search.strings import Strings
from job.product.report import report
from job.storage.lease import Lease
from job.storage.object_store import Folder

ERASED = "images were erased from this run after it was published"
FITTED = f"{ERASED}; its PCA was fitted with them"
REFITTED = f"{ERASED}; its PCA was refitted without them"
NO_REPORT = "the report was not rewritten after an erasure"
ATTEMPT_FILES = (".log", "outcome.json")  # of an attempt


def erase_from_run(folder: Folder, run: str, targets: Targets, lease: Lease) -> None:
    """
    Remove `targets` from `runs/<run>/`. Idempotent.

    The report is deleted; `update_manifest_and_report` writes it again. Of an attempt that was never published, only log and outcome stay.

    Raises:
        LeaseError: another run took over.
        OutputError, CredentialsError: OUTPUT cannot be read or written.
    """
    below = f"runs/{run}"
    uris = parquet.column_of(targets.uris)
    lease.check()
    _remove_if_hit(folder, run, targets)
    for name in folder.names(f"{below}/pca"):
        if name.endswith(".parquet"):
            parquet.rewrite_without(folder, f"{below}/pca/{name}", uris)
    parquet.rewrite_without(folder, f"{below}/{REFIT_URIS}", uris)
    for name in folder.names(f"{below}/csv"):
        if name.endswith(".csv"):
            _rewrite_csv(folder, f"{below}/csv", name, targets.uris)
    if manifest_of(folder, run) is None:
        _drop_results(folder, run)


def uris_of(folder: Folder, run: str, targets: Targets) -> list[str]:
    """Return the addresses of the rows that `erase_from_run` would remove from the matrix of `run`."""
    uris, below = parquet.column_of(targets.uris), f"runs/{run}/pca"
    files = (f"{below}/{name}" for name in folder.names(below) if name.endswith(".parquet"))
    return [uri for file in files for uri in parquet.uris_in(folder, file, uris)]


def update_manifest_and_report(folder: Folder, run: str, cache: str | None, note: str, lease: Lease) -> None:
    """
    Update counts and notes of the manifest after `erase_from_run` or a refit; write the report and the field `identify` again.

    If that is not possible, a note says so.

    Raises:
        LeaseError: another run took over.
        OutputError, CredentialsError: OUTPUT cannot be read or written.
    """
    stored = folder.read(f"runs/{run}/manifest.json")
    if stored is None:
        return  # a dead attempt
    manifest = Manifest.from_json(stored.content)
    rows, labels = _count(folder, run)
    gone = manifest.counts["rows"] - rows
    if gone or note:
        counts = {**manifest.counts, "rows": rows, "labels": labels, "erased": manifest.counts.get("erased", 0) + gone}
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        notes = [old for old in manifest.notes if ERASED not in old]
        manifest = replace(manifest, counts=counts, notes=[*notes, f"{note or ERASED} ({day})"])
        _write_manifest(folder, run, manifest)
    if folder.read(f"runs/{run}/report.html") is None:
        manifest = replace(manifest, identify=None, notes=[old for old in manifest.notes if not old.startswith(NO_REPORT)])
        _write_manifest(folder, run, manifest)
        if rows:
            _rewrite_report(folder, run, manifest, cache, lease)


def _rewrite_report(folder: Folder, run: str, manifest: Manifest, cache: str | None, lease: Lease) -> None:
    try:
        report.rewrite(folder, run, Path(cache) if cache else None, lease)
    except LeaseError:
        raise
    except report.ERRORS as error:
        why = f"{NO_REPORT}: {error}; retry with `fruitsctl report --rebuild`"
        _write_manifest(folder, run, replace(manifest, notes=[*manifest.notes, why]))


def _write_manifest(folder: Folder, run: str, manifest: Manifest) -> None:
    folder.write(f"runs/{run}/manifest.json", manifest.to_json().encode())


def shown_names(targets: Targets, manifest: Manifest) -> set[str]:
    """Return the names under which a report shows the images of `targets`."""
    return {report.name_of(manifest, uri) for uri in targets.searched()}


def _remove_if_hit(folder: Folder, run: str, targets: Targets) -> None:
    """
    Delete or rewrite files other than the matrix that mention the images.

    They come first: after an interruption they are missing, not outdated.
    """
    below = f"runs/{run}"
    manifest = manifest_of(folder, run)
    meant = uris_by_search_string(targets.searched())
    addresses = Strings(meant)
    names = Strings(spelling for name in shown_names(targets, manifest) for spelling in spellings(name)) if manifest else Strings([])
    in_matrix = run in targets.runs or bool(uris_of(folder, run, targets))  # also when an interrupted erasure has removed the rows
    for name in folder.names(below):
        if not name.endswith((".html", ".ipynb", *ATTEMPT_FILES)):
            continue
        found = folder.read(f"{below}/{name}")
        content = found.content if found else b""
        places = addresses.found_in(content)
        hits = [(at, at + len(found)) for at, found in places if any(is_address(content, at, uri) for uri in meant[found])]
        if name.endswith((".html", ".ipynb")) and (hits or in_matrix or any(names.found_in(content))):
            folder.delete(f"{below}/{name}")  # pictures too
        elif name.endswith(".log") and (hits or not is_s3(folder.uri)):
            # On a disk also without a hit: what a run that was suspended still says then goes into the file of before, which has no name.
            folder.write(f"{below}/{name}", _without_lines(content, hits))
        elif hits:
            folder.delete(f"{below}/{name}")


def _drop_results(folder: Folder, run: str) -> None:
    """
    Delete all of `runs/<run>/` but logs and outcome.

    Readers do not see such a run, no manifest says how its pages write names, and its PCA may have been fitted with erased images.
    """
    below = f"runs/{run}"
    files = {file.name for file in folder.files(below)}
    for name in folder.names(below):
        if name not in files:
            folder.delete_tree(f"{below}/{name}")
        elif not name.endswith(ATTEMPT_FILES):
            folder.delete(f"{below}/{name}")


def _without_lines(content: bytes, places: list[tuple[int, int]]) -> bytes:
    """Return `content` without the lines that overlap one of `places` (begin, end), in bytes. A name may span several lines."""
    lines = content.splitlines(keepends=True)
    ends = list(accumulate(map(len, lines)))
    hit = {line for begin, end in places for line in range(bisect_right(ends, begin), bisect_left(ends, end) + 1)}
    return b"".join(line for number, line in enumerate(lines) if number not in hit)


def _rewrite_csv(folder: Folder, below: str, name: str, uris: set[str]) -> None:
    stored = folder.read(f"{below}/{name}")
    if stored is None:
        return
    kept, erased = [], 0
    for row, text in _records(stored.content.decode()):
        if row[:1] and row[0] in uris:
            erased += 1
        else:
            kept.append(text)
    if erased:
        folder.write(f"{below}/{name}", "".join(kept).encode())
        folder.delete(f"{below}/.{name}.crc")  # Hadoop's checksum of the file as it was


def _records(content: str) -> Iterator[tuple[list[str], str]]:
    """Yield each row of a CSV file and its unchanged text. Never all rows at once: as lists they take ten times the file."""
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(content, newline=""):
            read.append(line)
            yield line

    for row in csv.reader(lines()):
        yield row, "".join(read)
        read.clear()


def _count(folder: Folder, run: str) -> tuple[int, int]:
    """Return the number of rows and labels of the matrix."""
    rows, labels = 0, set()
    for name in folder.names(f"runs/{run}/pca"):
        table = parquet.read(folder, f"runs/{run}/pca/{name}", ["label"]) if name.endswith(".parquet") else None
        if table is not None:
            rows += len(table)
            labels.update(table["label"].to_pylist())
    return rows, len(labels - {None})
