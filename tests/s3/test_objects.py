"""Small files on a real S3 server: conditional writes, listing and deleting by pages, errors in words."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from botocore import auth

from job.contract.errors import CredentialsError, OutputError
from job.inputs.fetch import ListedImage, read_s3
from job.storage import s3_client
from job.storage.folders import open_folder
from job.storage.object_store import Conflict
from job.storage.s3_client import bucket_store

MD5_OF_A = '"0cc175b9c0f1b6a831c399e269772661"'  # S3's ETag of a plain put, in its quotes


def test_what_is_written_is_read_back_with_its_etag(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")

    assert folder.read("runs/x/a.txt") is None
    folder.write("runs/x/a.txt", b"a")
    stored = folder.read("runs/x/a.txt")

    assert stored is not None
    assert (stored.content, stored.version) == (b"a", MD5_OF_A)
    assert 0 <= stored.age < 60


@pytest.mark.parametrize("below", ["", "/out", "/a b#1%20é🍎"])
def test_the_folder_may_be_the_bucket_or_any_prefix(bucket: str, below: str):
    folder = open_folder(f"s3://{bucket}{below}")
    folder.write("runs/x=1 %2F/a.txt", b"a")

    assert folder.names() == ["runs"]
    assert folder.names("runs") == ["x=1 %2F"]
    folder.delete_tree("runs")
    assert folder.names() == []


def test_swap_creates_only_what_does_not_exist(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")

    assert folder.compare_and_swap("pointer", b"a", None) == MD5_OF_A
    with pytest.raises(Conflict):
        folder.compare_and_swap("pointer", b"b", None)
    assert folder.read("pointer")[0] == b"a"


def test_swap_replaces_only_the_version_it_was_told(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")
    folder.write("pointer", b"a")

    second = folder.compare_and_swap("pointer", b"b", MD5_OF_A)
    with pytest.raises(Conflict):
        folder.compare_and_swap("pointer", b"c", MD5_OF_A)
    folder.compare_and_swap("pointer", b"d", second)

    assert folder.read("pointer")[0] == b"d"


def test_swap_does_not_create_a_file_that_was_deleted_meanwhile(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")

    with pytest.raises(Conflict):
        folder.compare_and_swap("pointer", b"b", MD5_OF_A)

    assert folder.read("pointer") is None


def test_a_tree_of_more_than_one_page_is_listed_and_deleted_whole_and_alone(bucket: str):
    folder = open_folder(f"s3://{bucket}/out")
    with ThreadPoolExecutor(16) as pool:  # a page holds 1,000
        list(pool.map(lambda n: s3_client.client().put_object(Bucket=bucket, Key=f"out/run/part-{n:04}", Body=b""), range(1100)))
    folder.write("runner/a.txt", b"1")

    assert folder.names("run") == [f"part-{n:04}" for n in range(1100)]
    folder.delete_tree("run")
    assert folder.names("run") == []
    assert folder.names("runner") == ["a.txt"]
    folder.delete("runner/a.txt")
    folder.delete("runner/a.txt")
    assert folder.names("runner") == []


def test_upload_sends_a_local_file(bucket: str, tmp_path: Path):
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)

    open_folder(f"s3://{bucket}/out").upload("logs/run.log", str(tmp_path / "source"))

    assert s3_client.client().head_object(Bucket=bucket, Key="out/logs/run.log")["ContentLength"] == 3_000_000


def test_a_bucket_that_does_not_exist_is_named_with_a_way_out(bucket: str):
    folder = open_folder("s3://no-such-bucket-anywhere/out")

    for attempt in (
        lambda: folder.write("a.txt", b""),
        lambda: folder.read("a.txt"),
        folder.names,
        lambda: folder.compare_and_swap("a", b"", None),
    ):
        with pytest.raises(OutputError, match=r"^there is no bucket for `s3://no-such-bucket-anywhere/out") as raised:
            attempt()
        assert raised.value.hint == "create the bucket, or check its name"


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "nobody", "InvalidAccessKeyId")],
)
def test_wrong_credentials_are_told_from_other_trouble(bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, code: str):
    monkeypatch.setenv(variable, value)
    s3_client.client.cache_clear()

    with pytest.raises(CredentialsError) as raised:
        open_folder(f"s3://{bucket}/out").write("a.txt", b"")

    assert str(raised.value) == f"S3 denied access to `s3://{bucket}/out/a.txt`: {code}"
    assert raised.value.hint == "check the credentials and their IAM policy"


def test_no_credentials_at_all_are_said_so(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3_client.client.cache_clear()

    with pytest.raises(CredentialsError, match=f"^no AWS credentials for `s3://{bucket}/out/a.txt`$"):
        open_folder(f"s3://{bucket}/out").read("a.txt")


def test_an_endpoint_without_an_answer_is_an_output_error(bucket: str, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{closed.getsockname()[1]}")
        s3_client.client.cache_clear()
        with pytest.raises(OutputError, match=f"^no response from S3 for `s3://{bucket}/out/a.txt`: ") as raised:
            open_folder(f"s3://{bucket}/out").read("a.txt")

    assert raised.value.hint == "check AWS_ENDPOINT_URL_S3, the Region and the network"


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_wrong_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch, minutes: int):
    now = auth.get_current_datetime
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now() + timedelta(minutes=minutes))
    s3_client.client.cache_clear()

    with pytest.raises(OutputError, match=r"^the clock of this machine is wrong: ") as raised:
        open_folder(f"s3://{bucket}/out").write("a.txt", b"")
    assert raised.value.hint == "set the clock, for example by NTP"


def test_a_server_of_another_region_than_that_of_the_settings_is_read_all_the_same(bucket: str, s3_server, monkeypatch: pytest.MonkeyPatch):
    """The server says where the bucket is; boto3 signs again, and obstore from the start."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    s3_client.client.cache_clear()
    bucket_store.cache_clear()
    etag = s3_server.client().put_object(Bucket=bucket, Key="a.txt", Body=b"a")["ETag"]

    stored = open_folder(f"s3://{bucket}").read("a.txt")
    assert stored is not None
    assert stored.content == read_s3(ListedImage(f"s3://{bucket}/a.txt", etag.strip('"'), 1, None)) == b"a"
