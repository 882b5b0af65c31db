"""One rule after the other, on the facts of an image that breaks it. The real images are in tests/container."""

from copy import deepcopy
from dataclasses import replace

import pytest

from cli.container.facts import SECRET_CONTENT, SECRET_NAMES, Files, ImageFacts
from cli.container.rules import judge
from cli.settings.release import MODEL
from job.contract.records import Outcome

ENV = [
    "JAVA_HOME=/etc/alternatives/jre",
    "SPARK_HOME=/usr/lib/spark",
    "PYSPARK_PYTHON=/opt/fruits/venv/bin/python",
    "PYSPARK_DRIVER_PYTHON=/opt/fruits/venv/bin/python",
]
LABELS = {
    "org.opencontainers.image.base.name": "public.ecr.aws/emr-serverless/spark/emr-7.13.0:latest",
    "fruitsctl.release": "emr-7.13.0",
    "fruitsctl.model": MODEL,
}
CONFIG = {"User": "hadoop:hadoop", "WorkingDir": "/home/hadoop", "Entrypoint": ["/usr/bin/entrypoint.sh"], "Env": ENV, "Labels": LABELS}
FILES = Files({"/usr/lib/spark/jars/a.jar": 10, "/usr/bin/bash": 20}, frozenset(), frozenset({"/usr/bin/su"}), frozenset())
GOOD = ImageFacts(
    "fruitsctl:serverless",
    {"Architecture": "amd64", "Size": 3_800_000_000, "Config": CONFIG, "RootFS": {"Layers": ["a", "b", "c"]}},
    {"Architecture": "amd64", "Size": 2_000_000_000, "Config": CONFIG, "RootFS": {"Layers": ["a", "b"]}},
    FILES,
    FILES,
    {
        "python": "3.11.9",
        "machine": "amd64",
        "spark": "3.5.6+amzn.0",
        "modules": {"pyspark": "/usr/lib/spark/python/pyspark/__init__.py", "tensorflow": "/opt/fruits/venv/tensorflow/__init__.py"},
        "model": {"fingerprint": MODEL, "difference": 1e-6, "photos": 1, "finite": True},
    },
    Outcome("check", 0, "done", "3 rows, k = 1"),
)


def broken(facts):
    return {check.name for check in judge(facts) if not check.ok}


def changed(**config):
    values = deepcopy(GOOD.config)
    for name, value in config.items():
        (values["Config"] if name in CONFIG else values)[name] = value
    return replace(GOOD, config=values)


def probed(**values):
    return replace(GOOD, probe={**GOOD.probe, **values})


def test_a_good_image_breaks_no_rule():
    assert broken(GOOD) == set()


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (changed(User=""), "user"),
        (changed(WorkingDir="/"), "working directory"),
        (changed(Entrypoint=None), "entrypoint"),
        (changed(Env=[*ENV[1:], "JAVA_HOME=/usr/lib/jvm/java-21"]), "JAVA_HOME"),
        (changed(Env=[*ENV[:2], "PYSPARK_PYTHON=/usr/bin/python3", ENV[3]]), "PYSPARK_PYTHON"),
        (changed(Architecture="arm64"), "architecture"),
        (changed(Descriptor={"mediaType": "application/vnd.oci.image.index.v1+json"}), "one manifest"),
        (changed(Labels={**LABELS, "fruitsctl.release": "emr-7.12.0"}), "release"),
        (changed(RootFS={"Layers": ["x", "b", "c"]}), "base"),
        (changed(Size=3_900_000_001), "size"),
        (replace(GOOD, files=replace(FILES, contract={"/usr/bin/bash": 20})), "files of the base"),
        (replace(GOOD, files=replace(FILES, contract={**FILES.contract, "/usr/bin/bash": 21})), "files of the base"),
        (replace(GOOD, files=replace(FILES, contract={**FILES.contract, "/usr/lib/spark/jars/b.jar": 1})), "Spark's jars"),
        (replace(GOOD, files=replace(FILES, hidden=frozenset({"/tmp/a"}))), "no files where EMR mounts"),
        (replace(GOOD, files=replace(FILES, setuid=frozenset({"/opt/fruits/su"}))), "setuid"),
        (replace(GOOD, files=replace(FILES, writable=frozenset({"/opt/fruits/app"}))), "write protection"),
        (probed(python="3.9.20"), "Python"),
        (probed(spark="3.5.5"), "Spark"),
        (probed(modules={**GOOD.probe["modules"], "tensorflow": "error: ImportError: no"}), "imports"),
        (probed(modules={"pyspark": "/opt/fruits/venv/lib/python3.11/site-packages/pyspark/__init__.py"}), "one pyspark"),
        (probed(model="error: FileNotFoundError: no model"), "model"),
        (probed(model={**GOOD.probe["model"], "difference": 0.4}), "model"),
        (probed(model={**GOOD.probe["model"], "difference": float("nan")}), "model"),
        (probed(model={**GOOD.probe["model"], "finite": False}), "photos"),
        (replace(GOOD, job=Outcome("check", 1, "JobError", "no jars")), "a whole run"),
        (replace(GOOD, secrets=("/root/.aws/credentials",)), "no credentials"),
    ],
)
def test_what_breaks_a_rule_breaks_only_that_one(facts, rule):
    assert broken(facts) == {rule}


def test_without_its_base_nothing_is_taken_for_granted():
    facts = replace(GOOD, base=None, base_files=None)

    assert {"base", "files of the base", "entrypoint", "JAVA_HOME"} <= broken(facts)


def test_a_python_that_does_not_start_is_said():
    facts = replace(GOOD, probe={"error": "exec format error"})

    found = {check.name: check.found for check in judge(facts)}
    assert "exec format error" in found["Python"]
    assert {"Python", "imports", "model", "architecture"} <= broken(facts)


def test_credentials_are_known_by_name_and_content_but_not_the_examples_of_the_documentation():
    assert SECRET_NAMES.search("home/hadoop/.aws/credentials")
    assert SECRET_CONTENT.search(b'key = "AKIA' + b"Z" * 16 + b'"')
    assert SECRET_CONTENT.search(b"aws_secret_access_key = " + b"k" * 40)
    assert not SECRET_CONTENT.search(b"AKIAIOSFODNN7EXAMPLE")
    assert not SECRET_CONTENT.search(b"aws_secret_access_key = os.environ[name]")
