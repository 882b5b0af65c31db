"""The request for a run: exact, accepted by the service's own model, and allowed no more than this run needs."""

import json
from dataclasses import replace

import botocore.session
import pytest
from botocore.validate import ParamValidator

from cli.aws.emr_serverless import STATES, state_of
from cli.aws.run_state import RunState
from cli.billing.sizing import fleet
from cli.errors import UsageError
from cli.infra.deploy import Deployed
from cli.targets.emr_serverless.plan import plan, scheduled
from cli.targets.emr_serverless.policy import session_policy
from job.contract.params import Params

SERVICE = botocore.session.get_session().get_service_model("emr-serverless")
BUCKET = "fruitsctl-111122223333-eu-west-3"
KEY = "arn:aws:kms:eu-west-3:111122223333:key/0a1b2c3d-0000-4000-8000-123456789abc"
DEPLOYED = Deployed(
    region="eu-west-3",
    bucket=BUCKET,
    repository_uri="111122223333.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl",
    role_arn="arn:aws:iam::111122223333:role/fruitsctl-base-RuntimeRole-1",
    log_group="/aws/emr-serverless/fruitsctl",
    key_arn=None,
    application_id="00f1abc2de3fgh4i",
    image=None,
)
PARAMS = Params(f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out", "20261121T120000Z-0a1b", cache="/home/me/.cache", variance=0.9)


def request(params=PARAMS, deployed=DEPLOYED, timeout=60, attempts=1):
    return plan(params, deployed, fleet(3, None, None, 16), "fruitsctl", timeout, attempts)


def conf(asked):
    words = asked["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"].split(" ")
    assert set(words[::2]) == {"--conf"}
    return dict(word.split("=", 1) for word in words[1::2])


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("model", ["mobilenet_v2", "mean_colour"])
def test_the_services_own_model_accepts_the_request(key, model):
    asked = request(replace(PARAMS, model=model), replace(DEPLOYED, key_arn=key))

    assert ParamValidator().validate(asked, SERVICE.operation_model("StartJobRun").input_shape).generate_report() == ""


def test_a_schedule_sends_the_same_request_but_for_its_run_id():
    asked = request(deployed=replace(DEPLOYED, key_arn=KEY))
    sent = json.dumps(scheduled(asked, SERVICE.operation_model("StartJobRun").input_shape))
    back = camel_case(json.loads(sent))

    assert sent.count(PARAMS.run_id) == 0
    assert (back["clientToken"], back["name"]) == ("<aws.scheduler.execution-id>", "<aws.scheduler.scheduled-time>")
    assert back["tags"] == {"fruitsctl": "fruitsctl", "run": "<aws.scheduler.scheduled-time>"}
    as_before = json.dumps(back).replace("<aws.scheduler.execution-id>", PARAMS.run_id)
    assert json.loads(as_before.replace("<aws.scheduler.scheduled-time>", PARAMS.run_id)) == asked


def test_members_are_named_as_schedules_name_them_and_keys_of_maps_as_they_are():
    sent = scheduled(request(), SERVICE.operation_model("StartJobRun").input_shape)

    assert {"ApplicationId", "ClientToken", "ExecutionTimeoutMinutes", "RetryPolicy", "Tags"} <= set(sent)
    logs = sent["ConfigurationOverrides"]["MonitoringConfiguration"]["CloudWatchLoggingConfiguration"]
    assert logs["LogTypes"] == {"SPARK_DRIVER": ["STDOUT", "STDERR"]}
    assert list(sent["JobDriver"]["SparkSubmit"]) == ["EntryPoint", "EntryPointArguments", "SparkSubmitParameters"]
    assert json.loads(sent["ExecutionIamPolicy"]["Policy"])["Version"] == "2012-10-17"


def camel_case(value):
    if isinstance(value, dict):
        return {name if name.isupper() else name[0].lower() + name[1:]: camel_case(item) for name, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def test_every_state_of_the_service_is_mapped():
    """A state that AWS adds fails here, not in a user's terminal."""
    assert set(SERVICE.shape_for("JobRunState").enum) == set(STATES)


def test_only_three_states_are_an_end_and_cancelling_is_none():
    assert {name for name, state in STATES.items() if state.ended} == {"SUCCESS", "FAILED", "CANCELLED"}
    assert STATES["CANCELLING"] == RunState.RUNNING


def test_the_request_names_run_time_limit_and_attempts_but_no_image():
    asked = request(timeout=45, attempts=2)

    assert asked["clientToken"] == asked["name"] == "20261121T120000Z-0a1b"
    assert asked["executionTimeoutMinutes"] == 45
    assert (asked["mode"], asked["retryPolicy"]) == ("BATCH", {"maxAttempts": 2})
    assert asked["tags"] == {"fruitsctl": "fruitsctl", "run": "20261121T120000Z-0a1b"}
    assert asked["jobDriver"]["sparkSubmit"]["entryPoint"] == "local:///opt/fruits/run_job.py"
    assert "sha256" not in json.dumps(asked)


def test_the_job_gets_the_images_weights_and_cache_not_this_machines():
    arguments = request()["jobDriver"]["sparkSubmit"]["entryPointArguments"]

    assert "--cache=/opt/fruits/cache" in arguments
    assert "--weights=/opt/fruits/cache/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5" in arguments
    assert "--variance=0.9" in arguments
    assert Params.from_argv(arguments).output == f"s3://{BUCKET}/out"


def test_driver_and_executors_run_the_images_python_in_the_applications_region():
    settings = conf(request())

    python = "/opt/fruits/venv/bin/python"
    assert settings["spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON"] == python
    assert settings["spark.emr-serverless.driverEnv.PYSPARK_PYTHON"] == python
    assert settings["spark.executorEnv.PYSPARK_PYTHON"] == python
    assert settings["spark.emr-serverless.driverEnv.AWS_REGION"] == settings["spark.executorEnv.AWS_REGION"] == "eu-west-3"
    assert settings["spark.executorEnv.OMP_NUM_THREADS"] == "1"
    assert "spark.jars" not in settings
    assert settings["spark.sql.catalogImplementation"] == "in-memory"
    assert settings["spark.dynamicAllocation.maxExecutors"] == "3"
    assert "spark.jars.packages" not in settings


def test_small_tables_get_as_many_tasks_as_there_are_cores_not_sparks_200_and_deltas_50():
    for executors, quota, cores in ((3, 16, "12"), (1, 16, "4"), (7, 32, "28")):
        settings = conf(plan(PARAMS, DEPLOYED, fleet(executors, None, None, quota), "fruitsctl", 60))

        assert settings["spark.sql.shuffle.partitions"] == settings["spark.default.parallelism"] == cores


def test_logs_go_to_the_bucket_and_the_log_group_with_the_key_and_to_no_bucket_of_aws():
    watched = request(deployed=replace(DEPLOYED, key_arn=KEY))["configurationOverrides"]["monitoringConfiguration"]

    assert watched == {
        "s3MonitoringConfiguration": {"logUri": f"s3://{BUCKET}/logs/", "encryptionKeyArn": KEY},
        "cloudWatchLoggingConfiguration": {
            "enabled": True,
            "logGroupName": "/aws/emr-serverless/fruitsctl",
            "logTypes": {"SPARK_DRIVER": ["STDOUT", "STDERR"]},
            "encryptionKeyArn": KEY,
        },
        "managedPersistenceMonitoringConfiguration": {"enabled": False},
    }


@pytest.mark.parametrize(
    ("params", "deployed", "said"),
    [
        (replace(PARAMS, input="file:///photos"), DEPLOYED, "`/photos` is not accessible from the service: it reads S3 only"),
        (replace(PARAMS, weights="/w.h5"), DEPLOYED, "`--weights` cannot be used with --serverless"),
        (replace(PARAMS, run_id="a b"), DEPLOYED, "`a b` is not a valid run id"),
        (PARAMS, replace(DEPLOYED, application_id=None), "there is no application yet"),
    ],
)
def test_what_cannot_be_sent_is_refused(params, deployed, said):
    with pytest.raises(UsageError) as refused:
        request(params, deployed)

    assert str(refused.value) == said


def statements(source, target, deployed=DEPLOYED):
    return json.loads(session_policy(source, target, deployed))["Statement"]


def test_a_run_lists_and_reads_its_input_and_writes_its_output_and_nothing_else_of_the_bucket():
    listing, reading, writing, logging, *_ = statements(f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out")

    assert listing["Resource"] == f"arn:aws:s3:::{BUCKET}"
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["photos", "photos/*", "out", "out/*"]}}
    assert (reading["Action"], reading["Resource"]) == ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/photos/*")
    assert writing["Resource"] == f"arn:aws:s3:::{BUCKET}/out/*"
    assert set(writing["Action"]) == {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    }
    assert (logging["Action"], logging["Resource"]) == ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/logs/*")


def test_input_and_output_in_two_buckets_are_listed_each_by_its_own_prefix():
    first, second, *_ = statements("s3://raw-photos/2026", f"s3://{BUCKET}/out")

    assert (first["Resource"], first["Condition"]["StringLikeIfExists"]["s3:prefix"]) == ("arn:aws:s3:::raw-photos", ["2026", "2026/*"])
    assert (second["Resource"], second["Condition"]["StringLikeIfExists"]["s3:prefix"]) == (f"arn:aws:s3:::{BUCKET}", ["out", "out/*"])


def test_a_whole_bucket_as_input_is_listed_without_a_prefix():
    first, _, reading, *_ = statements("s3://raw-photos", f"s3://{BUCKET}/out")

    assert "Condition" not in first
    assert reading["Resource"] == "arn:aws:s3:::raw-photos/*"


def test_a_star_in_a_prefix_is_no_wildcard():
    listing, reading, *_ = statements(f"s3://{BUCKET}/a*b", f"s3://{BUCKET}/out")

    assert reading["Resource"] == f"arn:aws:s3:::{BUCKET}/a${{*}}b/*"
    assert listing["Condition"]["StringLikeIfExists"]["s3:prefix"][0] == "a${*}b"


def test_no_statement_allows_everything_and_the_key_comes_only_with_a_key():
    for key in (None, KEY):
        found = statements(f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out", replace(DEPLOYED, key_arn=key))
        assert not any("*" in (statement["Action"], statement["Resource"]) for statement in found)
        assert any("kms:Decrypt" in statement["Action"] for statement in found) == bool(key)


def test_a_policy_that_aws_would_refuse_for_its_length_is_refused_here():
    assert len(session_policy(f"s3://{BUCKET}/photos", f"s3://{BUCKET}/out", DEPLOYED)) == 1021
    with pytest.raises(UsageError, match=r"has `\d{4}` characters, the limit is 2048"):
        session_policy(f"s3://{BUCKET}/{'p' * 300}", f"s3://{BUCKET}/{'o' * 300}", DEPLOYED)


def test_a_state_that_is_new_to_this_version_is_waited_for():
    assert state_of({"state": "PAUSED"}) is RunState.RUNNING
    assert not state_of({"state": "PAUSED"}).ended
    assert state_of({"state": "SUCCESS"}).ended
