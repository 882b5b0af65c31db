"""
Spark's own way to a network: `predict_batch_udf`, whose function is built once per Python worker and gets batches as arrays,
https://spark.apache.org/docs/3.5.6/api/python/reference/api/pyspark.ml.functions.predict_batch_udf.html; photos by `binaryFile`,
https://spark.apache.org/docs/3.5.6/sql-data-sources-binaryFile.html.

Kinder than its examples: the column is the file's bytes, one scalar, decoded in the function. As they have it, pixels would be a tensor
column, 150,528 numbers a row through the JVM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported, in the workers

import numpy as np
import numpy.typing as npt
import pyspark
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType

from benchmarks.peers.task import BATCH, Features, Task, build, decode, parse
from job.spark.packages import s3a
from job.storage.s3_client import client, region, s3a_conf


def start_session(task: Task) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.appName("peers").master(f"local[{task.cores}]")
    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if task.on_s3:
        settings |= {"spark.jars.packages": s3a(pyspark.__version__), **s3a_conf(client().meta.endpoint_url, region())}
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main() -> None:
    task = parse("predict_batch_udf")
    spark = start_session(task)
    spark.sparkContext.setLogLevel("ERROR")

    def make_predict() -> Callable[[npt.NDArray[Any]], Features]:
        network = build(task)
        return lambda contents: network(np.stack([decode(content) for content in contents]))

    embedding = predict_batch_udf(make_predict, return_type=ArrayType(FloatType()), batch_size=BATCH)
    photos = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").option("recursiveFileLookup", "true").load(task.images)
    rows = photos.select(photos["path"].alias("uri"), embedding("content").alias("embedding"))
    rows.write.mode("overwrite").parquet(f"file://{task.output.resolve()}")
    spark.stop()


if __name__ == "__main__":
    main()
