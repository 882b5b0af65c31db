"""
Select the first photos of a listing for a run with `limit`.

Their order is by names alone: the first photo of each label by its URI, then the second of each, and so on. So the same INPUT gives the
same photos, every label is among them as early as possible, and a larger limit adds photos to those of a smaller one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from job.contract.filenames import ListingRow
from job.inputs.rows import ArrowRows, Rows, SparkRows


def first_photos(images: Rows, limit: int) -> Rows:
    """Return the first `limit` rows of `images` (LISTED)."""
    if not isinstance(images, SparkRows):
        rows = [ListingRow(**row) for row in images.to_arrow().to_pylist()]
        taken = [row._asdict() for row in first_rows(rows, limit)]
        return ArrowRows(pa.Table.from_pylist(taken, images.schema))
    position = F.row_number().over(Window.partitionBy("label").orderBy("uri"))
    # The filter removes no photo that is taken; it lets Spark keep `limit` rows of a label while it sorts, not all.
    numbered = images.frame.withColumn("position", position).where(F.col("position") <= limit)
    return SparkRows(numbered.orderBy("position", "uri").limit(limit).select(*images.schema.names), images.schema)


def first_rows(images: Iterable[ListingRow], limit: int) -> list[ListingRow]:
    """Return the same rows as `first_photos`, without Spark."""
    by_label: defaultdict[str | None, list[ListingRow]] = defaultdict(list)
    for row in images:
        by_label[row.label].append(row)
    numbered = [(position, row) for rows in by_label.values() for position, row in enumerate(sorted(rows, key=lambda row: str(row.uri)))]
    return [row for _, row in sorted(numbered, key=lambda pair: (pair[0], str(pair[1].uri)))[:limit]]
