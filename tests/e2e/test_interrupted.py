"""Ctrl-C, and a second run while the first one runs, as a user meets them. Kills, each fault alone, are in tests/faults."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from cli.targets.local.java import find_java_home
from job.contract.records import Outcome
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

FAST = ("--model", "mean_colour", "--components", "2")


def test_a_second_run_on_the_same_output_is_refused(fruitsctl, sample, photos, tmp_path):
    first = fruitsctl.start("run", sample, tmp_path, "--local", "--json", "--chunk-images", "20", *FAST)
    wait_until(lambda: (tmp_path / "lease.json").exists())

    refused = fruitsctl("run", photos, tmp_path, "--local", *FAST)
    assert refused.returncode == 3, refused.stderr[-2000:]
    assert "lease" in refused.stderr
    assert "hint: " in refused.stderr
    assert "Traceback" not in refused.stderr

    first.send_signal(signal.SIGINT)
    _, said = first.communicate()
    assert first.returncode == 130
    assert "interrupted" in said
    fruitsctl.run(photos, tmp_path, *FAST)  # the lease was given back


# `fruitsctl run --submit`, as `docker compose up` starts it, by the spark-submit of this machine's Spark.
SUBMIT = """
import sys
from cli.commands import app as main
from cli.targets.local import process as local
local.ENTRY_POINT = sys.argv.pop(1)
main.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_by_spark_submit_that_is_stopped_while_it_embeds_ends_in_good_order(fruitsctl, photos, tmp_path, number, code):
    """`docker compose stop job`: SIGTERM to the command, whose child is the JVM, whose child is the job."""
    java = find_java_home(None)
    environment = {**fruitsctl.env, "SPARK_HOME": str(Path(pyspark.__file__).parent), "JAVA_HOME": str(java.home)}
    environment |= {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    words = ["run", photos, tmp_path, "--submit", "--chunk-images", "1", *FAST]
    command = subprocess.Popen(
        [sys.executable, "-c", SUBMIT, str(ROOT / "docker" / "run_job.py"), *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: len(list(tmp_path.glob("features/_delta_log/*.json"))) > 2, lambda: command.poll() is None)

    command.send_signal(number)
    _, said = command.communicate(timeout=60)

    assert command.returncode == code, said[-3000:]
    assert said.endswith("error: interrupted\n\nhint: run the same command again: it resumes from the last commit\n")
    assert "Py4J" not in said
    assert json.loads((tmp_path / "lease.json").read_text())["released"] is True
    (outcome,) = tmp_path.glob("runs/*/outcome.json")
    assert Outcome.from_json(outcome.read_text()).kind == "Interrupted"
