"""What fills the bucket of the local stack: real photos into a real S3 server; without photos one line says how to give some."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docker" / "bin" / "fill_bucket.py"
HINT = "\n\nhint: start the stack with a folder that has one sub-folder per label: PHOTOS=./photos docker compose up\n"


@pytest.fixture
def fill(s3_server, tmp_path, closed_port):
    """Starts it, and returns what it said until it idles, or until it ended; no server but that of S3 can be reached."""
    mark = tmp_path / "filled"

    def run(folder, **variables):
        mark.unlink(missing_ok=True)
        proxies = {"HTTPS_PROXY": f"http://127.0.0.1:{closed_port}", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(SCRIPT), "fruits", str(folder), str(mark)]
        process = subprocess.Popen(
            command, env={**s3_server.environment(), **proxies, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: mark.exists() or process.poll() is not None)
        if process.poll() is None:
            process.terminate()
        said, errors = process.communicate()
        return said, errors, mark.exists()

    yield run
    s3 = s3_server.client()
    if "fruits" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        for item in s3.list_objects_v2(Bucket="fruits").get("Contents", []):
            s3.delete_object(Bucket="fruits", Key=item["Key"])
        s3.delete_bucket(Bucket="fruits")


@pytest.fixture
def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_without_a_network_the_sample_is_one_error_and_the_stack_comes_up(fill):
    said, errors, idles = fill(ROOT / "docker" / "sample")

    assert (said, idles) == ("", True)
    retries, _, error = errors.partition("error: ")
    assert all("trying again in " in line for line in retries.splitlines())
    assert error.startswith("cannot get the sample photos: ")
    assert error.endswith(HINT)
    assert len(error.splitlines()) == 3


def test_an_empty_folder_is_an_error_and_not_the_sample(fill, tmp_path):
    (tmp_path / "photos").mkdir()

    assert fill(tmp_path / "photos") == ("", f"error: there are no photos in the folder that PHOTOS names{HINT}", True)


def test_photos_are_sent_once(fill, tmp_path):
    (tmp_path / "photos" / "Apple").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "assets" / "logo.svg", tmp_path / "photos" / "Apple" / "1.jpg")

    assert fill(tmp_path / "photos") == ("s3://fruits/photos/: 1 photos, 1 of them new\n", "", True)
    assert fill(tmp_path / "photos") == ("s3://fruits/photos/: 1 photos, 0 of them new\n", "", True)


def test_a_server_that_does_not_answer_ends_it_with_one_error(fill, tmp_path, closed_port):
    said, errors, idles = fill(tmp_path, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{closed_port}", AWS_REGION="eu-west-3")

    assert (said, idles) == ("", False)
    assert errors.startswith("error: no response from S3 for `s3://fruits/photos/`: Could not connect to the endpoint URL")
    assert errors.endswith("(Region `eu-west-3`)\n\nhint: check AWS_ENDPOINT_URL_S3, the Region and the network\n")
    assert len(errors.splitlines()) == 3


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "error: S3 denied access to `s3://fruits/photos/`: SignatureDoesNotMatch\n"),
        ({"AWS_ENDPOINT_URL_S3": "localhost:7070"}, "error: AWS_ENDPOINT_URL_S3 is not a URL: `localhost:7070`\n"),
        (
            {"AWS_ENDPOINT_URL_S3": "https://s3.us-east-1.amazonaws.com"},
            "Region `us-east-1` is not on the list of Regions in the European Union\n",
        ),
    ],
)
def test_what_s3_refuses_or_the_settings_get_wrong_is_one_error(fill, tmp_path, variables, error):
    said, errors, idles = fill(tmp_path, **variables)

    assert (said, idles) == ("", False)
    assert error in errors
    assert "unexpected" not in errors
    assert "\nhint: " in errors
    assert len(errors.splitlines()) == 3
