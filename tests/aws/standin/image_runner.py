"""
Carries a job run out in the real image, by `docker run` and the image's own spark-submit.

Entry point, arguments and Spark parameters are the request's, word for word. Five things differ from the service, each added behind
them: master `local[2]`, the driver's memory, no dynamic allocation, no compiling of queries, where S3 is. There are no executors: the
driver's environment, `spark.emr-serverless.driverEnv.*`, is that of the Python workers too, with `spark.executorEnv.*` beside it.
"""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import IO, Any

from cli.container.docker import inspect_image
from tests.aws.standin.images import ImageFacts
from tests.aws.standin.runner import Context, Ended

DRIVER, EXECUTOR = "spark.emr-serverless.driverEnv.", "spark.executorEnv."
HERE = (
    "--master",
    "local[2]",
    "--driver-memory",
    "1g",
    "--conf",
    "spark.dynamicAllocation.enabled=false",
    "--conf",
    "spark.ui.enabled=false",
    "--conf",
    "spark.sql.codegen.wholeStage=false",
    "--conf",
    "spark.sql.codegen.factoryMode=NO_CODEGEN",
)
SPARK_SUBMIT = "/usr/lib/spark/bin/spark-submit"  # SPARK_HOME of all EMR images
SHORT_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # for JVMs that live for seconds


class ImageRunner:
    """`image` is a name of the local engine, whatever the application's is. Keys come by the environment, as a role's would."""

    turns = threading.Lock()  # a container takes the machine

    def __init__(self, image: str, s3_endpoint: str, access_key: str, secret_key: str, extra: Mapping[str, str] | None = None) -> None:
        """`extra`: further environment of the job."""
        self.image = image
        self._environment = {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_ENDPOINT_URL_S3": s3_endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SPARK_SUBMIT_OPTS": SHORT_JVM,
            "OMP_NUM_THREADS": "1",
            **(extra or {}),
        }

    def facts(self, uri: str) -> ImageFacts:
        """Architecture and release of the local image, for `Standin.emr.image_facts`."""
        config = inspect_image(self.image)
        labels = config["Config"].get("Labels") or {}
        return ImageFacts({"amd64": "X86_64", "arm64": "ARM64"}.get(config["Architecture"]), labels.get("fruitsctl.release"))

    def __call__(self, request: dict[str, Any], context: Context) -> Ended:
        name = f"fruitsctl-standin-{context.job_run_id}-{context.attempt}"
        driver = request["jobDriver"]["sparkSubmit"]
        words = shlex.split(driver.get("sparkSubmitParameters", ""))
        variables = {**self._environment, "AWS_REGION": context.region, "AWS_DEFAULT_REGION": context.region, **environment(words)}
        # Names only: the values come by docker's own environment and are in no list of processes.
        passed = [word for variable in variables for word in ("--env", variable)]
        submit = ["/opt/fruits/bin/local-spark", SPARK_SUBMIT, *words, *HERE, path(driver["entryPoint"])]
        options = ["--rm", "--name", name, "--network", "host", "--hostname", "localhost", *passed, "--entrypoint", submit[0]]
        command = ["docker", "run", *options, self.image, *submit[1:], *driver.get("entryPointArguments", [])]
        return Ended(run(command, variables, name, context))


def run(command: Sequence[str], variables: Mapping[str, str], name: str, context: Context) -> int:
    """The container's exit code. Told to stop, it gets SIGTERM, and is killed when its grace is over."""
    from cli.settings.config import environment as own

    with subprocess.Popen(
        command, env={**own(), **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as job:
        readers = [
            threading.Thread(target=read, args=(stream, which, context), daemon=True)
            for which, stream in (("stdout", job.stdout), ("stderr", job.stderr))
        ]
        for reader in readers:
            reader.start()
        while job.poll() is None:
            if context.stopping.wait(0.1):
                stop = ["docker", "stop", "--time", str(int(context.grace_seconds)), name]
                subprocess.run(stop, capture_output=True, check=False)
                with suppress(subprocess.TimeoutExpired):  # a container that was still being made could not be stopped
                    job.wait(1)
        for reader in readers:
            reader.join()
        return job.returncode


def read(stream: IO[str], which: str, context: Context) -> None:
    for line in stream:
        context.write(which, line.rstrip("\n"))


def path(entry_point: str) -> str:
    """`local://` is a path in the image; here the driver is there, and it is one of this file system."""
    return entry_point.removeprefix("local://")


def environment(words: Sequence[str]) -> dict[str, str]:
    """What `--conf spark.emr-serverless.driverEnv.X=V` gives the driver, and what executors would have."""
    found: dict[str, dict[str, str]] = {EXECUTOR: {}, DRIVER: {}}
    for option, value in pairwise(words):
        for prefix in found:
            if option == "--conf" and value.startswith(prefix):
                name, _, setting = value.removeprefix(prefix).partition("=")
                found[prefix][name] = setting
    return found[EXECUTOR] | found[DRIVER]
