"""
Params, a fleet and where to run in; the exact StartJobRun request of EMR on EKS out. Pure, nothing is sent.

The image is in the request, unlike EMR Serverless; there is no timeout, and AWS bills nodes, not the run.
https://docs.aws.amazon.com/emr-on-eks/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

import re
from typing import Any

from cli.aws.run_state import RunState
from cli.billing.sizing import Fleet, Worker, overhead_factor, task_conf
from cli.errors import UsageError
from cli.settings.release import RELEASE
from cli.targets.emr.request import PYTHON, check_run_id, inside_image, submit_parameters
from cli.targets.emr_eks.options import EksOptions
from cli.targets.local.process import ENTRY_POINT
from job.contract.params import Params
from job.contract.uris import bucket_and_key

STATES = {  # https://docs.aws.amazon.com/emr/latest/EMR-on-EKS-DevelopmentGuide/job-runs.html#emr-eks-jobs-states
    "PENDING": RunState.PENDING,
    "SUBMITTED": RunState.PENDING,
    "RUNNING": RunState.RUNNING,
    "CANCEL_PENDING": RunState.RUNNING,  # not over: its pods are still there
    "COMPLETED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}

ROLE = re.compile(r"arn:aws[a-zA-Z0-9-]*:iam::\d{12}:role/.+")
IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def plan(params: Params, options: EksOptions, fleet: Fleet, region: str, project: str) -> dict[str, Any]:
    """
    Return the request for complete `options`. The run id is the clientToken too: the same run sent twice is one run.

    Raises:
        UsageError: INPUT or OUTPUT is not on S3, or the service does not accept a name.
    """
    inside = inside_image(params, "--eks", "the cluster")
    _check_names(params, options)
    driver = {
        "entryPoint": f"local://{ENTRY_POINT}",
        "entryPointArguments": inside.to_argv(),
        "sparkSubmitParameters": submit_parameters({**image_conf(str(options.image), region), **kubernetes_conf(fleet)}),
    }
    return {
        "virtualClusterId": options.virtual_cluster,
        "clientToken": params.run_id,
        "name": params.run_id,
        "executionRoleArn": options.execution_role,
        "releaseLabel": f"{RELEASE}-latest",
        "jobDriver": {"sparkSubmitJobDriver": driver},
        "configurationOverrides": {"monitoringConfiguration": monitoring(params, options)},
        "retryPolicyConfiguration": {"maxAttempts": options.attempts},
        "tags": {"fruitsctl": project, "run": params.run_id},
    }


def image_conf(image: str, region: str) -> dict[str, str]:
    """Return Spark settings for the image: its Python on both sides, its jars, one thread per Python worker."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    variables = {"PYSPARK_PYTHON": PYTHON, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, **threads}
    driver = {**variables, "PYSPARK_DRIVER_PYTHON": PYTHON, "PYTHONUNBUFFERED": "1"}
    return {
        "spark.kubernetes.container.image": image,
        "spark.pyspark.python": PYTHON,
        "spark.pyspark.driver.python": PYTHON,
        **{f"spark.kubernetes.driverEnv.{name}": value for name, value in driver.items()},
        **{f"spark.executorEnv.{name}": value for name, value in variables.items()},
        "spark.sql.catalogImplementation": "in-memory",  # tables are found by path: neither Glue nor Hive is asked
    }


def kubernetes_conf(fleet: Fleet) -> dict[str, str]:
    """Return settings for as many pods as the fleet has workers, each as large. The overhead is in megabytes, not rounded up."""
    executors = str(fleet.max_executors)
    return {
        **_pod("driver", fleet.driver, fleet),
        **_pod("executor", fleet.executor, fleet),
        "spark.executor.instances": executors,
        "spark.dynamicAllocation.enabled": "false",
        "spark.default.parallelism": str(fleet.max_executors * fleet.executor.vcpu),
        **task_conf(fleet),
    }


def monitoring(params: Params, options: EksOptions) -> dict[str, Any]:
    """Return where logs go: the bucket of OUTPUT, and CloudWatch if there is a log group; never buckets of AWS."""
    group = {"logGroupName": options.log_group, "logStreamNamePrefix": params.run_id}
    return {
        "managedLogs": {"allowAWSToRetainLogs": "DISABLED"},
        "persistentAppUI": "DISABLED",
        "s3MonitoringConfiguration": {"logUri": log_uri(params)},
        **({"cloudWatchMonitoringConfiguration": group} if options.log_group else {}),
    }


def log_uri(params: Params) -> str:
    return f"s3://{bucket_and_key(params.output)[0]}/logs/"


def _check_names(params: Params, options: EksOptions) -> None:
    check_run_id(params.run_id)
    if not ROLE.fullmatch(str(options.execution_role)):
        raise UsageError(
            f"`{options.execution_role}` is not the ARN of a role", "give an ARN such as arn:aws:iam::111122223333:role/fruits-eks"
        )
    if not IMAGE.fullmatch(str(options.image)):
        raise UsageError(f"image `{options.image}` has no digest", "give the image as printed by `fruitsctl image push`: …@sha256:…")


def _pod(role: str, worker: Worker, fleet: Fleet) -> dict[str, str]:
    memory_mb = worker.memory_gb * 1024
    heap_mb = int(memory_mb / (1 + overhead_factor(fleet.executor)))
    return {
        f"spark.{role}.cores": str(worker.vcpu),
        f"spark.{role}.memory": f"{heap_mb}m",
        f"spark.{role}.memoryOverhead": f"{memory_mb - heap_mb}m",
    }
