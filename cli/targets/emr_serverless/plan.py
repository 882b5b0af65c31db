"""
Params, what is deployed and a fleet in; the exact StartJobRun request out. Pure, nothing is sent.

The request has no image: that is the application's. https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cli.billing.sizing import Fleet, spark_conf, task_conf
from cli.errors import UsageError
from cli.photos.assets import KERAS_WEIGHTS_URL
from cli.targets.emr_serverless.policy import session_policy
from cli.targets.local.process import ENTRY_POINT
from job.contract.params import Params
from job.contract.uris import is_s3, shown

if TYPE_CHECKING:
    from cli.infra.deploy import Deployed


# Of the image, see Dockerfile: the service starts spark-submit itself, so the image's own variables may not reach the job.
PYTHON = "/opt/fruits/venv/bin/python"
CACHE = "/opt/fruits/cache"
WEIGHTS = f"{CACHE}/weights/{KERAS_WEIGHTS_URL.rsplit('/', 1)[-1]}"

TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # clientToken's own pattern
LEAST_TIMEOUT_MINUTES, MOST_TIMEOUT_MINUTES = 5, 10_080


@dataclass(frozen=True)
class Options:
    """What the user wants of the service, beside the fleet."""

    project: str
    timeout_minutes: int
    attempts: int = 1


@dataclass(frozen=True)
class Plan:
    """What would be sent."""

    request: dict[str, Any]


def plan(params: Params, deployed: Deployed, fleet: Fleet, options: Options) -> Plan:
    """
    The run id is the clientToken too: the same run sent twice, from wherever, is one run.

    Raises:
        UsageError: INPUT or OUTPUT is not on S3, the run id is no token, there is no application, or the session policy is too long.
    """
    for uri in (params.input, params.output):
        if not is_s3(uri):
            raise UsageError(
                f"`{shown(uri)}` is not accessible from the service: it reads S3 only",
                "upload the photos with `fruitsctl data push FOLDER s3://bucket/photos`",
            )
    if params.weights:
        raise UsageError("`--weights` cannot be used with --serverless", "remove it: the image contains the weights")
    if not TOKEN.fullmatch(params.run_id):
        raise UsageError(f"`{params.run_id}` is not a valid run id", "use up to 64 letters, digits, `.`, `_` and `-`")
    if deployed.application_id is None:
        raise UsageError("there is no application yet", "push an image, then run `fruitsctl infra up`")
    inside = replace(params, cache=CACHE, weights=WEIGHTS if params.model == "mobilenet_v2" else None)
    spark_submit = {
        "entryPoint": f"local://{ENTRY_POINT}",
        "entryPointArguments": inside.to_argv(),
        "sparkSubmitParameters": submit_parameters({**image_conf(deployed.region), **spark_conf(fleet), **task_conf(fleet)}),
    }
    return Plan(
        {
            "applicationId": deployed.application_id,
            "clientToken": params.run_id,
            "name": params.run_id,
            "executionRoleArn": deployed.role_arn,
            "executionIamPolicy": {"policy": session_policy(params.input, params.output, deployed)},
            "jobDriver": {"sparkSubmit": spark_submit},
            "configurationOverrides": {"monitoringConfiguration": monitoring(deployed)},
            "tags": {"fruitsctl": options.project, "run": params.run_id},
            "executionTimeoutMinutes": options.timeout_minutes,
            "mode": "BATCH",
            "retryPolicy": {"maxAttempts": options.attempts},
        }
    )


def image_conf(region: str) -> dict[str, str]:
    """Spark settings that follow from the image: its Python in all three places, one thread per Python worker."""
    variables = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    driver = {"PYSPARK_DRIVER_PYTHON": PYTHON, "PYSPARK_PYTHON": PYTHON, "PYTHONUNBUFFERED": "1", **variables}
    executor = {"PYSPARK_PYTHON": PYTHON, **variables}
    return {
        **{f"spark.emr-serverless.driverEnv.{name}": value for name, value in driver.items()},
        **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        "spark.sql.catalogImplementation": "in-memory",  # tables are found by path: neither Glue nor Hive is asked
    }


def submit_parameters(conf: Mapping[str, str]) -> str:
    """`--conf a=b --conf c=d`. The service splits it at white space, so no value has any."""
    assert not any(re.search(r"\s", value) for value in conf.values())
    return " ".join(f"--conf {name}={value}" for name, value in conf.items())


def monitoring(deployed: Deployed) -> dict[str, Any]:
    """The driver's log to CloudWatch, live; all logs to the bucket; none to buckets of AWS."""
    key = {"encryptionKeyArn": deployed.key_arn} if deployed.key_arn else {}
    return {
        "s3MonitoringConfiguration": {"logUri": f"s3://{deployed.bucket}/logs/", **key},
        "cloudWatchLoggingConfiguration": {
            "enabled": True,
            "logGroupName": deployed.log_group,
            "logTypes": {"SPARK_DRIVER": ["STDOUT", "STDERR"]},
            **key,
        },
        "managedPersistenceMonitoringConfiguration": {"enabled": False},
    }
