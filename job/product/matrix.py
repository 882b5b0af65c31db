"""Write the parts of a run's matrix: `pca/` (Parquet) and `csv/` (uri, label, pc1 … pck). Without Spark."""

from __future__ import annotations

import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from job.contract.uris import join
from job.storage.folders import open_folder

BYTES_PER_NUMBER = 13  # at most: a float32 as text with its comma


def write_part(uri: str, run_id: str, number: int, rows: pa.Table, k: int) -> None:
    """
    Write part `number` of a matrix, `rows` (SCORES) with `k` components each, into OUTPUT at `uri`. The same rows give the same bytes.

    Readers of results count the parts of `pca/`: that of `csv/` is written first, so that a part that exists has both.

    Raises:
        OutputError, CredentialsError: OUTPUT cannot be written.
    """
    folder = open_folder(join(uri, "runs", run_id))
    numbers = rows["pc"].combine_chunks().flatten().to_numpy().reshape(len(rows), k)
    columns = {
        "uri": rows["uri"],
        "label": rows["label"],
        **{f"pc{i + 1}": pa.array(np.ascontiguousarray(numbers[:, i])) for i in range(k)},
    }
    with tempfile.NamedTemporaryFile(prefix="fruitsctl-") as file:
        # RFC 4180 quoting, and blanks are part of a name.
        file.write(f"{','.join(columns)}\n".encode())
        csv.write_csv(pa.table(columns), file, csv.WriteOptions(include_header=False, quoting_style="needed"))
        file.flush()
        folder.upload(f"csv/part-{number:05}.csv", file.name)
    with tempfile.NamedTemporaryFile(prefix="fruitsctl-") as file:
        pq.write_table(rows, file.name, compression="zstd", use_dictionary=["label"])
        folder.upload(f"pca/part-{number:05}.zstd.parquet", file.name)
