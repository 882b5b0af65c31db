"""
What another reader and writer of the tables does, run by the Spark of a release with its own Delta: delta-spark, from Maven.

    delta_spark.py read TABLE            prints rows, the sum of all embeddings and the columns, as JSON
    delta_spark.py rewrite TABLE COPY    writes TABLE into COPY by appends, a delete, a rewrite of files and a checkpoint
"""

import json
import sys

import pyspark
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

DELTA = {  # https://docs.delta.io/releases
    "3.5": "io.delta:delta-spark_2.12:3.3.2",
    "4.0": "io.delta:delta-spark_2.13:4.0.0",
    "4.1": "io.delta:delta-spark_4.1_2.13:4.2.0",
}
APPENDS = 12  # the tenth commit writes a checkpoint


def start():
    package = DELTA[".".join(pyspark.__version__.split(".")[:2])]
    return (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.jars.packages", package)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )


def read(spark, table):
    rows = spark.read.format("delta").load(table)
    total = F.sum(F.aggregate("embedding", F.lit(0.0).cast("double"), lambda sum_, x: sum_ + x))
    count, summed = rows.agg(F.count("*"), total).first()
    sys.stdout.write(json.dumps({"rows": count, "sum": summed, "columns": rows.columns}) + "\n")


def rewrite(spark, table, copy):
    rows = spark.read.format("delta").load(table).withColumn("part", F.abs(F.hash("uri")) % APPENDS).cache()
    for part in range(APPENDS):
        some = rows.where(F.col("part") == part).drop("part")
        some.write.format("delta").mode("append").option("txnAppId", "fruitsctl").option("txnVersion", part).save(copy)
    # A row more, which a delete takes away again, as the version before did for a photo that had changed.
    rows.limit(1).drop("part").withColumn("etag", F.lit("gone")).write.format("delta").mode("append").save(copy)
    spark.sql(f"DELETE FROM delta.`{copy}` WHERE etag = 'gone'")
    spark.sql(f"OPTIMIZE delta.`{copy}`")


if __name__ == "__main__":
    what, *folders = sys.argv[1:]
    session = start()
    {"read": read, "rewrite": rewrite}[what](session, *folders)
    session.stop()
