"""
A Spark's version in; the jars that it needs besides its own out, as Maven names them. Standard library only: the image's build asks too.

Delta's releases: https://docs.delta.io/releases. hadoop-aws is of the Hadoop that Spark itself brings; a test compares them.
"""

from __future__ import annotations

PACKAGES = {  # Spark -> Delta, S3A; Delta as in EMR's release of that Spark, see docs/how-to/spark4.md
    "3.5": ("io.delta:delta-spark_2.12:3.3.2", "org.apache.hadoop:hadoop-aws:3.3.4"),
    "4.0": ("io.delta:delta-spark_2.13:4.0.0", "org.apache.hadoop:hadoop-aws:3.4.1"),
    "4.1": ("io.delta:delta-spark_4.1_2.13:4.2.0", "org.apache.hadoop:hadoop-aws:3.4.2"),
}


def packages(spark: str) -> tuple[str, str]:
    """
    (Delta, S3A) for a version such as `4.0.2` or `4.0.2-amzn-0`.

    Raises:
        KeyError: no release of EMR that this project knows has such a Spark.
    """
    return PACKAGES[".".join(spark.split(".")[:2])]
