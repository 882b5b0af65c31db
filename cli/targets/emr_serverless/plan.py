"""
Params, what is deployed and a fleet in; the exact StartJobRun request out. Pure, nothing is sent.

The request has no image: that is the application's. https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.billing.sizing import Fleet, spark_conf, task_conf
from cli.errors import UsageError
from cli.targets.emr.request import PYTHON, check_run_id, inside_image, submit_parameters
from cli.targets.emr_serverless.policy import session_policy
from cli.targets.local.process import ENTRY_POINT
from job.contract.params import Params

if TYPE_CHECKING:
    from cli.infra.deploy import Deployed

# What EventBridge Scheduler replaces in the input of a target:
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
SCHEDULED_TIME, EXECUTION_ID = "<aws.scheduler.scheduled-time>", "<aws.scheduler.execution-id>"


def plan(params: Params, deployed: Deployed, fleet: Fleet, project: str, timeout_minutes: int, attempts: int = 1) -> dict[str, Any]:
    """
    Return the request. The run id is the clientToken too: the same run sent twice is one run.

    Raises:
        UsageError: INPUT or OUTPUT is not on S3, the run id is not a valid token, there is no application, or the session policy is too
            long.
    """
    inside = inside_image(params, "--serverless", "the service")
    check_run_id(params.run_id)
    if deployed.application_id is None:
        raise UsageError("there is no application yet", "push an image, then run `fruitsctl infra up`")
    spark_submit = {
        "entryPoint": f"local://{ENTRY_POINT}",
        "entryPointArguments": inside.to_argv(),
        "sparkSubmitParameters": submit_parameters({**image_conf(deployed.region), **spark_conf(fleet), **task_conf(fleet)}),
    }
    return {
        "applicationId": deployed.application_id,
        "clientToken": params.run_id,
        "name": params.run_id,
        "executionRoleArn": deployed.role_arn,
        "executionIamPolicy": {"policy": session_policy(params.input, params.output, deployed)},
        "jobDriver": {"sparkSubmit": spark_submit},
        "configurationOverrides": {"monitoringConfiguration": monitoring(deployed)},
        "tags": {"fruitsctl": project, "run": params.run_id},
        "executionTimeoutMinutes": timeout_minutes,
        "mode": "BATCH",
        "retryPolicy": {"maxAttempts": attempts},
    }


def scheduled(request: Mapping[str, Any], shape: Any) -> dict[str, Any]:
    """
    Return `request` as the input of a schedule, with a run id for each time.

    A fixed request would run once: the service answers the same token with the same run. Name, tag and argument have the time, of which the
    job makes the run id. A token may have no colons, so it is the id of the execution.

    Args:
        request: from `plan`.
        shape: botocore's of the input of StartJobRun. Schedules name its members in PascalCase; keys of maps stay as they are.
    """
    old = request["name"]
    spark = request["jobDriver"]["sparkSubmit"]
    arguments = [f"--run-id={SCHEDULED_TIME}" if word == f"--run-id={old}" else word for word in spark["entryPointArguments"]]
    assert arguments != spark["entryPointArguments"]
    changed = {
        **request,
        "clientToken": EXECUTION_ID,
        "name": SCHEDULED_TIME,
        "tags": {**request["tags"], "run": SCHEDULED_TIME},
        "jobDriver": {"sparkSubmit": {**spark, "entryPointArguments": arguments}},
    }
    named: dict[str, Any] = _pascal_case(changed, shape)
    return named


def _pascal_case(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        return {name[0].upper() + name[1:]: _pascal_case(item, shape.members[name]) for name, item in value.items()}
    if shape.type_name == "list":
        return [_pascal_case(item, shape.member) for item in value]
    if shape.type_name == "map":
        return {name: _pascal_case(item, shape.value) for name, item in value.items()}
    return value


def image_conf(region: str) -> dict[str, str]:
    """Return Spark settings for the image: its Python in all three places, one thread per Python worker."""
    variables = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    driver = {"PYSPARK_DRIVER_PYTHON": PYTHON, "PYSPARK_PYTHON": PYTHON, "PYTHONUNBUFFERED": "1", **variables}
    executor = {"PYSPARK_PYTHON": PYTHON, **variables}
    return {
        **{f"spark.emr-serverless.driverEnv.{name}": value for name, value in driver.items()},
        **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        "spark.sql.catalogImplementation": "in-memory",  # tables are found by path: neither Glue nor Hive is asked
    }


def monitoring(deployed: Deployed) -> dict[str, Any]:
    """Return where logs go: the driver's to CloudWatch, live; all to the bucket; never to buckets of AWS."""
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
