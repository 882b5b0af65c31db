"""The table of jars against the Spark that is installed here, whichever release's it is."""

import re
from pathlib import Path

import pyspark

from job.packages import packages

JARS = Path(pyspark.__file__).parent / "jars"


def version_of(jar):
    (found,) = JARS.glob(f"{jar}-[0-9]*.jar")
    return re.sub(rf"{jar}-|\.jar", "", found.name)


def test_s3a_is_of_the_hadoop_that_this_spark_brings():
    assert packages(pyspark.__version__)[1] == f"org.apache.hadoop:hadoop-aws:{version_of('hadoop-client-api')}"


def test_delta_is_of_the_scala_that_this_spark_was_made_with():
    scala = ".".join(version_of("scala-library").split(".")[:2])

    assert f"_{scala}:" in packages(pyspark.__version__)[0]


def test_amazon_s_own_builds_of_a_spark_count_as_that_spark():
    assert packages("4.0.2-amzn-0") == packages("4.0.2")
