"""What a local Spark inherits from the shell."""

import os
from pathlib import Path

import pytest

import cli
from cli.targets.local.environment import for_spark, ignored

ROOT = str(Path(cli.__file__).parents[1])
SHELL = {"HOME": "/home/a", "PATH": "/bin", "SPARK_SUBMIT_OPTS": "-Xss4m", "PYTHONUNBUFFERED": "1", "FRUITS_MASTER": "local[2]"}


@pytest.mark.parametrize(
    "name",
    [
        "SPARK_HOME",
        "SPARK_CONF_DIR",
        "SPARK_REMOTE",
        "SPARK_DIST_CLASSPATH",
        "SPARK_LOCAL_IP",
        "PYSPARK_SUBMIT_ARGS",
        "PYSPARK_PYTHON",
        "PYSPARK_DRIVER_PYTHON",
        "PYSPARK_DRIVER_PYTHON_OPTS",
        "PYSPARK_GATEWAY_PORT",
        "HADOOP_CONF_DIR",
        "YARN_CONF_DIR",
        "PYTHONPATH",
        "PYTHONHOME",
    ],
)
def test_a_variable_of_another_spark_is_named_and_not_inherited(name):
    assert ignored(SHELL | {name: "/opt/other"}) == [name]
    assert for_spark(SHELL | {name: "/opt/other"}) == SHELL | {"LC_ALL": "C.UTF-8"}


def test_other_variables_are_inherited_but_for_the_locale():
    assert ignored(SHELL) == []
    assert for_spark(SHELL | {"LC_ALL": "fr_XX", "LANG": "fr_XX"}) == SHELL | {"LC_ALL": "C.UTF-8", "LANG": "fr_XX"}


def test_the_job_is_imported_from_where_the_command_was():
    paths = os.pathsep.join(["/opt/other", os.path.relpath(ROOT)])

    assert for_spark({"PYTHONPATH": paths})["PYTHONPATH"] == ROOT
    assert ignored({"PYTHONPATH": paths}) == ["PYTHONPATH"]
    assert ignored({"PYTHONPATH": ROOT}) == []


def test_spark_settings_are_given_on_purpose_only():
    given = {"PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell", "FRUITS_SUBMIT_ARGS": "--conf a=b pyspark-shell"}

    assert for_spark(given)["PYSPARK_SUBMIT_ARGS"] == "--conf a=b pyspark-shell"
