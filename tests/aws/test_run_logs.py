"""Lines of a driver's log that come late, from later attempts and rotated streams: each once."""

import time

import boto3

from cli.aws.clients import Clients
from cli.targets.base import LogLine
from cli.targets.emr.driver_log import DriverLog, LogLocation, archived

GROUP = "/aws/emr-serverless/fruitsctl"
BELOW = "applications/00f1/jobs/00f2/"
WATCHED = {"cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": GROUP}}


def place(**monitoring):
    return LogLocation.of(
        {"applicationId": "00f1", "jobRunId": "00f2", "configurationOverrides": {"monitoringConfiguration": WATCHED | monitoring}}
    )


def clients():
    return Clients(boto3.session.Session(), "eu-west-3")


def put(logs, stream, *lines):
    events = [{"timestamp": at, "message": text} for at, text in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName=BELOW + stream, logEvents=events)


def test_no_group_and_no_stream_is_no_error(aws):
    log = DriverLog(place(), "stdout")

    assert log.new(clients()) == []
    aws("logs").create_log_group(logGroupName=GROUP)
    assert log.new(clients()) == []


def test_late_lines_and_those_of_other_attempts_and_rotated_streams_come_once_and_in_order(aws):
    logs, now = aws("logs"), int(time.time() * 1000) - 10_000
    logs.create_log_group(logGroupName=GROUP)
    for stream in ("SPARK_DRIVER/stdout", "SPARK_DRIVER/stderr", "attempts/2/SPARK_DRIVER/stdout", "SPARK_DRIVER/stdout_1"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=BELOW + stream)
    log, made = DriverLog(place(), "stdout"), clients()

    put(logs, "SPARK_DRIVER/stdout", (now, "one"), (now + 2, "three"))
    put(logs, "SPARK_DRIVER/stderr", (now, "somebody's warning"))
    assert log.new(made) == [LogLine("one", now), LogLine("three", now + 2)]
    assert log.new(made) == []
    put(logs, "attempts/2/SPARK_DRIVER/stdout", (now + 1, "two, late"))
    put(logs, "SPARK_DRIVER/stdout_1", (now + 3, "four"))
    assert [line.text for line in log.new(made)] == ["two, late", "four"]


def test_a_run_without_cloudwatch_has_no_live_log():
    assert DriverLog(LogLocation.of({"applicationId": "a", "jobRunId": "b"}), "stdout").new(None) == []


def test_what_was_rotated_or_cut_off_in_the_bucket_is_still_read(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    where = place(s3MonitoringConfiguration={"logUri": "s3://logs/logs/"})
    s3.put_object(Bucket="logs", Key=f"logs/{BELOW}SPARK_DRIVER/stderr.gz", Body=b"not zipped\n")
    s3.put_object(Bucket="logs", Key=f"logs/{BELOW}SPARK_DRIVER/stdout.gz", Body=b"other\n")

    assert archived(clients(), where, "stderr") == ["not zipped"]
    assert archived(clients(), place(), "stderr") == []
