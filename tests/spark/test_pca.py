"""Our PCA against Spark's own and scikit-learn's."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.feature import PCA, PCAModel, StandardScaler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import functions as F
from sklearn.decomposition import PCA as SklearnPCA

from benchmarks.pca import synthetic_rows
from job.lease import Lease
from job.objects import open_folder
from job.pca import fit_frame, project
from job.schema import EMBEDDED, FEATURES
from job.spark_model import write_spark_model
from job.storage import data_files
from job.store import FeatureStore

K = 50


@pytest.fixture(scope="module")
def rows():
    """(1310, 1280) float32 whose variances fall as those of real features do: eigenvalues far enough apart to compare their vectors"""
    return synthetic_rows(1310, seed=0)


@pytest.fixture(scope="module")
def frame(spark, rows, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("rows") / "rows.parquet")
    data = [(f"file:///{i}", "Label", row.tolist()) for i, row in enumerate(rows)]
    spark.createDataFrame(data, "uri string, label string, embedding array<float>").repartition(3).write.parquet(path)
    return spark.read.parquet(path)


def same_up_to_sign(ours, theirs, atol):
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=atol)


def test_components_and_ratios_are_those_of_spark(frame):
    reference = PCA(k=K, inputCol="x", outputCol="y").fit(frame.select(array_to_vector("embedding").alias("x")))

    ours = fit_frame(frame, components=K)

    same_up_to_sign(ours.components, reference.pc.toArray(), 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explainedVariance.toArray(), atol=1e-9)


def test_standardised_components_and_ratios_are_those_of_spark(frame):
    vectors = frame.select(array_to_vector("embedding").alias("x"))
    scaled = StandardScaler(withMean=True, withStd=True, inputCol="x", outputCol="s").fit(vectors).transform(vectors)
    reference = PCA(k=K, inputCol="s", outputCol="y").fit(scaled)

    ours = fit_frame(frame, components=K, standardize=True)

    same_up_to_sign(ours.components, reference.pc.toArray(), 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explainedVariance.toArray(), atol=1e-9)


def test_components_and_ratios_are_those_of_scikit_learn(frame, rows):
    reference = SklearnPCA(K, svd_solver="full").fit(rows.astype(np.float64))

    ours = fit_frame(frame, components=K)

    same_up_to_sign(ours.components, reference.components_.T, 1e-6)
    np.testing.assert_allclose(ours.ratios[:K], reference.explained_variance_ratio_, atol=1e-9)


@pytest.fixture(scope="module")
def features(spark, rows, tmp_path_factory):
    """The same rows as a file of the table features/."""
    folder = open_folder(f"file://{tmp_path_factory.mktemp('out')}")
    data = [{"uri": f"file:///{i}", "etag": "1", "label": "Label", "width": 1, "height": 1, "embedding": row} for i, row in enumerate(rows)]
    with Lease.acquire(folder, "r1") as lease:
        store = FeatureStore(spark, folder, "m", "r1", lease)
        store.open()
        target = store.target()
        store.append([data_files.write(target.uri, [pa.RecordBatch.from_pylist(data, EMBEDDED)], FEATURES, **target.values)])
        yield store.features()


def test_the_saved_spark_model_gives_our_scores_plus_the_centring_offset(frame, features, tmp_path):
    for standardize in (False, True):
        ours = fit_frame(frame, components=K, standardize=standardize)
        write_spark_model(open_folder(f"file://{tmp_path}"), f"model-{standardize}", ours)

        loaded = PCAModel.load(str(tmp_path / f"model-{standardize}")).setInputCol("x").setOutputCol("y")

        theirs = loaded.transform(frame.select("uri", array_to_vector("embedding").alias("x"))).select("uri", vector_to_array("y"))
        scores = {row["uri"]: row["pc"] for row in project(features, ours).arrow().to_pylist()}
        offset = ours.mean @ ours.loadings
        for uri, y in theirs.collect():
            np.testing.assert_allclose(np.array(y) - offset, scores[uri], atol=2e-4)


def test_a_fit_does_not_depend_on_how_rows_are_spread(frame):
    narrow = frame.select(F.slice("embedding", 1, 64).alias("embedding"))
    few, many = fit_frame(narrow, components=5), fit_frame(narrow.repartition(40), components=5)

    np.testing.assert_allclose(few.components, many.components, atol=1e-9)
