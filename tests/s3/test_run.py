"""The whole chain on a real S3 server, with nothing but a profile: README's command, runs that meet, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any
from unicodedata import normalize

import pytest

from tests.waiting import wait_until

LEASE_SECONDS = 20.0  # of a run that dies: time enough to see another one refused meanwhile
ANOTHER_MACHINE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")  # whose processes cannot be looked up here
ODD_KEYS = (
    "straight.jpg",
    "é 🍎/a b%20#+=.jpg",
    "e\u0301 decomposed/  two  spaces .jpg",
    "1/2/3/4/5/a+b%2Bc&d=?.jpg",
    'quotes/it\'s "ripe", <&>;:@$!*().jpg',
)

OUTPUT = "out é+%20#1"


class Command:
    """`fruitsctl` of a user who has a profile and no key in the environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def start(self, *words: str, machine: tuple[str, ...] = (), **more: str) -> subprocess.Popen[str]:
        command = [*machine, sys.executable, "-m", "cli", *words]
        return subprocess.Popen(command, env=self.environment | more, stdout=PIPE, stderr=PIPE, text=True)

    def __call__(self, *words: str, **more: str) -> CompletedProcess[str]:
        return ended(self.start(*words, **more))


def ended(process: subprocess.Popen[str]) -> CompletedProcess[str]:
    stdout, stderr = process.communicate()
    return CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def fruitsctl(s3_server, model_cache: Path, short_jvm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Command:
    home = tmp_path_factory.mktemp("home")
    config = home / "config"
    config.write_text(
        f"[profile fruits]\nregion = eu-west-3\nservices = local\n[services local]\ns3 =\n  endpoint_url = {s3_server.endpoint}\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= short_jvm
    environment |= {"AWS_PROFILE": "fruits", "AWS_CONFIG_FILE": str(config), "FRUITS_CACHE": str(model_cache)}
    environment["AWS_SHARED_CREDENTIALS_FILE"] = credentials(home, s3_server.access_key, s3_server.secret_key)
    return Command(environment)


def credentials(folder: Path, access_key: str, secret_key: str) -> str:
    """Path of a file with the keys of the profile."""
    path = folder / f"credentials-{access_key}"
    path.write_text(f"[fruits]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")
    return str(path)


@dataclass(frozen=True)
class Story:
    """One OUTPUT: a run that died on another machine, one refused meanwhile, two started together after its lease, and one more."""

    client: Any
    bucket: str
    photos: dict[str, str]  # URI -> label
    lease: dict[str, Any]  # of the run that died
    refused: CompletedProcess[str]
    together: list[CompletedProcess[str]]  # the winner first
    again: CompletedProcess[str]

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=f"{OUTPUT}/{key}")["Body"].read()
        return content

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{OUTPUT}/")["Contents"]
        return [item["Key"].removeprefix(f"{OUTPUT}/") for item in found]


@pytest.fixture(scope="module")
def story(s3_server, fruitsctl: Command, sample: Path) -> Story:
    client, bucket = s3_server.client(), "fruits-story"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    photos = dict(put_photos(client, bucket, sample))
    words = (
        "run",
        f"s3://{bucket}/photos",
        f"s3://{bucket}/{OUTPUT}",
        "--local",
        "--components",
        "5",
        "--model",
        "mobilenet_v2_untrained",
        "--json",
    )

    dead = fruitsctl.start(*words, "--lease-seconds", str(LEASE_SECONDS), machine=ANOTHER_MACHINE)
    lease = {"Bucket": bucket, "Key": f"{OUTPUT}/lease.json"}
    wait_until(lambda: client.list_objects_v2(Bucket=bucket, Prefix=lease["Key"])["KeyCount"], lambda: dead.poll() is None)
    dead.kill()
    ended(dead)
    refused = fruitsctl(*words)
    left_behind = client.get_object(**lease)
    renewed = left_behind["LastModified"].timestamp()
    time.sleep(max(0.0, renewed + LEASE_SECONDS + 3 - time.time()))  # S3 tells whole seconds

    both = [fruitsctl.start(*words) for _ in range(2)]
    together = sorted(map(ended, both), key=lambda done: done.returncode)
    return Story(client, bucket, photos, json.loads(left_behind["Body"].read()), refused, together, fruitsctl(*words))


def put_photos(client: Any, bucket: str, sample: Path) -> Iterator[tuple[str, str]]:
    """45 photos below photos/: URI and label of each."""
    keys = {}
    for folder in sorted((sample / "Test").iterdir())[:4]:
        keys |= {f"photos/{folder.name}/{path.name}": path for path in sorted(folder.iterdir())}
    keys |= {f"photos/{odd}": path for odd, path in zip(ODD_KEYS, keys.values(), strict=False)}
    for key, path in keys.items():
        client.upload_file(str(path), bucket, key)
        yield f"s3://{bucket}/{key}", normalize("NFC", key.split("/")[-2]) if key.count("/") > 1 else ""


def test_a_dead_owner_on_another_machine_keeps_the_lease_until_it_expires(story: Story):
    assert story.refused.returncode == 3
    assert f"`{story.lease['run_id']}`" in story.refused.stderr
    assert "its lease expires at" in story.refused.stderr
    assert "hint: wait until that run has finished" in story.refused.stderr
    assert "Traceback" not in story.refused.stderr


def test_of_two_runs_started_together_one_takes_over_and_the_other_is_refused(story: Story):
    winner, loser = story.together

    assert (winner.returncode, loser.returncode) == (0, 3), winner.stderr[-3000:] + loser.stderr[-3000:]
    manifest = json.loads(winner.stdout)
    assert f"run `{manifest['run_id']}`" in loser.stderr
    assert loser.stdout == ""
    assert manifest["generation"] == story.lease["generation"] + 1
    assert (manifest["counts"]["embedded"], manifest["counts"]["rows"], manifest["counts"]["rejected"]) == (45, 45, 0)


def test_a_dry_run_finds_the_features_of_every_photo_whatever_its_key(story: Story, fruitsctl: Command):
    before = story.names()
    input_, output = f"s3://{story.bucket}/photos", f"s3://{story.bucket}/{OUTPUT}"
    words = ("--local", "--dry-run", "--model", "mobilenet_v2_untrained", "--json")
    used, unused = fruitsctl("run", input_, output, *words), fruitsctl("run", input_, f"s3://{story.bucket}/unused", *words)

    assert (used.returncode, unused.returncode) == (0, 0), used.stderr + unused.stderr
    found, fresh = json.loads(used.stdout)["preview"], json.loads(unused.stdout)["preview"]
    assert (found["listed"], found["new"], found["known"], found["runs"]) == (45, 0, 45, 2)
    assert (fresh["listed"], fresh["new"], fresh["known"], fresh["runs"]) == (45, 45, 0, 0)
    assert story.names() == before


def test_every_photo_has_its_row_whatever_its_key(story: Story):
    manifest = json.loads(story.together[0].stdout)
    (part,) = (key for key in story.names() if f"runs/{manifest['run_id']}/csv/part" in key)
    _, *rows = csv.reader(story.read(part).decode().splitlines())

    assert {row[0]: row[1] for row in rows} == story.photos
    assert len(rows) == 45
    assert {len(row) for row in rows} == {7}


def test_the_next_run_embeds_nothing_and_is_the_latest(story: Story):
    assert story.again.returncode == 0, story.again.stderr[-3000:]
    manifest = json.loads(story.again.stdout)

    assert (manifest["counts"]["new"], manifest["counts"]["embedded"], manifest["counts"]["rows"]) == (0, 0, 45)
    assert json.loads(story.read("latest.json"))["run_id"] == manifest["run_id"]
    assert f"runs/{manifest['run_id']}/job.log" in story.names()
    assert not [key for key in story.names() if key.startswith("work/")]


def test_the_log_names_no_secret_and_no_photo(story: Story, s3_server):
    manifest = json.loads(story.together[0].stdout)
    log = story.read(f"runs/{manifest['run_id']}/job.log").decode()

    assert s3_server.secret_key not in log
    assert not any(uri in log for uri in story.photos)


@pytest.fixture
def reader(bucket: str, s3_server, tmp_path: Path) -> Iterator[str]:
    """Credentials of a user who may read `bucket`, with one photo in it, and write nowhere."""
    client, name = s3_server.client(), "reader"
    s3_server._admin("create-user", "--access", name, "--secret", "readers-secret", "--role", "user")
    client.put_object(Bucket=bucket, Key="photos/a.jpg", Body=b"fruit")
    allowed = {"Effect": "Allow", "Principal": {"AWS": [name]}, "Action": ["s3:GetObject", "s3:ListBucket"]}
    allowed["Resource"] = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    yield credentials(tmp_path, name, "readers-secret")
    s3_server.delete_user(name)


def one_clear_error(done: CompletedProcess[str], message: str) -> None:
    """Said before Spark starts."""
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.count("error: ") == 1
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Start Spark" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("s3://no-such-bucket-here/photos", "s3://{bucket}/out", "there is no bucket for `s3://no-such-bucket-here/photos`"),
        ("s3://{bucket}/absent", "s3://{bucket}/out", "there are no objects below `s3://{bucket}/absent`"),
        ("s3://{bucket}/photos", "s3://no-such-bucket-here/out", "there is no bucket for `s3://no-such-bucket-here/out/lease.json`"),
    ],
)
def test_a_place_that_does_not_exist_is_named(fruitsctl: Command, bucket: str, s3_server, source: str, output: str, message: str):
    s3_server.client().put_object(Bucket=bucket, Key="photos/a.jpg", Body=b"fruit")

    done = fruitsctl("run", source.format(bucket=bucket), output.format(bucket=bucket), "--local", "--model", "mean_colour")

    one_clear_error(done, message.format(bucket=bucket))


def test_an_output_that_may_only_be_read_is_named(fruitsctl: Command, bucket: str, reader: str):
    words = ("run", f"s3://{bucket}/photos", f"s3://{bucket}/out", "--local", "--model", "mean_colour")

    one_clear_error(
        fruitsctl(*words, AWS_SHARED_CREDENTIALS_FILE=reader), f"S3 denied access to `s3://{bucket}/out/lease.json`: AccessDenied"
    )


@pytest.mark.parametrize(("access_key", "code"), [("nobody", "InvalidAccessKeyId"), ("root", "SignatureDoesNotMatch")])
def test_wrong_credentials_are_said(fruitsctl: Command, bucket: str, tmp_path: Path, access_key: str, code: str):
    wrong = credentials(tmp_path, access_key, "nothing")

    done = fruitsctl(
        "run", f"s3://{bucket}/a", f"s3://{bucket}/out", "--local", "--model", "mean_colour", AWS_SHARED_CREDENTIALS_FILE=wrong
    )

    one_clear_error(done, f"S3 denied access to `s3://{bucket}/a`: {code}")


def test_an_unknown_profile_is_said(fruitsctl: Command, bucket: str):
    done = fruitsctl("run", f"s3://{bucket}/a", f"s3://{bucket}/out", "--local", "--model", "mean_colour", AWS_PROFILE="absent")

    one_clear_error(done, "absent")
