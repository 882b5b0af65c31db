"""
Spark's Python daemon with the stages' imports made before it forks: workers start with them, and share their memory.

Named by `spark.python.daemon.module`. Nothing that starts threads may be imported here: a fork does not take them along. Nor is pandas:
pyspark imports it in each worker for `mapInArrow`, in half a second, but a small run has no such stage and would wait for it.
"""

from __future__ import annotations

import os

import pyarrow as pa  # noqa: F401
from ai_edge_litert import interpreter  # noqa: F401
from PIL import Image
from pyspark.daemon import manager

from job import embed, listing, moments, publish  # noqa: F401

if os.environ.get("FRUITS_S3"):
    import boto3  # noqa: F401
    import obstore  # noqa: F401

    from job import listing_s3  # noqa: F401

if __name__ == "__main__":
    Image.init()  # Pillow's plugins
    manager()  # type: ignore[no-untyped-call] # pyspark has no stubs for it
