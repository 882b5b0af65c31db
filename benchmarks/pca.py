"""
`pyspark.ml.feature.PCA.fit` and the job's, alternating in one session on the same Parquet files. In: how many rows. Out: seconds on stdout.

The rows are made by formula in the likeness of real features: 1,280 non-negative float32, many of them zero, of which 50 components explain
about three quarters. Spark's side gets its vectors from `array_to_vector`, inside the JVM, not from the notebook's slower Python UDF. Both
sides read the files within the time; the job's tasks read them with pyarrow.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame

from job.inputs.rows import ArrowRows
from job.spark.session import start_session
from job.stages import moments
from job.stages.pca import fit
from job.stages.tables.features import KEYS, Features
from job.storage.schema import only

FEATURES = 1280
COMPONENTS = 50
ROWS_PER_FILE = 5_000


@dataclass(frozen=True)
class Fits:
    """Seconds of each repeat, in order; `difference` is the largest one between the two in the shares of variance explained."""

    rows: int
    spark: list[float]
    ours: list[float]
    difference: float


def synthetic_rows(n: int, seed: int) -> npt.NDArray[np.float32]:
    """(n, 1280) float32, non-negative. Rows of all seeds are in the same subspace, apart from the noise."""
    shared = np.random.default_rng(0)
    directions = shared.standard_normal((200, FEATURES), dtype=np.float32)
    mean = shared.normal(0.2, 0.5, FEATURES).astype(np.float32)
    strengths = (0.35 / np.sqrt(1 + np.arange(200))).astype(np.float32)  # variances fall as 1/i, as those of real features do
    own = np.random.default_rng(seed + 1)
    rows = mean + (own.standard_normal((n, 200), dtype=np.float32) * strengths) @ directions
    rows += 0.1 * own.standard_normal((n, FEATURES), dtype=np.float32)
    rectified: npt.NDArray[np.float32] = np.maximum(rows, 0)
    return rectified


def write_rows(folder: Path, rows: int) -> None:
    """Parquet with a column `embedding` array<float>."""
    folder.mkdir(parents=True)
    for part, first in enumerate(range(0, rows, ROWS_PER_FILE)):
        values = synthetic_rows(min(ROWS_PER_FILE, rows - first), seed=part)
        offsets = np.arange(0, values.size + 1, FEATURES, dtype=np.int32)
        column = pa.ListArray.from_arrays(offsets, values.ravel())
        pq.write_table(pa.table({"embedding": column}), folder / f"part-{part:05}.parquet", compression="zstd")


def fit_spark(frame: DataFrame) -> tuple[float, npt.NDArray[np.float64]]:
    """Seconds, and the shares of variance explained, (50,) float64."""
    began = time.perf_counter()
    vectors = frame.select(array_to_vector(frame["embedding"]).alias("vector"))
    model = PCA(k=COMPONENTS, inputCol="vector", outputCol="pca").fit(vectors)
    return time.perf_counter() - began, model.explainedVariance.toArray()


def fit_ours(features: Features) -> tuple[float, npt.NDArray[np.float64]]:
    """As `fit_spark`."""
    began = time.perf_counter()
    fitted = fit(moments.fold(features), COMPONENTS)
    return time.perf_counter() - began, fitted.ratios[: fitted.k]


def places(folder: Path) -> pa.Table:
    """Columns `file` and `row` of KEYS: where each row of the Parquet files in `folder` is."""
    rows = {path.name: pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet"))}
    schema = only(KEYS, ["file", "row"])
    return pa.concat_tables(pa.table({"file": [name] * count, "row": np.arange(count)}, schema) for name, count in rows.items())


def run(folder: Path, rows: int, repeats: int) -> Fits:
    """Make the rows if `folder` is missing; one pair of fits to warm up, not counted, then `repeats` pairs."""
    if not folder.exists():
        write_rows(folder, rows)
    spark = start_session("benchmark", uses_s3=False)
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(folder.as_uri())
    features = Features(spark, folder.as_uri(), "synthetic", ArrowRows(places(folder)))
    pairs = [(fit_spark(frame), fit_ours(features)) for _ in range(repeats + 1)]
    (_, spark_ratios), (_, our_ratios) = pairs[0]
    spark.stop()
    spark_seconds, our_seconds = [theirs[0] for theirs, _ in pairs[1:]], [ours[0] for _, ours in pairs[1:]]
    return Fits(rows, spark_seconds, our_seconds, float(np.abs(spark_ratios - our_ratios).max()))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.pca", description="PCA fits, Spark's and ours")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the rows; rows already there are used again")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    args = parser.parse_args()

    os.environ["FRUITS_MASTER"] = f"local[{args.cores}]"
    os.environ["FRUITS_DRIVER_MEMORY"] = "4g"
    fits = run(args.work.resolve() / f"rows-{args.rows}", args.rows, args.repeats)
    if args.json:
        print(json.dumps(asdict(fits)))
        return
    for theirs, ours in zip(fits.spark, fits.ours, strict=True):
        print(f"{fits.rows:,} rows: Spark {theirs:.2f} s, ours {ours:.2f} s, {theirs / ours:.1f}x")


if __name__ == "__main__":
    main()
