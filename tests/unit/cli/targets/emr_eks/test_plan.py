"""EMR on EKS: the request, checked against botocore's model; its states; the role's trust; the image's label, asked of an HTTP registry."""

from dataclasses import replace

import botocore.session
import pytest
from botocore.validate import ParamValidator

from cli.aws.run_state import RunState
from cli.billing.sizing import Fleet, Worker
from cli.errors import FruitsError, RefusedError, UsageError
from cli.targets.emr_eks.image import check_target
from cli.targets.emr_eks.options import EksOptions
from cli.targets.emr_eks.plan import STATES, plan
from cli.targets.emr_eks.trust import base36, trust_policy
from job.contract.params import Params
from tests.image_registry import image_registry

DIGEST = "sha256:" + "0a" * 32
OPTIONS = EksOptions(
    virtual_cluster="abc123def456",
    execution_role="arn:aws:iam::111122223333:role/fruits-eks",
    image=f"111122223333.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl@{DIGEST}",
    log_group="/aws/emr-containers/fruitsctl",
)
PARAMS = Params("s3://bucket/photos", "s3://bucket/out", "20261121T080000Z-41a4", variance=0.9)
PLACE = ("eu-west-3", "fruitsctl")  # Region and project
FLEET = Fleet(Worker(2, 8), Worker(2, 8), 3)


@pytest.fixture(scope="module")
def service():
    return botocore.session.get_session().get_service_model("emr-containers")


def conf(request):
    words = request["jobDriver"]["sparkSubmitJobDriver"]["sparkSubmitParameters"].removeprefix("--conf ").split(" --conf ")
    return dict(word.split("=", 1) for word in words)


def test_the_request_is_one_that_the_service_takes(service):
    for options in (OPTIONS, replace(OPTIONS, log_group=None)):
        report = ParamValidator().validate(plan(PARAMS, options, FLEET, *PLACE), service.operation_model("StartJobRun").input_shape)

        assert not report.has_errors(), report.generate_report()


def test_the_request_is_this_one():
    request = plan(PARAMS, OPTIONS, FLEET, *PLACE)

    driver = request["jobDriver"].pop("sparkSubmitJobDriver")
    assert driver["entryPoint"] == "local:///opt/fruits/run_job.py"
    given = Params.from_argv(driver["entryPointArguments"])
    assert (given.input, given.output, given.variance, given.cache) == ("s3://bucket/photos", "s3://bucket/out", 0.9, "/opt/fruits/cache")
    assert given.weights.startswith("/opt/fruits/cache/weights/mobilenet_v2_")
    assert request == {
        "virtualClusterId": "abc123def456",
        "clientToken": "20261121T080000Z-41a4",
        "name": "20261121T080000Z-41a4",
        "executionRoleArn": "arn:aws:iam::111122223333:role/fruits-eks",
        "releaseLabel": "emr-7.13.0-latest",
        "jobDriver": {},
        "configurationOverrides": {
            "monitoringConfiguration": {
                "managedLogs": {"allowAWSToRetainLogs": "DISABLED"},
                "persistentAppUI": "DISABLED",
                "s3MonitoringConfiguration": {"logUri": "s3://bucket/logs/"},
                "cloudWatchMonitoringConfiguration": {
                    "logGroupName": "/aws/emr-containers/fruitsctl",
                    "logStreamNamePrefix": "20261121T080000Z-41a4",
                },
            }
        },
        "retryPolicyConfiguration": {"maxAttempts": 1},
        "tags": {"fruitsctl": "fruitsctl", "run": "20261121T080000Z-41a4"},
    }


def test_pods_are_as_large_as_the_workers_and_as_many():
    found = conf(plan(PARAMS, OPTIONS, FLEET, *PLACE))

    assert (found["spark.executor.instances"], found["spark.default.parallelism"], found["spark.sql.shuffle.partitions"]) == ("3", "6", "6")
    # 8,192 MB less two Python workers of 400 are 7,392; / 1.1 = 6,720; the factor 0.2190 is rounded down: 8,192 / 1.219 = 6,720
    for role in ("driver", "executor"):
        assert found[f"spark.{role}.cores"] == "2"
        assert (found[f"spark.{role}.memory"], found[f"spark.{role}.memoryOverhead"]) == ("6720m", "1472m")


def test_the_image_its_python_and_the_region_are_set_on_both_sides():
    found = conf(plan(PARAMS, OPTIONS, FLEET, *PLACE))

    assert found["spark.kubernetes.container.image"] == OPTIONS.image
    for name in ("spark.kubernetes.driverEnv.", "spark.executorEnv."):
        assert found[f"{name}PYSPARK_PYTHON"] == "/opt/fruits/venv/bin/python"
        assert found[f"{name}AWS_REGION"] == "eu-west-3"
    assert found["spark.sql.catalogImplementation"] == "in-memory"


@pytest.mark.parametrize(
    ("params", "options", "said"),
    [
        (replace(PARAMS, input="file:///photos"), OPTIONS, "`/photos` is not accessible from the cluster"),
        (replace(PARAMS, weights="/w.h5"), OPTIONS, "`--weights` cannot be used with --eks"),
        (replace(PARAMS, run_id="a b"), OPTIONS, "`a b` is not a valid run id"),
        (PARAMS, replace(OPTIONS, execution_role="fruits-eks"), "`fruits-eks` is not the ARN of a role"),
        (PARAMS, replace(OPTIONS, image="fruitsctl:eks"), "image `fruitsctl:eks` has no digest"),
    ],
)
def test_what_cannot_run_there_is_refused_before_anything_is_sent(params, options, said):
    with pytest.raises(UsageError) as error:
        plan(params, options, FLEET, *PLACE)
    assert str(error.value).startswith(said)


def test_every_state_of_the_service_is_mapped(service):
    assert set(service.shape_for("JobRunState").enum) == set(STATES)


def test_a_run_that_is_being_cancelled_has_not_ended():
    assert {name for name, state in STATES.items() if state.ended} == {"COMPLETED", "FAILED", "CANCELLED"}
    assert STATES["CANCEL_PENDING"] is RunState.RUNNING


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("", "0"), ("a", "2p"), ("abcdefghijkl", "2x6xx5ubcrus4bplmr0")],  # the last as AWS's own command line has it
)
def test_a_role_name_is_encoded_as_emr_does(text, encoded):
    assert base36(text) == encoded


def test_the_role_trusts_the_pods_of_its_own_jobs_in_one_namespace_only():
    issuer = "https://oidc.eks.eu-west-3.amazonaws.com/id/ABC"

    assert trust_policy("aws", "111122223333", issuer, "fruits", "abcdefghijkl") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-3.amazonaws.com/id/ABC"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {"oidc.eks.eu-west-3.amazonaws.com/id/ABC:aud": "sts.amazonaws.com"},
                    "StringLike": {
                        "oidc.eks.eu-west-3.amazonaws.com/id/ABC:sub": (
                            "system:serviceaccount:fruits:emr-containers-sa-*-*-111122223333-2x6xx5ubcrus4bplmr0"
                        )
                    },
                },
            }
        ],
    }


@pytest.fixture
def registry():
    with image_registry() as image:
        yield image


@pytest.mark.parametrize(
    ("labels", "target"), [({"fruitsctl.target": "serverless"}, "serverless"), ({}, "another target"), (None, "another target")]
)
def test_an_image_for_another_target_is_refused(registry, labels, target):
    image = registry(labels)

    with pytest.raises(UsageError) as error:
        check_target(None, image)
    assert str(error.value) == f"`{image}` was built for `{target}`, not for EMR on EKS"


def test_an_image_for_eks_is_taken(registry):
    check_target(None, registry({"fruitsctl.target": "eks"}))


def test_an_image_that_is_not_there_is_named(registry):
    image = registry({"fruitsctl.target": "eks"}).split("@")[0]

    with pytest.raises(UsageError, match="cannot find a single image"):
        check_target(None, f"{image}@{DIGEST}")


def test_a_registry_that_does_not_answer_is_named(closed_url):
    host = closed_url.split("/")[2]

    with pytest.raises(FruitsError, match=f"no response from `{host}`"):
        check_target(None, f"{host}/fruitsctl@{DIGEST}")


def test_a_registry_outside_the_union_is_not_asked():
    with pytest.raises(RefusedError):
        check_target(None, f"111122223333.dkr.ecr.us-east-1.amazonaws.com/fruitsctl@{DIGEST}")
