"""A fitted PCA in, the folder that `pyspark.ml.feature.PCAModel.load` reads out: written without the JVM."""

from __future__ import annotations

import io
import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from pyspark.ml.linalg import MatrixUDT, VectorUDT
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from job.objects import Folder
from job.pca import Fitted

FIELDS = {"pc": MatrixUDT(), "explainedVariance": VectorUDT()}
DENSE = 1  # of both types: https://github.com/apache/spark/blob/v3.5.6/mllib-local/src/main/scala/org/apache/spark/ml/linalg


def write_spark_model(folder: Folder, name: str, fitted: Fitted) -> None:
    """
    Write `fitted` as the model `name` of `folder`: input column `embedding`, a vector, output column `pc`.

    Its `transform` gives our scores plus the constant `mean @ loadings`, because Spark's PCA does not centre.

    Raises:
        OutputError, CredentialsError: OUTPUT cannot be written.
    """
    d, k = fitted.components.shape
    row = {
        "pc": {"type": DENSE, "numRows": d, "numCols": k, "values": fitted.loadings.ravel(order="F"), "isTransposed": False},
        "explainedVariance": {"type": DENSE, "values": fitted.ratios[:k]},
    }
    schema = to_arrow_schema(StructType([StructField(field, kind.sqlType()) for field, kind in FIELDS.items()]))
    types = StructType([StructField(field, kind) for field, kind in FIELDS.items()]).json()
    described = schema.with_metadata({"org.apache.spark.version": pyspark.__version__, "org.apache.spark.sql.parquet.row.metadata": types})
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], described), data, compression="zstd")
    about = {
        "class": "org.apache.spark.ml.feature.PCAModel",
        "timestamp": int(time.time() * 1000),
        "sparkVersion": pyspark.__version__,
        "uid": "pca",
        "paramMap": {"k": k, "inputCol": "embedding", "outputCol": "pc"},
        "defaultParamMap": {"outputCol": "pca__output"},
    }
    folder.delete_tree(name)  # of an earlier attempt
    folder.write(f"{name}/data/part-00000.zstd.parquet", data.getvalue())
    folder.write(f"{name}/metadata/part-00000", f"{json.dumps(about)}\n".encode())
