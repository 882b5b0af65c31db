"""A gallery on a real S3 server: read by the job's own client, asked by the command."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from job.contract.errors import CredentialsError, InputError
from job.erasure import parquet
from job.product.gallery import open_gallery
from job.product.identify.identifier import Identifier
from job.product.web.app import make_app
from job.product.web.limits import Limits
from job.storage.folders import open_folder
from tests.unit.job.product.galleries import RUN, picture, write_gallery

COLOURS = [("Tomato 1", (200, 40, 30)), ("Limes", (60, 150, 40)), ("Plum", (40, 50, 160)), ("Limes", (70, 150, 50))]


@pytest.fixture
def both(bucket, s3_server, tmp_path):
    """The same run on disk and on S3: (URI, URI)."""
    local = write_gallery(tmp_path / "out", COLOURS, parts=3)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and "photos" not in path.parts:
            s3_server.client().upload_file(str(path), bucket, f"out/{path.relative_to(tmp_path / 'out')}")
    return local, f"s3://{bucket}/out"


def test_a_run_on_s3_is_the_gallery_that_it_is_on_disk(both):
    here, there = (open_gallery(uri) for uri in both)

    assert [there.uri(row) for row in range(4)] == [here.uri(row) for row in range(4)]
    np.testing.assert_array_equal(there.units, here.units)
    np.testing.assert_array_equal(there.codes, here.codes)
    assert (there.names, there.calibration, there.run_id) == (here.names, here.calibration, RUN)


def test_the_command_answers_from_s3(both, tmp_path):
    (tmp_path / "red.png").write_bytes(picture((200, 40, 30)))
    command = [sys.executable, "-m", "cli", "identify", str(tmp_path / "red.png"), "--output", both[1], "--json"]
    done = subprocess.run(command, env={**os.environ, "FRUITS_CACHE": str(tmp_path)}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["answers"]
    assert (answer["status"], answer["best"], answer["run_id"]) == ("ok", "Tomato 1", RUN)


def test_a_photo_that_is_erased_on_s3_is_in_no_answer_of_a_running_server_after_that(both, tmp_path):
    identifier = Identifier(both[1], weights=lambda which: pytest.fail(which), cache=tmp_path)
    with TestClient(make_app(identifier, Limits(), None)) as client:

        def ask():
            found = client.post("/identify", content=picture((200, 40, 30)), headers={"content-type": "image/png"}).json()
            return {one["name"]: one["thumbnail"] for result in found["results"] for one in result["neighbours"]}

        before = ask()
        gone = before.pop("Tomato 1/0.png")
        assert client.get(gone).status_code == 200
        rows = pa.array([f"file://{tmp_path}/out/photos/Tomato 1/0.png"])
        assert parquet.rewrite_without(open_folder(both[1]), f"runs/{RUN}/pca/part-0.parquet", rows) == 1

        assert client.get(gone).status_code == 404
        assert ask() == before
        assert client.get("/healthz").json()["images"] == 3


def test_an_empty_bucket_has_no_run_yet(bucket):
    with pytest.raises(InputError, match="there is no run in `s3://"):
        open_gallery(f"s3://{bucket}/out")


def test_wrong_keys_are_said_to_be_refused(both, monkeypatch):
    from job.storage import s3_client

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3_client.client.cache_clear()
    with pytest.raises(CredentialsError, match="S3 denied access"):
        open_gallery(both[1])
