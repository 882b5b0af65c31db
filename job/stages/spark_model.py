"""Write a fitted PCA as the folder that `pyspark.ml.feature.PCAModel.load` reads, without the JVM and `pyspark.ml`."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark

from job.stages.pca import Fitted
from job.storage.object_store import Folder

INTS, DOUBLES = (pa.list_(pa.field("element", kind, nullable=False)) for kind in (pa.int32(), pa.float64()))
# A matrix and a vector as Spark's `MatrixUDT` and `VectorUDT` store them, dense and sparse ones in the same columns:
# https://github.com/apache/spark/blob/v3.5.6/mllib-local/src/main/scala/org/apache/spark/ml/linalg
MATRIX = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("numRows", pa.int32(), nullable=False),
        pa.field("numCols", pa.int32(), nullable=False),
        pa.field("colPtrs", INTS),
        pa.field("rowIndices", INTS),
        pa.field("values", DOUBLES),
        pa.field("isTransposed", pa.bool_(), nullable=False),
    ]
)
VECTOR = pa.struct(
    [pa.field("type", pa.int8(), nullable=False), pa.field("size", pa.int32()), pa.field("indices", INTS), pa.field("values", DOUBLES)]
)
DENSE = 1  # `type` of both
MODEL = pa.schema([("pc", MATRIX), ("explainedVariance", VECTOR)])
UDTS = {"pc": "MatrixUDT", "explainedVariance": "VectorUDT"}
SQL_NAMES = {pa.int8(): "byte", pa.int32(): "integer", pa.float64(): "double", pa.bool_(): "boolean"}


def row_metadata() -> dict[str, Any]:
    """Return Spark's own description of MODEL, as `StructType.jsonValue` gives it."""
    fields = [
        {
            "name": field.name,
            "nullable": True,
            "metadata": {},
            "type": {
                "type": "udt",
                "class": f"org.apache.spark.ml.linalg.{UDTS[field.name]}",
                "pyClass": f"pyspark.ml.linalg.{UDTS[field.name]}",
                "sqlType": _sql(field.type),
            },
        }
        for field in MODEL
    ]
    return {"type": "struct", "fields": fields}


def _sql(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        fields = [{"name": field.name, "type": _sql(field.type), "nullable": field.nullable, "metadata": {}} for field in kind]
        return {"type": "struct", "fields": fields}
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _sql(kind.value_type), "containsNull": kind.value_field.nullable}
    return SQL_NAMES[kind]


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
    described = MODEL.with_metadata(
        {"org.apache.spark.version": pyspark.__version__, "org.apache.spark.sql.parquet.row.metadata": json.dumps(row_metadata())}
    )
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
