"""`fruitsctl forget` on a real S3 server with versioning on: no object, no older version and no delete marker keeps what was forgotten."""

import io
import json
import os
import subprocess
import sys
from operator import itemgetter

import pyarrow.parquet as pq
import pytest

from job import erasure
from job.contract.errors import InputError
from job.contract.params import ForgetParams
from job.erasure import versions as erased
from job.erasure.pending import Targets, unfinished_erasures
from job.storage import s3_client
from job.storage.folders import open_folder
from tests.s3.server import REGION, versitygw

BUCKET = "fruits-forget"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with versitygw(tmp_path_factory.mktemp("versioned"), versions=True) as running:
        yield running


@pytest.fixture(scope="module")
def fruitsctl(server, cache, short_jvm):
    environment = {**os.environ, **server.environment(), **short_jvm, "FRUITS_CACHE": str(cache)}

    def call(*words, code=0, **more):
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env={name: value for name, value in (environment | more).items() if value},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stderr[-3000:]
        return done

    return call


@pytest.fixture(scope="module")
def client(server, sample):
    """A versioned bucket with 20 photos of two fruits; the first one was replaced once, the last one was deleted the usual way."""
    client = server.client()
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for path in [path for folder in sorted((sample / "Test").iterdir())[:2] for path in sorted(folder.iterdir())]:
        client.upload_file(str(path), BUCKET, f"photos/{path.parent.name}/{path.name}")
    return client


def versions(client, prefix):
    """(key, content) of each version, (key, None) of each delete marker."""
    answer = client.list_object_versions(Bucket=BUCKET, Prefix=prefix)
    assert not answer["IsTruncated"]
    for found in answer.get("Versions", []):
        content = client.get_object(Bucket=BUCKET, Key=found["Key"], VersionId=found["VersionId"])["Body"].read()
        yield found["Key"], content
    yield from ((found["Key"], None) for found in answer.get("DeleteMarkers", []))


def as_text(content):
    """Raw bytes, and the values of a Parquet file."""
    return content + (repr(pq.read_table(io.BytesIO(content)).to_pylist()).encode() if content.startswith(b"PAR1") else b"")


def test_no_version_of_anything_keeps_a_forgotten_photo(client, fruitsctl, tmp_path):
    keys = sorted(key for key, _ in versions(client, "photos/"))
    replaced, deleted, other = keys[0], keys[-1], client.get_object(Bucket=BUCKET, Key=keys[1])["Body"].read()
    out = f"s3://{BUCKET}/out"
    client.put_object(Bucket=BUCKET, Key=replaced, Body=other + b"\0")
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=replaced)["UploadId"]
    client.upload_part(Bucket=BUCKET, Key=replaced, UploadId=upload, PartNumber=1, Body=other)
    run = json.loads(
        fruitsctl("run", f"s3://{BUCKET}/photos", out, "--local", "--model", "mean_colour", "--components", "2", "--json").stdout
    )["run_id"]
    client.delete_object(Bucket=BUCKET, Key=deleted)
    assert len([key for key, _ in versions(client, "photos/") if key in (replaced, deleted)]) == 4
    (tmp_path / "list.txt").write_text(f"s3://{BUCKET}/{deleted}\n")

    assert "add --yes" in fruitsctl("forget", f"s3://{BUCKET}/{replaced}", "--output", out, code=2).stderr
    words = ("forget", f"s3://{BUCKET}/{replaced}", "--list", str(tmp_path / "list.txt"), "--output", out, "--tombstone")
    done = fruitsctl(*words, "--yes", "--json")
    receipt = json.loads(done.stdout)

    assert (receipt["removed"]["photos"], receipt["removed"]["features"], receipt["found"]) == (5, 2, [])
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    there = client.list_objects_v2(Bucket=BUCKET, Prefix="out/")["KeyCount"]
    assert receipt["searched"]["objects"] == there - 1  # all but the receipt itself
    assert sorted(key for key, _ in versions(client, "photos/")) == keys[1:-1]
    for key, content in versions(client, "out/"):
        text = as_text(content or b"")
        assert replaced.encode() not in text, key
        assert deleted.encode() not in text, key
    stored = json.loads(client.get_object(Bucket=BUCKET, Key=f"out/erasures/{receipt['id']}.json")["Body"].read())
    assert stored | {"unknown": [], "before": {}} == receipt
    assert len(client.get_object(Bucket=BUCKET, Key="out/erasures/tombstones")["Body"].read().split()) == 3
    manifest = json.loads(client.get_object(Bucket=BUCKET, Key=f"out/runs/{run}/manifest.json")["Body"].read())
    assert (manifest["counts"]["rows"], manifest["counts"]["erased"]) == (18, 2)
    assert "Mangostan" not in done.stderr


def test_older_versions_that_an_interrupted_attempt_has_removed_are_counted(server, client, monkeypatch):
    for name, value in server.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    s3_client.client.cache_clear()
    for number in range(4):
        client.put_object(Bucket=BUCKET, Key="purge/latest.json", Body=b"%d" % number)
    folder, delete, calls = open_folder(f"s3://{BUCKET}/purge"), erased._delete_objects, []
    wanted = ForgetParams(folder.uri, "erasure", "", "", "somebody")

    def stopping(batch):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return delete(batch)

    with monkeypatch.context() as patch:
        patch.setattr(erased, "DELETED_AT_ONCE", 1)
        patch.setattr(erased, "_delete_objects", stopping)
        with pytest.raises(KeyboardInterrupt):
            erasure._purge(wanted, folder, Targets())
    ((_, noted),) = unfinished_erasures(folder)
    erasure._purge(wanted, folder, noted)
    s3_client.client.cache_clear()

    assert noted.removed["versions"].total() == 3
    assert [content for key, content in versions(client, "purge/latest.json")] == [b"3"]


@pytest.fixture
def here(server, client, monkeypatch):
    """This process asks the versioned server, too."""
    for name, value in server.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    s3_client.client.cache_clear()
    yield client
    s3_client.client.cache_clear()


def test_an_interrupted_purge_brings_no_deleted_file_back(here, monkeypatch):
    """A delete marker that is removed before the versions that it hides makes them readable again."""
    key = "marked/runs/r/pipeline.ipynb"
    here.put_object(Bucket=BUCKET, Key=key, Body=b"picture")
    here.delete_object(Bucket=BUCKET, Key=key)
    folder, delete = open_folder(f"s3://{BUCKET}/marked"), erased._delete_objects

    def failing(batch):
        if any(not version.marker for version in batch):
            raise InputError("InternalError")
        return delete(batch)

    with monkeypatch.context() as patch:
        patch.setattr(erased, "DELETED_AT_ONCE", 1)
        patch.setattr(erased, "_delete_objects", failing)
        with pytest.raises(InputError):
            erasure._purge(ForgetParams(folder.uri, "erasure", "", "", "somebody"), folder, Targets())

    assert here.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", []) == []
    assert sorted(content is None for _, content in versions(here, key)) == [False, True]


def test_older_versions_of_photos_in_the_folder_of_output_stay(here):
    for key in ("beside/photos/a.jpg", "beside/features2/a", "beside/features/a", "beside/latest.json"):
        for content in (b"old", b"new"):
            here.put_object(Bucket=BUCKET, Key=key, Body=content)
    folder = open_folder(f"s3://{BUCKET}/beside")

    erasure._purge(ForgetParams(folder.uri, "erasure", "", "", "somebody"), folder, Targets())

    for key, left in (("photos/a.jpg", 2), ("features2/a", 2), ("features/a", 1), ("latest.json", 1)):
        assert len(list(versions(here, f"beside/{key}"))) == left, key


def test_keys_and_an_endpoint_are_enough_for_the_stacks_own_server(client, fruitsctl):
    """As docs/how-to/docker.md has it: no Region is set anywhere."""
    nowhere, out = {"AWS_REGION": ""}, f"s3://{BUCKET}/host"
    (key, *_) = sorted(found["Key"] for found in client.list_objects_v2(Bucket=BUCKET, Prefix="photos/")["Contents"])
    fruitsctl("run", f"s3://{BUCKET}/photos", out, "--local", "--model", "mean_colour", "--components", "2", **nowhere)

    planned = fruitsctl("forget", f"s3://{BUCKET}/{key}", "--output", out, "--dry-run", "--json", **nowhere)

    assert json.loads(planned.stdout)["images"] == [f"s3://{BUCKET}/{key}"]


def test_photos_on_s3_of_a_local_output_are_forgotten_with_the_profile_of_fruits_toml(server, client, fruitsctl, tmp_path):
    """By address, and by age, where only the run's manifest tells that INPUT is on S3."""
    two = [key for key, content in sorted(versions(client, "photos/"), key=itemgetter(0)) if content][2:14:11]
    for key, name in zip(two, ("a.jpg", "b.jpg"), strict=True):
        client.copy_object(Bucket=BUCKET, Key=f"few/Label/{name}", CopySource={"Bucket": BUCKET, "Key": key})
    out = str(tmp_path / "out")
    fruitsctl("run", f"s3://{BUCKET}/few", out, "--local", "--model", "mean_colour", "--components", "1")
    keys = f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    (tmp_path / "credentials").write_text(f"[mine]\n{keys}")
    (tmp_path / "fruits.toml").write_text(f'profile = "mine"\noutput = "{out}"\n')
    profile = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    here = {**profile, "FRUITS_CONFIG": str(tmp_path / "fruits.toml")}

    fruitsctl("forget", f"s3://{BUCKET}/few/Label/a.jpg", "--yes", **here)
    fruitsctl("forget", "--retention", "0s", "--yes", **here)

    assert list(versions(client, "few/")) == []


def test_one_of_two_equal_broken_photos_is_forgotten_and_the_other_is_kept_as_its_copy(client, fruitsctl):
    """They have the same etag, which the table of rejects keeps for the other one."""
    good = [key for key, content in sorted(versions(client, "photos/"), key=itemgetter(0)) if content][4:7]
    for number, key in enumerate(good):
        client.copy_object(Bucket=BUCKET, Key=f"torn/Label/{number}.jpg", CopySource={"Bucket": BUCKET, "Key": key})
    for name in ("one.jpg", "two.jpg"):
        client.put_object(Bucket=BUCKET, Key=f"torn/Label/{name}", Body=b"\xff\xd8\xff torn")
    out, one = f"s3://{BUCKET}/torn-out", f"s3://{BUCKET}/torn/Label/one.jpg"
    options = ("--model", "mean_colour", "--components", "2", "--max-reject-ratio", "1")
    fruitsctl("run", f"s3://{BUCKET}/torn", out, "--local", *options)

    receipt = json.loads(fruitsctl("forget", one, "--output", out, "--yes", "--json").stdout)

    assert (receipt["removed"]["rejects"], receipt["copies_left"], receipt["found"]) == (1, 1, [])
    assert sorted(key for key, _ in versions(client, "torn/")) == [f"torn/Label/{name}.jpg" for name in ("0", "1", "2", "two")]
