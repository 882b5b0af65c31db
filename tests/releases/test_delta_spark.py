"""delta-spark of each release reads what the job writes, and the job continues what delta-spark has written."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from cli.settings.release import DEFAULT, RELEASES
from tests.releases.test_moving import PYTHONS, add_photos, run  # noqa: F401 - a fixture

SCRIPT = Path(__file__).with_name("delta_spark.py")


def delta_spark(release, *words):
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}
    done = subprocess.run([PYTHONS[release], SCRIPT, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def output(run, sample, tmp_path):  # noqa: F811
    """Of four runs: photos added, one changed, one that cannot be decoded."""
    for number in range(4):
        add_photos(sample, tmp_path / "photos", 3 * number, 3)
        changed = next((tmp_path / "photos" / "Apple Red 1").iterdir())
        changed.write_bytes(changed.read_bytes() + b" " * number)
        (tmp_path / "photos" / f"broken {number}.jpg").write_bytes(b"no photo")
        run(DEFAULT, "--max-reject-ratio", "0.9")
    return tmp_path / "out"


def seen_here(table):
    """Rows and the sum of all embeddings."""
    found = ds.dataset(DeltaTable(table).file_uris()).to_table(columns=["embedding"])["embedding"].combine_chunks()
    return len(found), float(found.flatten().cast("float64").to_numpy().sum())


@pytest.mark.parametrize("release", RELEASES)
def test_delta_spark_reads_the_tables(release, output):
    told = json.loads(delta_spark(release, "read", output / "features").splitlines()[-1])

    rows, total = seen_here(output / "features")
    assert rows == 24
    assert told["rows"] == rows
    assert told["sum"] == pytest.approx(total, rel=1e-9)
    assert {"uri", "etag", "model", "embedding"} <= set(told["columns"])


def test_an_output_that_delta_spark_has_written_is_continued(output, run, sample, tmp_path):  # noqa: F811
    before = seen_here(output / "features")
    delta_spark(DEFAULT, "rewrite", output / "features", tmp_path / "by spark")
    shutil.rmtree(output / "features")
    (tmp_path / "by spark").rename(output / "features")
    assert seen_here(output / "features") == (before[0], pytest.approx(before[1], rel=1e-9))

    again = run(DEFAULT, "--max-reject-ratio", "0.9")
    add_photos(sample, tmp_path / "photos", 12, 1)
    changed = next((tmp_path / "photos" / "Apple Red 1").iterdir())
    changed.write_bytes(changed.read_bytes() + b"more")
    more = run(DEFAULT, "--max-reject-ratio", "0.9")

    assert (again["counts"]["new"], again["counts"]["rows"]) == (0, 24)
    assert (more["counts"]["embedded"], more["counts"]["superseded"], more["counts"]["rows"]) == (3, 1, 26)
    assert json.loads(delta_spark(DEFAULT, "read", output / "features").splitlines()[-1])["rows"] == 26
