"""A real run in, one with as many images as wanted out: its scores with a little noise, its labels, its PCA."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NOISE = 0.05  # of each component's standard deviation: as near as frames of one video


def write_large(output: Path, target: Path, images: int, seed: int = 3) -> None:
    """The newest run of `output` as a run of `images` images in `target`: what `identify` reads of it, and no more."""
    run_id = json.loads((output / "latest.json").read_text())["run_id"]
    source, run = output / "runs" / run_id, target / "runs" / run_id
    (run / "pca").mkdir(parents=True)
    for name in ("manifest.json", "pca.npz"):
        shutil.copyfile(source / name, run / name)
    shutil.copyfile(output / "latest.json", target / "latest.json")
    table = pa.concat_tables(pq.read_table(part) for part in sorted((source / "pca").glob("*.parquet")))
    scores = table["pc"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(table), images)
    noisy = scores[rows] + random.standard_normal((images, scores.shape[1]), dtype=np.float32) * NOISE * scores.std(axis=0)
    offsets = pa.array(np.arange(0, noisy.size + 1, noisy.shape[1], dtype=np.int32))
    columns = {"uri": [f"s3://amzn-s3-demo-bucket/photos/{number}.jpg" for number in range(images)], "label": table["label"].take(rows)}
    pq.write_table(pa.table(columns | {"pc": pa.ListArray.from_arrays(offsets, pa.array(noisy.ravel()))}), run / "pca" / "part-0.parquet")
