"""
List INPUT, a local folder or an S3 prefix: one row per image.

A short listing is made by threads of the driver. For a long one the driver only finds folders (`folders_to_list`), and Spark's tasks list
them (`list_folders`). Nothing is dropped silently: what cannot be listed is a row with its `problem`, and files that are not images by name
are counted by suffix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, islice, takewhile
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from job.contract import locations, uris
from job.contract.errors import InputError, NoPhotosError
from job.contract.filenames import MAX_LOOSE, FolderToList, ListingRow
from job.inputs import local as listing_local
from job.inputs.rows import ArrowRows, Rows, SparkRows, driver_rows
from job.storage.schema import FOUND, LISTED

FOLDERS_PER_CORE = 4  # at least, if INPUT has them: large and small ones even out
MAX_DEPTH = 6  # levels below INPUT that the driver looks at
LISTINGS_IN_FLIGHT = 16
BATCH_ROWS = 4096


@dataclass(frozen=True)
class Listing:
    """Everything below INPUT."""

    images: Rows  # LISTED
    count: int  # of the images
    problems: list[tuple[str, str]]  # (uri, reason) of what could not be listed
    ignored: dict[str, int]  # suffix -> files that are no images by their name, most first


def list_images(spark: SparkSession, input_uri: str, work: str, content_hash: bool = False) -> Listing:
    """
    List INPUT: on the driver where there are few images, else by Spark's tasks, which keep the listing below `work`.

    Raises:
        InputError: INPUT does not exist, is a file, or may not be read.
        CredentialsError: S3 refuses.
    """
    return read_listing(list_on_driver(input_uri, content_hash) or list_in_tasks(spark, input_uri, work, content_hash))


def list_on_driver(input_uri: str, content_hash: bool = False) -> ArrowRows | None:
    """
    List INPUT as FOUND without Spark; None if it has too many rows for the driver.

    Raises:
        JobError: as `list_images`.
    """
    check_input(input_uri)
    most = driver_rows()
    if not most:
        return None
    folders, found = folders_to_list(input_uri, LISTINGS_IN_FLIGHT), count()

    def listed(share: int) -> list[ListingRow]:
        rows = list_folders(input_uri, folders[share::LISTINGS_IN_FLIGHT], content_hash)
        return list(takewhile(lambda _: next(found) <= most, rows))  # of all threads together

    with ThreadPoolExecutor(LISTINGS_IN_FLIGHT) as pool:
        rows = list(chain.from_iterable(pool.map(listed, range(min(len(folders), LISTINGS_IN_FLIGHT)))))
    return ArrowRows(pa.Table.from_batches(to_batches(rows), FOUND)) if len(rows) <= most else None


def list_in_tasks(spark: SparkSession, input_uri: str, work: str, content_hash: bool = False) -> SparkRows:
    """List INPUT as FOUND by Spark's tasks, stored below `work`: INPUT may change, and each use would list it again."""
    cores = spark.sparkContext.defaultParallelism
    folders = folders_to_list(input_uri, FOLDERS_PER_CORE * cores)
    tasks = max(1, min(len(folders), FOLDERS_PER_CORE * cores))

    def list_shares(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                # Every n-th folder: neighbours are often of like size.
                yield from to_batches(list_folders(input_uri, folders[task::tasks], content_hash))

    return SparkRows(spark.range(0, tasks, 1, tasks).mapInArrow(list_shares, from_arrow_schema(FOUND)), FOUND).materialize(work)


def read_listing(found: Rows) -> Listing:
    """Split rows of FOUND into images, problems and ignored files."""
    images: Rows
    if isinstance(found, SparkRows):
        listed = F.col("suffix").isNull() & F.col("problem").isNull()
        images = SparkRows(found.frame.where(listed).select(*LISTED.names), LISTED)
        others = SparkRows(found.frame.where(~listed), FOUND).to_arrow()
    else:
        table = found.to_arrow()
        is_image = pc.and_(pc.is_null(table["suffix"]), pc.is_null(table["problem"]))
        images, others = ArrowRows(table.filter(is_image).select(LISTED.names)), table.filter(pc.invert(is_image))
    ignored: Counter[str] = Counter()
    problems = []
    for row in others.to_pylist():
        if row["suffix"] is None:
            problems.append((row["uri"], row["problem"]))
        else:
            ignored[row["suffix"]] += row["files"]
    return Listing(images, images.count(), problems, dict(sorted(ignored.items(), key=lambda item: (-item[1], item[0]))))


def check_input(input_uri: str) -> None:
    """Raise InputError if INPUT does not exist, is a file or is not readable, CredentialsError if S3 denies access."""
    _source(input_uri).check(input_uri)


def refuse_empty(found: int, ignored: Mapping[str, int], input_uri: str) -> None:
    """Raise NoPhotosError if `found`, the number of images and problems below INPUT, is 0."""
    if not found:
        others = ", ".join(f"{count} {suffix}" for suffix, count in ignored.items())
        only = f", only {others}" if others else ""
        raise NoPhotosError(
            f"there are no images below `{uris.shown(input_uri)}`{only}", "use files ending in .jpg .heic .png .webp .avif .gif .bmp .tif"
        )


def check_no_overlap(input_uri: str, output_uri: str) -> None:
    """Raise InputError where `locations.check_no_overlap` raises LocationError."""
    try:
        locations.check_no_overlap(input_uri, output_uri)
    except locations.LocationError as error:
        raise InputError(str(error), error.hint) from error


def folders_to_list(input_uri: str, at_least: int) -> list[FolderToList]:
    """Return folders that together hold every file below INPUT once: the first level, then deeper ones up to `at_least`."""
    source = _source(input_uri)

    def opened(folder: FolderToList) -> list[FolderToList]:
        try:
            below, loose = source.subfolders(folder.uri) if folder.deep else ([], 1)
        except source.ERRORS:
            return [folder]  # the task that lists it meets the same error and reports it
        if loose > MAX_LOOSE:
            return [folder]
        itself = [FolderToList(folder.uri, deep=False)] if loose else []
        return itself + [FolderToList(uri, deep=True) for uri in below]

    folders = [FolderToList(input_uri.rstrip("/") + "/", deep=True)]
    with ThreadPoolExecutor(LISTINGS_IN_FLIGHT) as pool:
        for _ in range(MAX_DEPTH):
            before, folders = folders, list(chain.from_iterable(pool.map(opened, folders)))
            if len(folders) >= at_least or folders == before:
                break
    return folders


def list_folders(input_uri: str, folders: list[FolderToList], content_hash: bool = False) -> Iterator[ListingRow]:
    """Yield the images and problems in `folders` as they are found, then the ignored files, one row per suffix."""
    ignored: Counter[str] = Counter()
    for row in _source(input_uri).list_folders(input_uri, folders, content_hash):
        if row.suffix is None:
            yield row
        else:
            ignored[row.suffix] += 1
    for suffix, files in ignored.items():
        yield ListingRow(None, suffix=suffix, files=files)


def to_batches(rows: Iterable[ListingRow]) -> Iterator[pa.RecordBatch]:
    """Yield rows as record batches of FOUND, BATCH_ROWS rows each."""
    rows = iter(rows)
    while block := list(islice(rows, BATCH_ROWS)):
        columns = [pa.array(column, kind) for column, kind in zip(zip(*block, strict=True), FOUND.types, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=FOUND)


def _source(input_uri: str) -> ModuleType:
    if not uris.is_s3(input_uri):
        return listing_local
    from job.inputs import s3 as listing_s3  # with boto3, which workers on local files start without

    return listing_s3
