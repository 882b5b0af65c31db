"""
The baseline: the notebook that people copy into EMR today, rebuilt from its description. In: a folder of JPEGs, local or on S3, one
sub-folder per label. Out: features and PCA as Parquet, and on stdout one JSON object with the seconds of each stage.

Kept as it is: `binaryFile`, `repartition(24)` of the image bytes, the network built again in every task and only then given the broadcast
weights, the default `maxRecordsPerBatch`, Keras `predict`, pandas, a Python UDF for the vectors. Variant B0 fits the PCA on the lazily
recomputed features, as most copies do; B1 on the features read back from Parquet, as the better ones do.

Better for it than in real life: weights are a local file and not a download in every task, the driver has 4 GB, logs are off.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported, here and in the workers

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyspark
from PIL import Image
from pyspark import Broadcast
from pyspark.ml.feature import PCA
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, element_at, split, udf
from pyspark.sql.pandas.functions import PandasUDFType, pandas_udf

from job.contract.uris import from_text, is_s3, join
from job.spark.packages import s3a
from job.storage.s3_client import client, region, s3a_conf

FEATURISE = "featurise and write"
VARIANTS = ("B0", "B1")


@dataclass(frozen=True)
class Seconds:
    """`read`: listing, reading, shuffling the bytes. `featurise`: the rest of the job that writes the features. `total`: everything."""

    start: float
    read: float
    featurise: float
    pca: float
    write: float
    total: float


def start_session(cores: int, event_log: Path, uses_s3: bool) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": event_log.as_uri(),
    }
    if uses_s3:
        settings |= {"spark.jars.packages": s3a(pyspark.__version__), **s3a_conf(client().meta.endpoint_url, region())}
    builder = SparkSession.builder.appName("P8").master(f"local[{cores}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def build_network(weights: str) -> Any:
    """
    MobileNetV2 up to its average pooling: (N, 224, 224, 3) float32 -> (N, 1280) float32.

    The notebook loads the whole network and cuts it at `layers[-2]`. `include_top=False, pooling="avg"` is the same function and takes the
    weights file without a top.
    """
    from keras.applications import MobileNetV2

    return MobileNetV2(weights=weights, include_top=False, pooling="avg", input_shape=(224, 224, 3))


def featurise_udf(weights: str, broadcast_weights: Broadcast[list[npt.NDArray[np.float32]]]) -> Any:
    """The iterator pandas UDF from the bytes of an image file to `array<float>`."""

    def model_fn() -> Any:
        model = build_network(weights)
        for layer in model.layers:
            layer.trainable = False
        model.set_weights(broadcast_weights.value)
        return model

    def preprocess(content: bytes) -> npt.NDArray[np.float32]:
        from keras.applications.mobilenet_v2 import preprocess_input
        from keras.utils import img_to_array

        image = Image.open(io.BytesIO(content)).resize([224, 224])
        pixels: npt.NDArray[np.float32] = preprocess_input(img_to_array(image))
        return pixels

    def featurise_series(model: Any, contents: pd.Series) -> pd.Series:
        batch = np.stack(list(contents.map(preprocess)))
        return pd.Series([features.flatten() for features in model.predict(batch, verbose=0)])

    def featurise(batches: Iterable[pd.Series]) -> Iterable[pd.Series]:
        model = model_fn()
        for contents in batches:
            yield featurise_series(model, contents)

    return pandas_udf(featurise, "array<float>", PandasUDFType.SCALAR_ITER)


def fit_and_write_pca(features: DataFrame, components: int, output: str) -> tuple[float, float]:
    """Seconds to fit, seconds to project and write."""
    to_vector = udf(lambda values: Vectors.dense(values), VectorUDT())
    vectors = features.select("path", "label", to_vector("features").alias("vector"))
    began = time.perf_counter()
    model = PCA(k=components, inputCol="vector", outputCol="pca").fit(vectors)
    fitted = time.perf_counter()
    model.transform(vectors).select("path", "label", "pca").write.mode("overwrite").parquet(output)
    return fitted - began, time.perf_counter() - fitted


def shuffle_seconds(events: Iterable[str], description: str) -> float:
    """Seconds of all stages but the last of the jobs with that description, from the lines of Spark's event log."""
    wanted: set[int] = set()
    seconds: dict[int, float] = {}
    for event in map(json.loads, events):
        if event["Event"] == "SparkListenerStageSubmitted" and event["Properties"].get("spark.job.description") == description:
            wanted.add(event["Stage Info"]["Stage ID"])
        elif event["Event"] == "SparkListenerStageCompleted" and event["Stage Info"]["Stage ID"] in wanted:
            stage = event["Stage Info"]
            seconds[stage["Stage ID"]] = (stage["Completion Time"] - stage["Submission Time"]) / 1000
    return sum(seconds[stage_id] for stage_id in sorted(seconds)[:-1])


def run(images_uri: str, output_uri: str, work: Path, weights: str, cores: int, variant: str, components: int) -> tuple[int, Seconds]:
    """Number of images, and what each stage took. `work` is emptied first."""
    began = time.perf_counter()
    event_log = work / "events"
    shutil.rmtree(work, ignore_errors=True)
    event_log.mkdir(parents=True)
    spark = start_session(cores, event_log, is_s3(images_uri) or is_s3(output_uri))
    broadcast_weights = spark.sparkContext.broadcast(build_network(weights).get_weights())
    started = time.perf_counter()

    reader = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").option("recursiveFileLookup", "true")
    images = reader.load(images_uri)
    images = images.withColumn("label", element_at(split(images["path"], "/"), -2))
    listed = time.perf_counter()

    featurise = featurise_udf(weights, broadcast_weights)
    features = images.repartition(24).select(col("path"), col("label"), featurise("content").alias("features"))
    spark.sparkContext.setJobDescription(FEATURISE)
    features.write.mode("overwrite").parquet(join(output_uri, "features"))
    spark.sparkContext.setJobDescription("PCA")
    featurised = time.perf_counter()

    written = spark.read.parquet(join(output_uri, "features"))
    pca_seconds, write_seconds = fit_and_write_pca(features if variant == "B0" else written, components, join(output_uri, "pca"))
    total = time.perf_counter() - began
    count = written.count()
    spark.stop()

    (log,) = (path for path in event_log.iterdir() if not path.name.startswith("."))
    with log.open() as events:
        shuffle = shuffle_seconds(events, FEATURISE)
    return count, Seconds(started - began, listed - started + shuffle, featurised - listed - shuffle, pca_seconds, write_seconds, total)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.notebook", description="the notebook baseline, timed")
    parser.add_argument("--images", required=True, help="folder with one sub-folder per label, or its s3:// address")
    parser.add_argument("--work", type=Path, required=True, help="folder for its log; emptied first")
    parser.add_argument("--output", help="where features and PCA are written, a folder or an s3:// address; default: --work")
    parser.add_argument("--weights", required=True, help="Keras weights of MobileNetV2 without its top, HDF5")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--variant", choices=VARIANTS, default="B1")
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*type hints for pandas UDF.*")  # SPARK-28264: the notebook has the older form

    work = args.work.resolve()
    images_uri, output_uri = from_text(args.images), from_text(args.output or str(work))
    images, seconds = run(images_uri, output_uri, work, args.weights, args.cores, args.variant, args.components)
    stages = {name: {"seconds": s, "images": images, "images_per_second": images / s} for name, s in asdict(seconds).items()}
    if args.json:
        print(json.dumps({"variant": args.variant, "images": images, "stages": stages}))
        return
    for name, stage in stages.items():
        print(f"{name:10} {stage['seconds']:8.1f} s {stage['images_per_second']:8.1f} images/s")


if __name__ == "__main__":
    main()
