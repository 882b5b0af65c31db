"""A local run where the shell, the file system or the machine's name is odd: real processes with a JVM."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from tests.e2e.conftest import CLI

FAST = ("--local", "--json", "--model", "mean_colour", "--components", "2")
ROOT = Path(cli.__file__).parents[1]


def rows(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)["counts"]["rows"]


@pytest.fixture
def of_another_spark(tmp_path):
    """What people have in .bashrc."""
    conf, packages = tmp_path / "conf", tmp_path / "packages"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("spark.jars /absent.jar\nspark.hadoop.fs.defaultFS hdfs://absent:9000\n")
    (conf / "core-site.xml").write_text("<configuration>")
    (packages / "pyspark").mkdir(parents=True)
    (packages / "pyspark" / "__init__.py").write_text("raise SystemExit('another Spark')\n")
    return {
        "SPARK_HOME": "/opt/absent-spark",
        "SPARK_CONF_DIR": str(conf),
        "HADOOP_CONF_DIR": str(conf),
        "SPARK_REMOTE": "sc://absent:15002",
        "PYSPARK_SUBMIT_ARGS": "--master yarn --jars /absent.jar pyspark-shell",
        "PYSPARK_PYTHON": "/absent/python",
        "PYSPARK_DRIVER_PYTHON": "jupyter",
        "PYSPARK_DRIVER_PYTHON_OPTS": "lab",
        "PYTHONPATH": f"{packages}:{ROOT}",
    }


def test_nothing_of_another_spark_reaches_a_local_run(fruitsctl, photos, tmp_path, of_another_spark):
    command = [*CLI, "run", str(photos), str(tmp_path / "out"), *FAST]

    done = subprocess.run(command, env=fruitsctl.env | of_another_spark, capture_output=True, text=True, check=False)

    assert rows(done) == 60


def test_doctor_names_what_a_local_run_ignores(fruitsctl, tmp_path, of_another_spark):
    command = [*CLI, "doctor", str(tmp_path / "out"), "--json"]

    done = subprocess.run(command, env=fruitsctl.env | of_another_spark, capture_output=True, text=True, check=False)

    (found,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "environment")
    assert found["ok"]
    names = found["found"].removeprefix("ignored by local runs: ").split(", ")
    assert names == sorted(names)
    assert {*names} >= {*of_another_spark}  # tests that ran before in this process may have started Spark here


@pytest.mark.parametrize("locale", ["C", "fr_XX.UTF-8"])
def test_names_may_have_accents_and_blanks_in_any_locale(fruitsctl, photos, tmp_path, locale):
    output, temporary = tmp_path / "résultats d'été", tmp_path / 'un "dossier" d\'ici'
    temporary.mkdir()
    odd = {"LC_ALL": locale, "TMPDIR": str(temporary), "FRUITS_DRIVER_ROWS": "0"}  # the JVM writes to OUTPUT and to TMPDIR
    command = [*CLI, "run", str(photos), str(output), *FAST]

    done = subprocess.run(command, env=fruitsctl.env | odd, capture_output=True, encoding="utf-8", check=False)

    assert rows(done) == 60
    assert (output / "latest.json").exists()
    assert list(temporary.iterdir()) == []


def test_a_machine_without_a_known_name_or_with_a_noexec_temporary_folder_runs(fruitsctl, photos, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = f'mount -t tmpfs -o noexec tmpfs "{temporary}" && hostname absent.invalid && exec "$@"'
    own = [sys.executable, "-m", "cli", "run", str(photos), str(tmp_path / "out"), *FAST]
    odd = {"TMPDIR": str(temporary), "FRUITS_DRIVER_ROWS": "0"}

    done = subprocess.run(
        ["unshare", "-m", "--uts", "sh", "-c", script, "sh", *own], env=fruitsctl.env | odd, capture_output=True, text=True, check=False
    )

    assert rows(done) == 60
