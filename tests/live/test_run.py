"""One small run that ends well, and what the service says about it. Billed: two workers for its time, limited to $0.40 by `--max-cost`."""

import json

import pytest
import requests

from cli.billing.sizing import FIXED_MINUTES
from cli.settings.config import settings
from cli.targets.emr.waits import LATE_SECONDS
from cli.targets.emr_serverless.job_runs import IMAGE_POLLS, PAUSE_SECONDS
from cli.targets.runs.saved import load
from job.contract.records import Progress, from_line


@pytest.fixture(scope="module")
def looks(sent, watch, photos, scratch):
    return watch(sent(photos, f"{scratch}/out", "--max-cost", "0.4"))


@pytest.fixture(scope="module")
def ended(looks):
    return looks[-1][1]


def test_the_image_s_jars_are_found_and_tables_are_written_under_the_session_policy(clients, deployed, ended, scratch):
    assert ended["state"] == "SUCCESS", ended["stateDetails"]
    prefix = f"{scratch.partition(f'{deployed.bucket}/')[2]}/out/features/_delta_log/"
    listed = clients("s3").list_objects_v2(Bucket=deployed.bucket, Prefix=prefix)
    assert listed["KeyCount"] > 0


def test_an_executor_is_billed_as_the_16_gb_that_the_overhead_factor_aims_at(ended, billed):
    used = billed(ended["jobRunId"])

    assert used["memoryGBHour"] / used["vCPUHour"] == pytest.approx(8 / 4, rel=0.02)


def test_the_digest_of_the_image_is_known_while_the_command_still_asks(looks, ended, deployed):
    assert ended["imageConfiguration"]["resolvedImageDigest"] == deployed.image.partition("@")[2]
    known = next(seconds for seconds, run in looks if run.get("imageConfiguration", {}).get("resolvedImageDigest"))
    assert known <= IMAGE_POLLS * PAUSE_SECONDS


def test_the_driver_has_two_streams_and_its_lines_are_late_by_seconds(ended, streams):
    names, events = streams(ended["jobRunId"])

    assert names == ["SPARK_DRIVER/stderr", "SPARK_DRIVER/stdout"]
    assert max(event["ingestionTime"] - event["timestamp"] for event in events) < LATE_SECONDS * 1000


def test_the_first_photo_is_embedded_within_the_minutes_that_a_deadline_counts_on(ended, streams):
    _, events = streams(ended["jobRunId"])
    records = [(event["timestamp"], from_line(event["message"].rstrip())) for event in events]

    first = min(at for at, record in records if isinstance(record, Progress) and record.stage == "embed" and record.done)

    assert first / 1000 - ended["createdAt"].timestamp() < FIXED_MINUTES * 60


def test_the_same_request_after_the_end_is_the_same_run(clients, ended):
    emr, known = clients("emr-serverless"), load(settings().state, ended["jobRunId"])

    again = emr.start_job_run(**known.request)["jobRunId"]

    if again != ended["jobRunId"]:
        emr.cancel_job_run(applicationId=ended["applicationId"], jobRunId=again)
    assert again == ended["jobRunId"]


def test_the_spark_ui_opens_after_the_end_though_aws_keeps_no_copy_of_the_logs(fruitsctl, ended):
    url = json.loads(fruitsctl("ui", ended["jobRunId"], "--json"))["url"]

    assert requests.get(url, timeout=60).status_code == 200


def test_what_aws_bills_is_kept_beside_the_output(fruitsctl, ended, billed, scratch):
    billed(ended["jobRunId"])

    assert json.loads(fruitsctl("status", ended["jobRunId"], "--json"))["cost"] > 0
    (month,) = json.loads(fruitsctl("cost", "--output", f"{scratch}/out", "--json"))["months"]
    assert month["runs"] == 1
