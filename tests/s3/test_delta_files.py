"""A Delta table on a real S3 server read without Spark, whatever the name of OUTPUT."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from job.storage import s3_client
from job.storage.data_files import read_table
from job.storage.delta_log import DeltaLog
from job.storage.folders import open_folder
from job.storage.object_store import Folder


@pytest.mark.parametrize("output", ["out", "out é+%20#1?a"])
def test_the_newest_version_is_read_by_columns(bucket: str, tmp_path: Path, output: str):
    for uris in (["a", "b"], ["c"]):
        write_deltalake(tmp_path / "features", pa.table({"uri": uris, "embedding": [[0.0] * 1280] * len(uris)}), mode="append")
    write_deltalake(tmp_path / "rejects", pa.table({"uri": ["old"]}))
    write_deltalake(tmp_path / "rejects", pa.table({"uri": ["new"]}), mode="overwrite")
    for table in ("features", "rejects"):  # as Spark leaves it
        (tmp_path / table / "_delta_log" / "_commits").mkdir()
        (tmp_path / table / "_delta_log" / "_commits" / "00000000000000000000.0a.json").write_text("{}")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            s3_client.client().upload_file(str(path), bucket, f"{output}/{path.relative_to(tmp_path)}")
    for folder in (open_folder(f"s3://{bucket}/{output}"), open_folder(f"file://{tmp_path}")):

        def read(table: str, folder: Folder = folder) -> list[str]:
            return sorted(row["uri"] for part in read_table(folder, table, pa.schema([("uri", pa.string())])) for row in part.to_pylist())

        assert (read("features"), read("rejects")) == (["a", "b", "c"], ["new"])
        assert DeltaLog(folder, "moments").files() == []
