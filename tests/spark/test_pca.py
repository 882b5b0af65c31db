"""Our PCA against Spark's own and scikit-learn's."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import linalg
from pyspark.ml.feature import PCA, PCAModel, StandardScaler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType
from sklearn.decomposition import PCA as SklearnPCA

from benchmarks.pca import synthetic_rows
from job.inputs.rows import SparkRows, to_spark
from job.stages.moments import fold
from job.stages.pca import fit, project
from job.stages.spark_model import MODEL, UDTS, row_metadata, write_spark_model
from job.stages.tables.features import KEYS
from job.stages.tables.store import FeatureStore
from job.storage import data_files
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import EMBEDDED, FEATURES

K = 50


@pytest.fixture(scope="module")
def rows():
    """(1310, 320) float32 whose variances fall as those of real features do: eigenvalues far enough apart to compare their vectors"""
    return np.ascontiguousarray(synthetic_rows(1310, seed=0)[:, :320])  # Spark's own PCA takes minutes for 1,280


@pytest.fixture(scope="module")
def frame(spark, rows, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("rows") / "rows.parquet")
    data = [(f"file:///{i}", "Label", row.tolist()) for i, row in enumerate(rows)]
    spark.createDataFrame(data, "uri string, label string, embedding array<float>").repartition(3).write.parquet(path)
    return spark.read.parquet(path)


@pytest.fixture(scope="module")
def features(spark, rows, tmp_path_factory):
    """The same rows as four files of the table features/."""
    folder = open_folder(f"file://{tmp_path_factory.mktemp('out')}")
    data = [{"uri": f"file:///{i}", "etag": "1", "label": "Label", "width": 1, "height": 1, "embedding": row} for i, row in enumerate(rows)]
    with Lease.acquire(folder, "r1") as lease:
        store = FeatureStore(spark, folder, "m", "r1", lease)
        store.open()
        target = store.target()
        batches = [pa.RecordBatch.from_pylist(data[part::4], EMBEDDED) for part in range(4)]
        store.append([data_files.write(target.uri, [batch], FEATURES, **target.values) for batch in batches])
        yield store.features()


def same_up_to_sign(ours, theirs, atol):
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=atol)


def test_components_and_ratios_are_those_of_spark(frame, features):
    reference = PCA(k=K, inputCol="x", outputCol="y").fit(frame.select(array_to_vector("embedding").alias("x")))

    ours = fit(fold(features), K)

    same_up_to_sign(ours.components, reference.pc.toArray(), 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explainedVariance.toArray(), atol=1e-9)


def test_standardised_components_and_ratios_are_those_of_spark(frame, features):
    vectors = frame.select(array_to_vector("embedding").alias("x"))
    scaled = StandardScaler(withMean=True, withStd=True, inputCol="x", outputCol="s").fit(vectors).transform(vectors)
    reference = PCA(k=K, inputCol="s", outputCol="y").fit(scaled)

    ours = fit(fold(features), K, standardize=True)

    same_up_to_sign(ours.components, reference.pc.toArray(), 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explainedVariance.toArray(), atol=1e-9)


def test_components_and_ratios_are_those_of_scikit_learn(features, rows):
    reference = SklearnPCA(K, svd_solver="full").fit(rows.astype(np.float64))

    ours = fit(fold(features), K)

    same_up_to_sign(ours.components, reference.components_.T, 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explained_variance_ratio_, atol=1e-9)


def test_the_model_s_columns_are_those_of_this_spark():
    fields = [StructField(name, getattr(linalg, udt)()) for name, udt in UDTS.items()]

    assert row_metadata() == StructType(fields).jsonValue()
    assert to_arrow_schema(StructType([StructField(field.name, field.dataType.sqlType()) for field in fields])).equals(MODEL)


def test_the_saved_spark_model_gives_our_scores_plus_the_centring_offset(frame, features, tmp_path):
    for standardize in (False, True):
        ours = fit(fold(features), K, standardize=standardize)
        write_spark_model(open_folder(f"file://{tmp_path}"), f"model-{standardize}", ours)

        loaded = PCAModel.load(str(tmp_path / f"model-{standardize}")).setInputCol("x").setOutputCol("y")

        theirs = loaded.transform(frame.select("uri", array_to_vector("embedding").alias("x"))).select("uri", vector_to_array("y"))
        scores = {row["uri"]: row["pc"] for row in project(features, ours).to_arrow().to_pylist()}
        offset = ours.mean @ ours.loadings
        for uri, y in theirs.collect():
            np.testing.assert_allclose(np.array(y) - offset, scores[uri], atol=2e-4)


def test_moments_do_not_depend_on_where_rows_are_folded(features, rows):
    here = fold(features)
    in_spark = fold(features.restrict(SparkRows(to_spark(features.spark, features.keys.to_arrow()), KEYS)))

    for moments in (here, in_spark):
        assert moments.n == len(rows)
        np.testing.assert_allclose(moments.gram, rows.astype(np.float64).T @ rows.astype(np.float64), rtol=1e-9)
        np.testing.assert_allclose(moments.sum, rows.sum(axis=0, dtype=np.float64), rtol=1e-9)
