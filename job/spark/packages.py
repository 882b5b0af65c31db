"""
Name the Maven package of S3A that a Spark version needs. Standard library only: the image's build uses it too.

It is of the Hadoop that Spark itself brings; a test compares them.
"""

from __future__ import annotations

S3A = {  # Spark -> S3A, see docs/how-to/spark4.md
    "3.5": "org.apache.hadoop:hadoop-aws:3.3.4",
    "4.0": "org.apache.hadoop:hadoop-aws:3.4.1",
    "4.1": "org.apache.hadoop:hadoop-aws:3.4.2",
}


def s3a(spark: str) -> str:
    """
    Return S3A for a version such as `4.0.2` or `4.0.2-amzn-0`.

    Raises:
        KeyError: no release of EMR that this project knows has such a Spark.
    """
    return S3A[".".join(spark.split(".")[:2])]
