"""The table of jars against the Spark that is installed here, whichever release's it is."""

import re
from pathlib import Path

import pyspark

from job.spark.packages import s3a

JARS = Path(pyspark.__file__).parent / "jars"


def version_of(jar):
    (found,) = JARS.glob(f"{jar}-[0-9]*.jar")
    return re.sub(rf"{jar}-|\.jar", "", found.name)


def test_s3a_is_of_the_hadoop_that_this_spark_brings():
    assert s3a(pyspark.__version__) == f"org.apache.hadoop:hadoop-aws:{version_of('hadoop-client-api')}"


def test_amazon_s_own_builds_of_a_spark_count_as_that_spark():
    assert s3a("4.0.2-amzn-0") == s3a("4.0.2")
