"""
The first photos of a listing, which are all that a run with `limit` takes.

Their order is by names alone: the first photo of each label by its URI, then the second of each, and so on. So the same INPUT gives the
same photos, every label is among them as early as possible, and a larger limit adds photos to those of a smaller one.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def first_photos(images: DataFrame, limit: int) -> DataFrame:
    """Return the first `limit` rows of `images` (LISTED)."""
    position = F.row_number().over(Window.partitionBy("label").orderBy("uri"))
    # The filter removes no photo that is taken; it lets Spark keep `limit` rows of a label while it sorts, not all.
    numbered = images.withColumn("position", position).where(F.col("position") <= limit)
    return numbered.orderBy("position", "uri").limit(limit).select(*images.columns)
