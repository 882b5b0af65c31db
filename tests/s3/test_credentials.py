"""
The user's AWS set-up to the job's process, against a real S3 server: boto3 and the JVM's S3A both read with what the
environment of `job_environment` gives them, and with nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyspark
import pytest

from cli.aws.session import aws_session, job_environment
from job.spark.packages import s3a

S3A = f"--packages {s3a(pyspark.__version__)} pyspark-shell"  # as a cluster has it
KEY_PARTS = ("FRUITSKEY1", "secret-number-1", "FRUITSKEY2", "secret-number-2")

# Both readers, once for each line on stdin. One process, one JVM, one S3A file system all along.
JOB = """
import os, sys
from job.storage.s3_client import S3_ERRORS, client
from job.spark.session import start_session

def say(*words):
    print("@", *words, flush=True)

bucket = sys.argv[1]
spark = start_session("test", uses_s3=True)
spark.sparkContext.setLogLevel("OFF")
say("ready")
for line in sys.stdin:
    for scheme in ("s3", "s3a"):
        try:
            say(scheme, [row.value for row in spark.read.text(f"{scheme}://{bucket}/photos/a.txt").collect()])
        except Exception as error:  # Py4J's, whatever S3A raised: the test compares what it says
            say(scheme, "refused" if "403" in str(error) else error)
    try:
        say("boto3", [found["Key"] for found in client(1).list_objects_v2(Bucket=bucket)["Contents"]])
    except S3_ERRORS:
        say("boto3 refused")
say(sorted(name for name, value in spark.sparkContext.getConf().getAll() if "secret-number" in value or "FRUITSKEY" in value))
"""

# credential_process: what was issued last, for one more minute.
PROCESS = """
import datetime, json, sys

ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
print(json.dumps(json.load(open(sys.argv[1])) | {"Expiration": ends.isoformat()}))
"""


class Job:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def lines(self, count: int) -> list[str]:
        """The next ones of the job's own; Ivy talks on stdout too."""
        assert self.process.stdout
        own = (line.removeprefix("@ ").strip() for line in self.process.stdout if line.startswith("@ "))
        return list(islice(own, count))

    def read(self) -> list[str]:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.lines(3)


@contextmanager
def job(bucket: str, extra: Mapping[str, str | None], log: Path) -> Iterator[Job]:
    """A process as the CLI starts it."""
    merged = {**os.environ, "FRUITS_MASTER": "local[1]", "FRUITS_DRIVER_MEMORY": "512m", "PYSPARK_SUBMIT_ARGS": S3A, **extra}
    environment = {name: value for name, value in merged.items() if value is not None}
    command = [sys.executable, "-c", JOB, bucket]
    with open(log, "w") as errors:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        running = Job(process)
        assert running.lines(1) == ["ready"], log.read_text()
        yield running
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def photos(bucket: str, s3_server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A bucket with one file; nothing of AWS is left in the environment but the two files of profiles, which are empty."""
    s3_server.client().put_object(Bucket=bucket, Key="photos/a.txt", Body=b"apple\npear\n")
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return bucket


ALL_IS_READ = ["s3 ['apple', 'pear']", "s3a ['apple', 'pear']", "boto3 ['photos/a.txt']"]
ALL_IS_REFUSED = ["s3 refused", "s3a refused", "boto3 refused"]


def test_a_profile_alone_with_keys_endpoint_and_region_leads_boto3_and_spark(
    photos: str, s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_PROFILE", "fruits")
    (tmp_path / "credentials").write_text(
        f"[fruits]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    )
    (tmp_path / "config").write_text(
        f"[profile fruits]\nregion = eu-west-3\nservices = here\n[services here]\ns3 =\n  endpoint_url = {s3_server.endpoint}\n"
    )

    with job_environment(aws_session()) as extra, job(photos, extra, tmp_path / "log") as running:
        assert running.read() == ALL_IS_READ
        assert running.process.stdin
        running.process.stdin.close()
        assert running.lines(1) == ["[]"]


def test_spark_takes_the_endpoint_of_a_profile_as_boto3_does(photos: str, s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As where the image is started by hand: nothing has turned the profile into variables."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    (tmp_path / "config").write_text(f"[default]\nregion = eu-west-3\nendpoint_url = {s3_server.endpoint}\n")

    with job(photos, {}, tmp_path / "log") as running:
        assert running.read() == ALL_IS_READ
        assert running.process.stdin
        running.process.stdin.close()
        running.lines(1)


@pytest.mark.parametrize("name", ["endpoint", "endpoint.region", "accesspoint.arn"])
def test_no_setting_leads_spark_elsewhere_than_boto3(photos: str, s3_server, tmp_path: Path, name: str):
    conf = f"--conf spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:9 --conf spark.hadoop.fs.s3a.bucket.{photos}.{name}=us-east-1"
    command = [sys.executable, "-c", JOB, photos]
    environment = s3_server.environment() | {"FRUITS_MASTER": "local[1]", "PYSPARK_SUBMIT_ARGS": f"{conf} pyspark-shell"}

    done = subprocess.run(command, env=environment, input="", capture_output=True, text=True)

    assert done.returncode == 1
    assert f"RegionError: setting `fs.s3a.bucket.{photos}.{name}` of Spark leads to another S3 than the one that is checked" in done.stderr


def test_a_session_that_expires_in_mid_run_is_renewed_in_the_living_process(photos: str, s3_server, tmp_path: Path):
    first_key, first_secret, second_key, second_secret = KEY_PARTS
    s3_server.create_user(first_key, first_secret)
    current = tmp_path / "current.json"
    (tmp_path / "process.py").write_text(PROCESS)
    process = f"{sys.executable} {tmp_path / 'process.py'} {current}"
    (tmp_path / "config").write_text(
        f"[default]\nregion = eu-west-3\nendpoint_url = {s3_server.endpoint}\ncredential_process = {process}\n"
    )

    def issue(access_key: str, secret_key: str) -> None:
        values = {"Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret_key}  # this server knows no session tokens
        current.write_text(json.dumps(values))

    issue(first_key, first_secret)
    with job_environment(aws_session()) as extra, job(photos, extra, tmp_path / "log") as running:
        assert running.read() == ALL_IS_READ
        s3_server.delete_user(first_key)
        assert running.read() == ALL_IS_REFUSED
        s3_server.create_user(second_key, second_secret)
        issue(second_key, second_secret)
        assert running.read() == ALL_IS_READ
        assert running.process.stdin
        running.process.stdin.close()
        assert running.lines(1) == ["[]"]
    s3_server.delete_user(second_key)

    written = (tmp_path / "log").read_text()
    assert [part for part in KEY_PARTS if part in written] == []
