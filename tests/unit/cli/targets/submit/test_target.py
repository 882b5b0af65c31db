"""Which spark-submit a run takes, and what it is given."""

import sys

import pytest

from cli.errors import UsageError
from cli.settings.config import settings
from cli.targets.submit.target import plan_master, spark_submit
from job.contract.params import Params

PARAMS = Params("file:///photos", "file:///out", "r1", model="mean_colour")


def program(folder):
    folder.mkdir(parents=True)
    (folder / "spark-submit").write_text("#!/bin/sh\n")
    (folder / "spark-submit").chmod(0o755)
    return str(folder / "spark-submit")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No Spark on PATH, beside Python or in SPARK_HOME."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "bin" / "python"))
    monkeypatch.delenv("SPARK_HOME", raising=False)


def test_without_a_program_the_error_says_what_to_install(nowhere):
    with pytest.raises(UsageError, match="there is no `spark-submit` on this machine"):
        spark_submit(settings())


def test_the_program_of_spark_home_comes_before_path_and_that_before_the_extra(nowhere, tmp_path, monkeypatch):
    beside = program(tmp_path / "python" / "bin")
    assert spark_submit(settings()) == beside

    on_path = program(tmp_path / "empty")
    assert spark_submit(settings()) == on_path

    own = program(tmp_path / "spark" / "bin")
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    assert spark_submit(settings()) == own


def test_driver_and_workers_have_this_installation_and_one_thread_each(tmp_path):
    todo = plan_master(PARAMS, "spark://host:7077", "spark-submit", "3g", tmp_path / "job.log")

    assert todo.command[:5] == ["spark-submit", "--master", "spark://host:7077", "--driver-memory", "3g"]
    root = todo.environment["PYTHONPATH"]
    for name, value in (("PYTHONPATH", root), ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")):
        assert f"spark.executorEnv.{name}={value}" in todo.command
        assert todo.environment[name] == value
    assert todo.command[-len(PARAMS.to_argv()) - 1 :] == [f"{root}/job/__main__.py", *PARAMS.to_argv()]
    assert todo.environment["PYSPARK_PYTHON"] == sys.executable
