"""`infra up --schedule` and `--alarm-email`, on the stand-in, which carries out what the schedule would send."""

import json
import os
from pathlib import Path

import boto3
import pytest
import yaml
from moto.events.models import EventPattern

from cli.aws import emr_serverless as application
from cli.billing.costs import round_up_cents
from cli.infra import deploy, stacks
from job.contract.params import Params
from tests.aws.emr import ended
from tests.aws.fruitsctl import done, fruitsctl
from tests.aws.standin.runner import ScriptedRunner

REPOSITORY = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl"
IMAGE = f"{REPOSITORY}@sha256:{'a' * 64}"
BUCKET = "fruitsctl-123456789012-eu-west-3"
NIGHTLY = "cron(0 3 * * ? *)"
FAILED = {
    "version": "0",
    "id": "00df3ec6-5da1-36e6-ab71-20f0de68f8a0",
    "detail-type": "EMR Serverless Job Run State Change",
    "source": "aws.emr-serverless",
    "account": "123456789012",
    "time": "2026-12-01T03:12:00Z",
    "region": "eu-west-3",
    "resources": [],
    "detail": {"jobRunId": "00f1cbn5g4bb0c01", "state": "FAILED", "previousState": "RUNNING"},
}


@pytest.fixture(autouse=True)
def quick(standin, monkeypatch, tmp_path):
    monkeypatch.setenv("FRUITS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(application, "POLL_SECONDS", 0.02)
    standin.emr.digests = lambda repository, reference: reference  # every image is in the registry


@pytest.fixture
def nightly(standin):
    return done("infra", "up", "--image", IMAGE, "--schedule", NIGHTLY)


def schedules(aws):
    return [found["Name"] for found in aws("scheduler").list_schedules()["Schedules"]]


def sent_by(aws, time, execution):
    """What EventBridge Scheduler makes of the input of the schedule: the request with the API's own names of its members."""
    text = aws("scheduler").get_schedule(Name="fruitsctl")["Target"]["Input"]
    for name, value in (("scheduled-time", time), ("execution-id", execution), ("attempt-number", "1")):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    assert "<aws.scheduler" not in text
    return of_api(json.loads(text), aws("emr-serverless").meta.service_model.operation_model("StartJobRun").input_shape)


def of_api(value, shape):
    if shape.type_name == "structure":
        names = {name[0].upper() + name[1:]: name for name in shape.members}
        return {names[name]: of_api(item, shape.members[names[name]]) for name, item in value.items()}
    if shape.type_name == "list":
        return [of_api(item, shape.member) for item in value]
    return value


def test_a_schedule_sends_what_a_run_would_send_now(aws, nightly):
    made = aws("scheduler").get_schedule(Name="fruitsctl")
    shown = done("run", "--serverless", "--run-id", "r1", "--dry-run")["request"]

    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"]) == (NIGHTLY, "Europe/Paris")
    assert made["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:emrserverless:startJobRun"
    assert made["Target"]["RoleArn"] == "arn:aws:iam::123456789012:role/fruitsctl-eu-west-3-scheduler"
    assert sent_by(aws, "r1", "r1") == shown
    assert shown["executionTimeoutMinutes"] == 180


def test_the_settings_of_runs_are_those_of_the_schedule(aws, standin):
    Path("fruits.toml").write_text(f'input = "s3://{BUCKET}/mine"\n[serverless]\nmax_cost = 2.0\nexecutors = 1\nattempts = 2\n')

    said = fruitsctl("infra", "up", "--image", IMAGE, "--schedule", NIGHTLY)

    assert said.returncode == 0, said.stderr
    shown = done("run", "--serverless", "--run-id", "r1", "--dry-run")
    assert shown["worst_case_usd"] <= 2
    assert f"schedule: the workers of each run cost at most ${round_up_cents(shown['worst_case_usd'])}" in said.stderr
    sent = sent_by(aws, "r1", "r1")
    assert f"--input=s3://{BUCKET}/mine" in sent["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert sent["retryPolicy"] == {"maxAttempts": 2}
    assert sent == shown["request"]


def test_two_days_are_two_runs_and_a_retry_is_none_more(aws, standin, nightly):
    emr, seen = aws("emr-serverless"), []

    def job(request, context):
        params = Params.from_argv(request["jobDriver"]["sparkSubmit"]["entryPointArguments"])
        seen.append(params.run_id)

    standin.runner = ScriptedRunner(meanwhile=job)
    sent = []
    for time, execution in (
        ("2026-12-01T03:00:00Z", "d32c5kddcf5bb8c3"),
        ("2026-12-01T03:00:00Z", "d32c5kddcf5bb8c3"),  # the answer to the first was lost
        ("2026-12-02T03:00:00Z", "e81a0mffab2cc9d4"),
    ):
        run = emr.start_job_run(**sent_by(aws, time, execution))
        assert ended(emr, run["applicationId"], run["jobRunId"])["state"] == "SUCCESS"
        sent.append(run["jobRunId"])

    assert sent[0] == sent[1] != sent[2]
    assert seen == ["20261201T030000Z-scheduled", "20261202T030000Z-scheduled"]


def test_a_retry_with_another_token_is_the_same_run_of_the_job(aws, standin, nightly):
    """AWS describes the id of an execution as that of an attempt: then the job sees the run id a second time, and that it has ended."""
    emr, seen = aws("emr-serverless"), []
    standin.runner = ScriptedRunner(
        meanwhile=lambda request, _: seen.append(Params.from_argv(request["jobDriver"]["sparkSubmit"]["entryPointArguments"]))
    )

    for execution in ("d32c5kddcf5bb8c3", "f00c5kddcf5bb8c3"):
        run = emr.start_job_run(**sent_by(aws, "2026-12-01T03:00:00Z", execution))
        ended(emr, run["applicationId"], run["jobRunId"])

    assert seen[0] == seen[1]  # `job.attempt` returns the outcome of an ended run with the same arguments
    assert seen[0].run_id == "20261201T030000Z-scheduled"


@pytest.mark.parametrize("name", ["20261201T030000Z-scheduled", "2026-12-01T03:00:00Z"])
def test_a_scheduled_run_is_found_by_its_run_id_and_by_its_time(aws, nightly, name):
    emr = aws("emr-serverless")
    run = emr.start_job_run(**sent_by(aws, "2026-12-01T03:00:00Z", "d32c5kddcf5bb8c3"))
    ended(emr, run["applicationId"], run["jobRunId"])

    found = done("status", name)

    assert (found["run_id"], found["job_run_id"]) == ("20261201T030000Z-scheduled", run["jobRunId"])
    assert fruitsctl("status", "2026-12-03T03:00:00Z").returncode == 2


def test_the_cost_of_scheduled_runs_is_stored_by_whoever_asks_for_it(aws, standin, nightly):
    emr = aws("emr-serverless")
    for time, execution in (("2026-12-01T03:00:00Z", "d32c5kddcf5bb8c3"), ("2026-12-02T03:00:00Z", "e81a0mffab2cc9d4")):
        run = emr.start_job_run(**sent_by(aws, time, execution))
        ended(emr, run["applicationId"], run["jobRunId"])

    found = done("cost")

    assert [run["run_id"] for run in found["runs"]] == ["20261201T030000Z-scheduled", "20261202T030000Z-scheduled"]
    assert all(run["usd"] is not None for run in found["runs"])
    asked = sum(call.operation == "GetJobRun" for call in standin.calls)
    assert done("cost", "20261201T030000Z-scheduled")["run_id"] == "20261201T030000Z-scheduled"
    assert sum(call.operation == "GetJobRun" for call in standin.calls) == asked  # it is stored


def test_the_role_of_the_schedule_starts_runs_of_this_application_and_no_more(aws, nightly):
    role = aws("iam").get_role(RoleName="fruitsctl-eu-west-3-scheduler")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    policy = aws("iam").get_role_policy(RoleName="fruitsctl-eu-west-3-scheduler", PolicyName="start")["PolicyDocument"]
    there = deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl")
    applications = f"arn:aws:emr-serverless:eu-west-3:123456789012:/applications/{there.application_id}"

    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": "123456789012",
        "aws:SourceArn": "arn:aws:scheduler:eu-west-3:123456789012:schedule-group/default",
    }
    statements = yaml.safe_load(policy)["Statement"]  # moto keeps it as Python prints it
    assert {item["Action"]: item["Resource"] for item in statements} == {
        "emr-serverless:StartJobRun": applications,
        "emr-serverless:TagResource": f"{applications}/jobruns/*",
        "iam:PassRole": there.role_arn,
    }


def test_a_schedule_stays_until_it_is_changed_or_removed(aws, nightly):
    before = aws("scheduler").get_schedule(Name="fruitsctl")["Target"]

    assert done("infra", "up")["stacks"]["fruitsctl-schedule"] == []
    done("infra", "up", "--timezone", "UTC")
    made = aws("scheduler").get_schedule(Name="fruitsctl")
    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"], made["Target"]) == (NIGHTLY, "UTC", before)

    planned = done("infra", "plan", "--no-schedule")["stacks"]["fruitsctl-schedule"]
    assert {(change["action"], change["resource"]) for change in planned} == {("Remove", "Schedule"), ("Remove", "SchedulerRole")}
    assert schedules(aws) == ["fruitsctl"]
    assert done("infra", "up", "--no-schedule")["stacks"]["fruitsctl-schedule"] == planned
    assert schedules(aws) == []
    assert "fruitsctl-schedule" not in done("infra", "up")["stacks"]


def test_a_schedule_follows_an_application_that_is_made_again(aws, nightly):
    first = deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl").application_id
    aws("emr-serverless").delete_application(applicationId=first)

    done("infra", "up")

    assert sent_by(aws, "r1", "r1")["applicationId"] == deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl").application_id != first


def test_nothing_is_made_unless_it_is_asked_for(aws, standin):
    done("infra", "up", "--image", IMAGE)

    assert (schedules(aws), aws("sns").list_topics()["Topics"], aws("events").list_rules()["Rules"]) == ([], [], [])
    assert done("infra", "status")["stacks"]["fruitsctl-schedule"] is None


def test_a_plan_of_both_before_there_is_an_application_changes_nothing(aws):
    planned = done("infra", "up", "--dry-run", "--image", IMAGE, "--schedule", "rate(1 day)", "--alarm-email", "a@b.example")

    assert {change["resource"] for change in planned["stacks"]["fruitsctl-schedule"]} == {"Schedule", "SchedulerRole"}
    assert {change["resource"] for change in planned["stacks"]["fruitsctl-alarm"]} == {"Topic", "TopicPolicy", "Failed"}
    assert schedules(aws) == []


def test_an_alarm_sends_failed_runs_of_this_application_to_the_address(aws):
    done("infra", "up", "--image", IMAGE, "--alarm-email", "ops@example.com")
    identity = deploy.deployed(boto3.Session(), "eu-west-3", "fruitsctl").application_id
    (topic,) = (found["TopicArn"] for found in aws("sns").list_topics()["Topics"])
    (subscribed,) = aws("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    rule = aws("events").describe_rule(Name="fruitsctl-failed")
    (target,) = aws("events").list_targets_by_rule(Rule="fruitsctl-failed")["Targets"]
    (allowed,) = json.loads(aws("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]

    def hears(**detail):
        event = FAILED | {"detail": FAILED["detail"] | {"applicationId": identity} | detail}
        return EventPattern.load(rule["EventPattern"]).matches_event(event)

    assert (subscribed["Protocol"], subscribed["Endpoint"]) == ("email", "ops@example.com")
    assert target["Arn"] == topic
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": rule["Arn"]}}
    assert [hears(), hears(state="SUCCESS"), hears(state="CANCELLED"), hears(applicationId="other")] == [True, False, False, False]

    done("infra", "up", "--no-alarm")
    assert (aws("sns").list_topics()["Topics"], aws("events").list_rules()["Rules"]) == ([], [])


def test_down_removes_schedule_and_alarm_and_the_schedule_first(aws, nightly, monkeypatch):
    done("infra", "up", "--alarm-email", "ops@example.com")
    deleted, delete = [], stacks.delete
    monkeypatch.setattr(stacks, "delete", lambda client, name, *more: (deleted.append(name), delete(client, name, *more)))

    said = fruitsctl("infra", "down", "--yes")

    assert (said.returncode, said.stdout) == (0, "all resources are removed\n"), said.stderr
    assert (schedules(aws), aws("sns").list_topics()["Topics"], aws("events").list_rules()["Rules"]) == ([], [], [])
    assert aws("iam").list_roles()["Roles"] == []
    assert deleted == [f"fruitsctl-{name}" for name in ("schedule", "app", "alarm", "budget", "base", "data")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--schedule", "0 3 * * *"), "`0 3 * * *` is not a schedule"),
        (("--schedule", "cron(0 3 * * *)"), "`cron(0 3 * * *)` has 5 of the 6 fields"),
        (("--schedule", ""), "`--schedule` is empty"),
        (("--schedule", NIGHTLY, "--no-schedule"), "`--schedule` cannot be used with `--no-schedule`"),
        (("--schedule", NIGHTLY, "--timezone", "Paris"), "`Paris` is not a time zone"),
        (("--schedule", NIGHTLY, "--project", "other"), "`--project other` cannot be used with `--schedule`"),
        (("--schedule", NIGHTLY, "--region", "eu-west-1"), "`--region eu-west-1` cannot be used with `--schedule`"),
        (("--alarm-email", "nobody"), "`nobody` is not an e-mail address"),
        (("--alarm-email", "a@b.example", "--no-alarm"), "`--alarm-email` cannot be used with `--no-alarm`"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused_before_aws_is_asked(monkeypatch, words, said):
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody answers

    refused = fruitsctl("infra", "up", *words)

    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--schedule", NIGHTLY), "`--schedule` needs an application"),
        (("--alarm-email", "a@b.example"), "`--alarm-email` needs an application"),
        (("--timezone", "UTC"), "`--timezone` is given without `--schedule`"),
    ],
)
def test_what_has_no_effect_is_refused_and_nothing_is_made(aws, words, said):
    refused = fruitsctl("infra", "up", *words)

    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert aws("s3").list_buckets()["Buckets"] == []
