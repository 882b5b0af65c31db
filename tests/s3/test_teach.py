"""Photos taught to a run whose INPUT and OUTPUT are on a real S3 server."""

import json
import os
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from cli.photos.lessons import without_metadata
from job.product.gallery import open_gallery
from job.product.identify.identifier import Identifier
from job.product.web.app import make_app
from job.product.web.limits import Limits
from job.storage import data_files
from job.storage.folders import open_folder
from job.storage.lease import Lease
from job.storage.schema import FEATURES
from tests.s3.server_of_regions import a_moto, four_buckets, reached_as_aws  # noqa: F401
from tests.unit.job.product.galleries import RUN, picture, write_gallery
from tests.unit.job.product.test_teach import COLOURS, YELLOW, manifest_fields


@pytest.fixture
def output(bucket, s3_server, tmp_path):
    write_gallery(tmp_path / "out", COLOURS, **manifest_fields(f"s3://{bucket}/photos"))
    s3_server.client().put_object(Bucket=bucket, Key="photos/Limes/1.png", Body=picture((60, 150, 40)))
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and "photos" not in path.parts:
            s3_server.client().upload_file(str(path), bucket, f"out/{path.relative_to(tmp_path / 'out')}")
    return f"s3://{bucket}/out"


def teach(output, photo, tmp_path, *words):
    command = [sys.executable, "-m", "cli", "teach", str(photo), "--label", "Banana", "--output", output, "--json", *words]
    return subprocess.run(command, env={**os.environ, "FRUITS_CACHE": str(tmp_path)}, capture_output=True, text=True)


def test_a_photo_is_taught_on_s3_and_again_without_a_change(output, bucket, s3_server, tmp_path):
    photo = tmp_path / "IMG_1.png"
    photo.write_bytes(picture(YELLOW))
    done, again = teach(output, photo, tmp_path), teach(output, photo, tmp_path)

    assert done.returncode == 0, done.stderr
    (uri,) = json.loads(done.stdout)["added"]
    assert uri.startswith(f"s3://{bucket}/photos/Banana/taught-")
    (row,) = [row for table in data_files.read_table(open_folder(output), "features", FEATURES) for row in table.to_pylist()]
    head = s3_server.client().head_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))
    assert (row["uri"], row["etag"], row["label"]) == (uri, head["ETag"].strip('"'), "Banana")
    gallery = open_gallery(output)
    assert (len(gallery), gallery.run_id) == (3, RUN)
    assert (json.loads(again.stdout)["added"], json.loads(again.stdout)["already"]) == ([], [uri])


def test_the_same_content_of_a_label_is_found_on_s3(output, bucket, s3_server, tmp_path):
    content = picture(YELLOW)
    s3_server.client().put_object(Bucket=bucket, Key="photos/Banana/mine.png", Body=content)
    (tmp_path / "IMG_1.png").write_bytes(content)
    done = teach(output, tmp_path / "IMG_1.png", tmp_path, "--with-metadata")

    assert json.loads(done.stdout)["added"] == [f"s3://{bucket}/photos/Banana/mine.png"]


def test_a_run_that_writes_is_not_disturbed(output, bucket, s3_server, tmp_path):
    (tmp_path / "IMG_1.png").write_bytes(picture(YELLOW))
    with Lease.acquire(open_folder(output), "another"):
        done = teach(output, tmp_path / "IMG_1.png", tmp_path)

    assert (done.returncode, "another" in done.stderr) == (3, True)
    assert s3_server.client().list_objects_v2(Bucket=bucket, Prefix="photos/Banana/")["KeyCount"] == 0


def test_a_visitor_teaches_a_run_on_s3_and_sees_the_photo_at_once(output, bucket, s3_server, tmp_path):
    identifier = Identifier(output, weights=lambda which: pytest.fail(which), cache=tmp_path)
    lesson = {"files": {"photo": picture(YELLOW)}, "data": {"label": "Banana", "consent": "yes"}}
    with TestClient(make_app(identifier, Limits(), None, without_metadata)) as client:
        with Lease.acquire(open_folder(output), "another"):
            assert client.post("/teach", **lesson).status_code == 409
        answer = client.post("/teach", **lesson)
        nearest = client.post("/identify", files={"photo": picture(YELLOW)}).json()["results"][0]["neighbours"][0]
        thumbnail = client.get(nearest["thumbnail"])

    address = answer.json()["address"]
    assert (answer.status_code, address.startswith(f"s3://{bucket}/photos/Banana/taught-")) == (201, True)
    assert answer.json()["erase"] == f"fruitsctl forget {address} --output {output}"
    assert (nearest["name"], nearest["distance"]) == ("/".join(address.split("/")[-2:]), 0)
    assert thumbnail.status_code == 200


def test_a_visitor_s_photo_never_reaches_a_bucket_outside_the_union(aws, buckets, tmp_path):
    output = write_gallery(tmp_path / "out", COLOURS, **manifest_fields("s3://fruits-virginia/photos"))
    identifier = Identifier(output, weights=lambda which: pytest.fail(which), cache=tmp_path)
    with TestClient(make_app(identifier, Limits(), None, without_metadata)) as client:
        refused = client.post("/teach", files={"photo": picture(YELLOW)}, data={"label": "Banana", "consent": "yes"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "region")
    assert "`fruits-virginia`" in refused.json()["error"]["message"]
    assert buckets.list_objects_v2(Bucket="fruits-virginia", Prefix="photos/Banana/")["KeyCount"] == 0
