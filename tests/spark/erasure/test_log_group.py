"""The search of a log group of CloudWatch."""

import time
from unittest.mock import ANY

import pytest

from job.contract.errors import SetupError
from job.erasure import LeftOverError
from tests.aws.conftest import REGION, aws, moto  # noqa: F401 - fixtures
from tests.spark.erasure.traces import tree

LOG_GROUP, STREAM = "/aws/emr-serverless/fruitsctl", "applications/00f1/jobs/00f2/SPARK_DRIVER/stderr"


@pytest.fixture
def log_group(aws, monkeypatch):  # noqa: F811
    """A log group with one stream; writes a line into it, or without one takes the stream away."""
    monkeypatch.setenv("AWS_REGION", REGION)
    logs = aws("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)

    def write(line=None):
        if line is None:
            logs.delete_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)
        else:
            event = {"timestamp": int(time.time() * 1000), "message": line}
            logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=STREAM, logEvents=[event])

    return write


def test_what_cloudwatch_holds_of_a_photo_is_found_and_no_other_line(forget, after_a_run, log_group):
    output, photos = after_a_run
    one, two = sorted(photos.glob("*/*.jpg"))[:2]
    log_group(f"Executor 1 failed on file://{two}")

    assert (done := forget(output, [one], log_group=LOG_GROUP)).found == []
    assert done.searched["log_events"] == 1

    with pytest.raises(LeftOverError, match=f"{LOG_GROUP} {STREAM}: address"):
        forget(output, [two], log_group=LOG_GROUP)
    log_group()
    assert (done := forget(output, [two], log_group=LOG_GROUP)).found == []
    assert done.searched["log_events"] == 0


def test_a_log_group_that_cannot_be_read_is_said_before_anything_is_removed(forget, after_a_run, log_group):
    output, photos = after_a_run
    one, lease = sorted(photos.glob("*/*.jpg"))[0], {output / "lease.json": ANY}
    before = tree(output) | lease

    for only_plan in (True, False):
        with pytest.raises(SetupError, match="there is no log group `/fruits`"):
            forget(output, [one], log_group="/fruits", only_plan=only_plan)

    assert one.exists()
    assert tree(output) | lease == before
