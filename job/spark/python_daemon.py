"""
Preload the stages' imports in Spark's Python daemon: forked workers start with them and share their memory.

Named by `spark.python.daemon.module`. Nothing that starts threads may be imported here: a fork does not take them along. Nor is pandas:
pyspark imports it in each worker for `mapInArrow`, in half a second, but a small run has no such stage and would wait for it.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec

MODULES = (
    "pyarrow",
    "ai_edge_litert.interpreter",
    "PIL.Image",
    "pyspark.daemon",
    "job.stages.embed",
    "job.stages.listing",
    "job.stages.moments",
    "job.stages.publish",
)
S3_MODULES = ("boto3", "obstore", "job.inputs.s3")


def prefer_folders() -> None:
    """
    Import pyspark from its folder if there is one.

    Spark puts `pyspark.zip` first on the path, and modules imported from a zip file are compiled again by each process: 0.7 s of a start.
    """
    zipped = [path for path in sys.path if os.path.basename(path).startswith(("pyspark", "py4j")) and path.endswith(".zip")]
    sys.path[:] = [path for path in sys.path if path not in zipped]
    if find_spec("pyspark") is None or find_spec("py4j") is None:
        sys.path[:0] = zipped


def preload() -> None:
    """Import the modules of the stages."""
    for name in (*MODULES, *(S3_MODULES if os.environ.get("FRUITS_S3") else ())):
        import_module(name)


if __name__ == "__main__":
    prefer_folders()
    preload()
    from PIL import Image
    from pyspark.daemon import manager

    Image.init()  # Pillow's plugins
    manager()  # type: ignore[no-untyped-call] # pyspark has no stubs for it
