"""The log of a local run goes beside its results on S3, but not after an erasure that cannot have searched it."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from cli.ui import run_files
from cli.ui.run_files import erasures, keep_log

ADDRESS = "s3://photos/a.jpg"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "fruitsctl-r1.log"
    path.write_text(f"cannot read {ADDRESS}\n")
    return path


def keys(client, bucket: str) -> list[str]:
    return [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_it_goes_to_its_run_and_from_this_machine(bucket: str, s3_server, log: Path):
    output, session = f"s3://{bucket}/out", boto3.session.Session(region_name="eu-west-3")
    s3_server.client().put_object(Bucket=bucket, Key="out/erasures/earlier.json", Body=b"{}")

    assert keep_log(log, output, "r1", session, erasures(output, session)) == f"{output}/runs/r1/job.log"
    assert s3_server.client().get_object(Bucket=bucket, Key="out/runs/r1/job.log")["Body"].read().decode() == f"cannot read {ADDRESS}\n"
    assert not log.exists()


@pytest.mark.parametrize("name", ["later.json", "later.pending"])
def test_after_an_erasure_it_stays_where_it_is(bucket: str, s3_server, log: Path, name: str):
    output, session = f"s3://{bucket}/out", boto3.session.Session(region_name="eu-west-3")
    before = erasures(output, session)
    s3_server.client().put_object(Bucket=bucket, Key=f"out/erasures/{name}", Body=b"{}")

    assert keep_log(log, output, "r1", session, before) == str(log)
    assert log.exists()
    assert keys(s3_server.client(), bucket) == [f"out/erasures/{name}"]


def test_it_does_not_stay_there_if_an_erasure_began_while_it_was_sent(bucket: str, s3_server, log: Path, monkeypatch: pytest.MonkeyPatch):
    output, session = f"s3://{bucket}/out", boto3.session.Session(region_name="eu-west-3")
    before = erasures(output, session)

    real, calls = erasures, []

    def slowly(*arguments: object) -> set[str] | None:
        found = real(*arguments)
        if not calls:  # right after the first look
            s3_server.client().put_object(Bucket=bucket, Key="out/erasures/later.json", Body=b"{}")
        calls.append(arguments)
        return found

    monkeypatch.setattr(run_files, "erasures", slowly)

    assert keep_log(log, output, "r1", session, before) == str(log)
    assert len(calls) == 2
    assert keys(s3_server.client(), bucket) == ["out/erasures/later.json"]
