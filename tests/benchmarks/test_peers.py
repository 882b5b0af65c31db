"""Check the peers' benchmark: outputs are compared correctly, faster peers are named, each peer cites the documentation that it follows."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.peers import race, task
from benchmarks.peers.check import Check, check, short_name
from benchmarks.peers.report import OURS, OURS_WHOLE, Timed, faster, table
from job.imaging.decode import decode_image
from job.imaging.networks import LiteRtNetwork, untrained_flatbuffer

ROOT = Path(__file__).parents[2]
ORIENTATION = 0x0112
FOLDER = ROOT / "benchmarks" / "peers"


@pytest.fixture
def expected():
    """Two photos, features of one 1 each."""
    return {f"Test/Apple/{number}.jpg": np.eye(task.DIM, dtype=np.float32)[number] for number in range(2)}


def written(folder, uris, features):
    task.write(folder, uris, np.asarray(features, dtype=np.float32))
    return [str(path) for path in folder.glob("*.parquet")]


def test_what_a_peer_wrote_is_compared_photo_by_photo_whatever_the_order(tmp_path, expected):
    files = written(tmp_path, ["/data/2/Test/Apple/1.jpg", "s3://b/photos/Test/Apple/0.jpg"], np.eye(task.DIM)[[1, 0]])

    found = check(files, expected)

    assert found == Check(rows=2, photos=2, worst_cosine=1.0)
    assert found.passed(2)
    assert not found.passed(3)  # one was lost


def test_one_photo_with_other_features_fails_them_all(tmp_path, expected):
    rows = np.eye(task.DIM)[[0, 1]]
    rows[1, 5] = 0.02  # cosine 1 / sqrt(1.0004)
    found = check(written(tmp_path, ["Test/Apple/0.jpg", "Test/Apple/1.jpg"], rows), expected)

    assert found.worst_cosine == pytest.approx(0.9998, abs=1e-6)
    assert not found.passed(2)


def test_a_photo_twice_is_not_two_photos(tmp_path, expected):
    found = check(written(tmp_path, ["a/Test/Apple/0.jpg"] * 2, np.eye(task.DIM)[[0, 0]]), expected)

    assert (found.rows, found.photos) == (2, 1)
    assert not found.passed(2)


def test_numbers_that_are_none_never_pass(tmp_path, expected):
    found = check(written(tmp_path, ["Test/Apple/0.jpg"], np.full((1, task.DIM), np.nan)), expected)

    assert not found.passed(1)


def test_a_peer_that_wrote_nothing_has_no_photo(expected):
    assert not check([], expected).passed(0)


def test_the_notebook_s_columns_and_lists_of_a_fixed_size_are_read_too(tmp_path, expected):
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.eye(task.DIM, dtype=np.float32)[0]), task.DIM)
    pq.write_table(pa.table({"path": ["file:/x/Test/Apple/0.jpg"], "features": fixed}), tmp_path / "part.parquet")

    assert check([str(tmp_path / "part.parquet")], expected).passed(1)


def test_a_photo_has_the_same_short_name_in_every_place():
    names = {
        short_name(uri)
        for uri in ("/a/b/Test/Apple Red 1/3_100.jpg", "s3://b/c/Test/Apple Red 1/3_100.jpg", "Test/Apple%20Red%201/3_100.jpg")
    }

    assert names == {"Test/Apple Red 1/3_100.jpg"}


def test_the_table_shows_the_median_of_the_ratios_of_each_repeat():
    good = Check(100, 100, 0.99999)
    results = [Timed(OURS, "disk", 100, [10.0, 20.0], good), Timed("Daft", "disk", 100, [15.0, 20.0], good)]

    assert table(results).splitlines()[2:] == [
        "| disk, 100 | fruitsctl, to features | 15.0 (10.0 to 20.0) | 7 | 1.00x | 0.999990 |",
        "| disk, 100 | Daft | 17.5 (15.0 to 20.0) | 6 | 1.25x | 0.999990 |",
    ]


def test_a_peer_that_failed_or_lost_photos_stands_out():
    results = [
        Timed(OURS, "disk", 100, [10.0], Check(100, 100, 1.0)),
        Timed("Daft", "disk", 100, [5.0], Check(99, 99, 1.0)),
        Timed("Ray Data", "disk", 100, [], None, "exit code 1"),
    ]

    assert "| disk, 100 | Daft | 5.0 | 20 | 0.50x | **1.000000, 99 rows of 99 photos** |" in table(results)
    assert "| disk, 100 | Ray Data | **failed** |  |  | exit code 1 |" in table(results)


def test_peers_faster_than_fruitsctl_are_named_and_fruitsctl_with_its_pca_is_not_a_peer():
    results = [
        Timed(OURS, "disk", 9, [10.0]),
        Timed(OURS_WHOLE, "disk", 9, [30.0]),
        Timed("pool", "disk", 9, [6.0]),
        Timed("Daft", "disk", 9, [11.0]),
    ]

    assert faster(results) == ["pool from disk takes 0.60 of fruitsctl's time"]


@pytest.mark.parametrize("module", sorted({peer.module for peer in race.PEERS}))
def test_every_peer_says_whose_documentation_it_follows(module):
    docstring = (FOLDER / f"{module}.py").read_text().split('"""')[1]

    assert re.search(r"https://(docs\.|www\.tensorflow\.org/|spark\.apache\.org/|ai\.google\.dev/)", docstring)


@pytest.mark.parametrize("name", sorted({peer.environment for peer in race.PEERS} - {"project"}))
def test_every_environment_is_pinned_by_hashes_and_names_no_index(name):
    text = (FOLDER / f"requirements-{name}.txt").read_text()
    pins = re.findall(r"^[a-z0-9][^\s]*==\S+", text, re.M)

    assert len(pins) > 10
    assert len(re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", text, re.M)) == len(pins)
    assert "://" not in text
    assert "--index" not in text


def test_the_pool_of_processes_gives_the_features_that_the_job_gives(tmp_path, sample, model_cache):
    """The shortest peer, in a separate process, on photos."""
    flatbuffer, photos = tmp_path / "network.tflite", tmp_path / "photos"
    flatbuffer.write_bytes(untrained_flatbuffer(model_cache))
    network, expected = LiteRtNetwork(flatbuffer.read_bytes()), {}
    upright = [
        min(path for path in label.iterdir() if Image.open(path).getexif().get(ORIENTATION, 1) == 1)
        for label in (sample / "Test").iterdir()
    ]
    for path in sorted(upright)[::5]:  # the peer reads no orientation
        copied = photos / "Test" / path.parent.name / path.name
        copied.parent.mkdir(parents=True)
        copied.write_bytes(path.read_bytes())
        expected[short_name(str(copied))] = network(decode_image(path.read_bytes(), 224).pixels)

    command = [sys.executable, "-m", "benchmarks.peers.litert_pool", f"--images={photos}", f"--output={tmp_path / 'out'}", "--cores=1"]
    command += ["--weights=unused", f"--flatbuffer={flatbuffer}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    assert check(race.parquet_files(tmp_path / "out"), expected) == Check(5, 5, pytest.approx(1.0, abs=1e-6))
