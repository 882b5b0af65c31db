"""`fruitsctl data push` as its user runs it, into a real S3 server; and into buckets that moto puts in other Regions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cli.photos.strip_metadata import strip
from cli.photos.upload import find_photos
from tests.unit.cli.photos.test_strip_metadata import SECRET, photo
from tests.unit.job.odd_files import REASONS, write_odd_files
from tests.waiting import wait_until


def start(*words: object, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli", "data", "push", *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, **more}, stdout=PIPE, stderr=PIPE, text=True)


def push(*words: object, **more: str) -> CompletedProcess[str]:
    process = start(*words, **more)
    stdout, stderr = process.communicate()
    return CompletedProcess(process.args, process.returncode, stdout, stderr)


def contents(client: Any, bucket: str) -> dict[str, bytes]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture
def photos(sample: Path, tmp_path: Path) -> Path:
    """30 photos of three labels, and a file that is none."""
    folder = tmp_path / "photos"
    for label in sorted((sample / "Test").iterdir())[:3]:
        (folder / label.name).mkdir(parents=True)
        for path in label.iterdir():
            (folder / label.name / path.name).write_bytes(path.read_bytes())
    (folder / "notes.txt").write_text("mine")
    return folder


def test_all_photos_arrive_once_and_a_changed_one_again(bucket: str, s3_server, photos: Path):
    expected = {f"photos/{path.relative_to(photos).as_posix()}": path.read_bytes() for path in photos.rglob("*.jpg")}

    first = push(photos, f"s3://{bucket}/photos", "--json")

    assert first.returncode == 0, first.stderr
    assert contents(s3_server.client(), bucket) == expected
    said = json.loads(first.stdout)
    assert (said["sent"], said["already"], said["ignored"], said["refused"]) == (30, 0, 1, [])
    assert said["bytes"] == sum(map(len, expected.values()))

    changed = min(photos.rglob("*.jpg"))
    changed.write_bytes(max(photos.rglob("*.jpg")).read_bytes())
    again = push(photos, f"s3://{bucket}/photos")

    assert again.returncode == 0, again.stderr
    assert "30 photos in" in again.stdout
    assert "29 already there" in again.stdout
    assert "next: fruitsctl run" in again.stdout
    assert contents(s3_server.client(), bucket)[f"photos/{changed.relative_to(photos).as_posix()}"] == changed.read_bytes()


def test_a_push_that_was_killed_resumes(bucket: str, s3_server, sample: Path):
    client, words = s3_server.client(), (sample, f"s3://{bucket}/p")
    process = start(*words)
    wait_until(lambda: client.list_objects_v2(Bucket=bucket, MaxKeys=1)["KeyCount"], lambda: process.poll() is None)
    process.kill()
    process.communicate()
    arrived = client.list_objects_v2(Bucket=bucket)["KeyCount"]
    assert 0 < arrived < 750

    again = push(*words, "--json")

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["already"] >= arrived
    stored = contents(client, bucket)
    assert stored == {f"p/{path.relative_to(sample).as_posix()}": path.read_bytes() for path in sample.glob("*/*/*.jpg")}


def test_metadata_stays_at_home_and_what_cannot_be_promised_is_not_sent(bucket: str, s3_server, tmp_path: Path):
    folder = tmp_path / "told"
    (folder / "Apple").mkdir(parents=True)
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
        (folder / "Apple" / f"a.{suffix}").write_bytes(photo(kind, 6))
    (folder / "Apple" / "b.gif").write_bytes(b"GIF89a" + SECRET)

    done = push(folder, f"s3://{bucket}", "--strip-metadata")

    stored = contents(s3_server.client(), bucket)
    assert sorted(stored) == ["Apple/a.jpg", "Apple/a.png", "Apple/a.webp"]
    assert not [key for key, content in stored.items() if SECRET in content]
    assert done.returncode == 1
    assert "b.gif: cannot remove its metadata" in done.stderr
    assert "`1` of 4 photos were not uploaded" in done.stderr
    again = push(folder, f"s3://{bucket}", "--strip-metadata", "--json")
    assert json.loads(again.stdout)["already"] == 3


def test_a_dry_run_sends_nothing_and_lists_what_the_bucket_does_not_have(bucket: str, s3_server, photos: Path):
    words = (photos, f"s3://{bucket}/photos")
    done = push(*words, "--dry-run")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" -> s3://") == 30
    assert contents(s3_server.client(), bucket) == {}

    push(*words)
    new = photos / "new.jpg"
    new.write_bytes(min(photos.rglob("*.jpg")).read_bytes())
    again, as_json = push(*words, "--dry-run"), push(*words, "--dry-run", "--json")

    assert again.stdout == f"{new} -> s3://{bucket}/photos/new.jpg\n1 photo, 0.0 MB to upload; 30 already there\n"
    said = json.loads(as_json.stdout)
    assert {name: said[name] for name in ("photos", "sent", "already", "replaced", "exposed", "bytes")} == {
        "photos": 31, "sent": 0, "already": 30, "replaced": 0, "exposed": [], "bytes": new.stat().st_size,
    }  # fmt: skip


@pytest.fixture
def bare(bucket: str, tmp_path: Path) -> Path:
    """A folder with photos full of metadata and one with none; the bucket has them without."""
    folder = tmp_path / "told"
    (folder / "Apple").mkdir(parents=True)
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
        (folder / "Apple" / f"a.{suffix}").write_bytes(photo(kind, 6))
    (folder / "Apple" / "plain.jpg").write_bytes(strip(photo("JPEG", 1)))
    assert push(folder, f"s3://{bucket}", "--strip-metadata").returncode == 0
    return folder


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)], ids=["push", "dry run"])
@pytest.mark.parametrize("changed", [False, True], ids=["the same photos", "photos that changed since"])
def test_metadata_that_was_removed_does_not_come_back_unasked(bucket: str, s3_server, bare: Path, dry_run: tuple[str], changed: bool):
    before = contents(s3_server.client(), bucket)
    (bare / "Apple" / "new.jpg").write_bytes(photo("JPEG", 1))
    if changed:
        for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            (bare / "Apple" / f"a.{suffix}").write_bytes(photo(kind, 3))

    done = push(bare, f"s3://{bucket}", *dry_run)

    assert done.returncode == 3
    assert "`3` photos in" in done.stderr
    assert "would be replaced by copies with metadata" in done.stderr
    assert f"without metadata: s3://{bucket}/Apple/a.png\n" in done.stderr
    assert "add --strip-metadata to keep it out, or --with-metadata" in done.stderr
    assert contents(s3_server.client(), bucket) == before


def test_metadata_comes_back_where_that_is_asked_for(bucket: str, s3_server, bare: Path):
    done = push(bare, f"s3://{bucket}", "--with-metadata", "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["sent"], said["already"], said["replaced"], len(said["exposed"])) == (3, 1, 3, 3)
    stored = contents(s3_server.client(), bucket)
    assert stored == {f"Apple/{path.name}": path.read_bytes() for path in (bare / "Apple").iterdir()}
    assert push(bare, f"s3://{bucket}", "--strip-metadata").returncode == 0  # and goes again, without a question
    assert not [key for key, content in contents(s3_server.client(), bucket).items() if SECRET in content]


def test_what_had_metadata_in_the_bucket_or_has_none_here_is_replaced_as_before(bucket: str, s3_server, tmp_path: Path):
    folder = tmp_path / "told"
    folder.mkdir()
    here = {"a.jpg": photo("JPEG", 6), "b.jpg": photo("JPEG", 6), "c.gif": b"GIF89a one"}
    for name, content in here.items():
        (folder / name).write_bytes(content)
    push(folder, f"s3://{bucket}")
    here |= {"a.jpg": photo("JPEG", 3), "b.jpg": strip(photo("JPEG", 3)), "c.gif": b"GIF89a two"}
    for name, content in here.items():
        (folder / name).write_bytes(content)

    done = push(folder, f"s3://{bucket}")

    assert done.returncode == 0, done.stderr
    assert contents(s3_server.client(), bucket) == here


def test_a_dry_run_too_refuses_a_bucket_outside_the_union(bucket: str, photos: Path):
    done = push(photos, f"s3://{bucket}/photos", "--dry-run", AWS_REGION="us-west-2", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")

    assert done.returncode == 3


def test_a_name_that_is_no_utf8_is_told_and_the_others_go(bucket: str, s3_server, photos: Path):
    Path(os.fsdecode(os.fsencode(photos) + b"/\xff.jpg")).write_bytes(b"photo")

    done = push(photos, f"s3://{bucket}/p")

    assert done.returncode == 1
    assert "\\xff.jpg: file name is not UTF-8" in done.stderr
    assert len(contents(s3_server.client(), bucket)) == 30


@pytest.mark.timeout(60)
@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)], ids=["push", "dry run"])
def test_what_is_no_file_is_told_and_the_others_go(bucket: str, s3_server, photos: Path, dry_run: tuple[str]):
    write_odd_files(photos / "odd")

    done = push(photos, f"s3://{bucket}/p", *dry_run)

    assert done.returncode == (0 if dry_run else 1), done.stderr
    assert {f"not uploaded: {photos}/odd/{name}: {reason}" for name, reason in REASONS.items()} <= set(done.stderr.splitlines())
    assert len(contents(s3_server.client(), bucket)) == (0 if dry_run else 30)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("absent", "s3://{bucket}/p"), "there is no folder `absent`"),
        (("{photos}", "elsewhere"), "`elsewhere` is not an s3:// address"),
        (("{photos}", "s3://no-such-bucket-here/p"), "there is no bucket `no-such-bucket-here`"),
    ],
)
def test_a_wrong_place_is_one_clear_error(bucket: str, photos: Path, words: tuple[str, ...], message: str):
    done = push(*(word.format(bucket=bucket, photos=photos) for word in words))

    assert done.returncode == 2
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.mark.parametrize(("region", "city"), [("eu-west-2", " (London)"), ("us-east-1", ""), ("eu-central-2", " (Zurich)")])
def test_a_bucket_outside_the_union_is_refused_before_a_byte_is_sent(bucket: str, moto: str, photos: Path, region: str, city: str):
    client = boto3.client("s3", endpoint_url=moto, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    name = f"fruits-{region}"
    client.create_bucket(Bucket=name, **({} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}))

    done = push(photos, f"s3://{name}/photos", AWS_ENDPOINT_URL_S3=moto)

    assert done.returncode == 3
    assert f"Region `{region}`{city} is not on the list" in done.stderr
    assert "KeyCount" in (listed := client.list_objects_v2(Bucket=name))
    assert listed["KeyCount"] == 0


def test_a_region_of_the_environment_outside_the_union_is_refused_before_anything_is_asked(bucket: str, photos: Path):
    done = push(photos, f"s3://{bucket}/photos", AWS_REGION="us-west-2", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")

    assert done.returncode == 3
    assert "Region `us-west-2` is not on the list" in done.stderr


def test_missing_permission_is_named(bucket: str, s3_server, photos: Path):
    client, name = s3_server.client(), "pusher"
    s3_server._admin("create-user", "--access", name, "--secret", "pushers-secret", "--role", "user")
    allowed = {"Effect": "Allow", "Principal": {"AWS": [name]}, "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"]}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))

    done = push(photos, f"s3://{bucket}/photos", AWS_ACCESS_KEY_ID=name, AWS_SECRET_ACCESS_KEY="pushers-secret")

    s3_server.delete_user(name)
    assert done.returncode == 1
    assert "access denied for `s3:PutObject`" in done.stderr
    assert "pushers-secret" not in done.stderr


def test_photos_in_trash_and_thumbnail_folders_are_not_sent(tmp_path: Path):
    for name in ("Apple/a.jpg", "@eaDir/a.jpg", "Apple/.thumbnails/a.jpg", ".Trash-1000/files/b.jpg", "Apple/.trashed-1-c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"photo")

    photos, result = find_photos(tmp_path, "s3://bucket/photos")

    assert [photo.key for photo in photos] == ["photos/Apple/a.jpg"]
    assert result.ignored == 4
