"""Ctrl-C, a second run while the first one runs, kills at random moments, as a user meets them. Each fault alone is in tests/faults."""

import random
import signal
import time

import numpy as np
import psutil
import pyarrow.dataset as ds
from deltalake import DeltaTable

from tests.conftest import SHORT

KILLS = 2 if SHORT else 10  # each costs a start of Spark
FAST = ("--model", "mean_colour", "--components", "2")


def stored(output):
    return ds.dataset(DeltaTable(str(output / "features")).file_uris()).to_table().to_pandas()


def test_a_second_run_on_the_same_output_is_refused(fruitsctl, sample, photos, tmp_path):
    first = fruitsctl.start("run", sample, tmp_path, "--local", "--json", "--chunk-images", "200")
    wait_for(lambda: (tmp_path / "lease.json").exists())

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


def test_killed_at_random_moments_and_run_again_it_ends_as_if_nothing_had_happened(fruitsctl, photos, tmp_path, matrix):
    undisturbed = fruitsctl.run(photos, tmp_path / "calm", "--components", "10")
    output = tmp_path / "killed"
    moments = random.Random(20260101)
    for _ in range(KILLS):
        command = fruitsctl.start("run", photos, output, "--local", "--components", "10", "--chunk-images", "30")
        time.sleep(moments.uniform(2, 14))
        kill_all(command)
    last = fruitsctl.run(photos, output, "--components", "10", "--chunk-images", "30")

    rows, expected = matrix(output, last["run_id"]), matrix(tmp_path / "calm", undisturbed["run_id"])
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    np.testing.assert_allclose([row[2] for row in rows], [row[2] for row in expected], atol=1e-6)
    features = stored(output)
    assert len(features) == features["uri"].nunique() == 240


def wait_for(condition, seconds=90):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def kill_all(command):
    """SIGKILL to the command and to the job, at the same moment; Spark's own processes see their parent vanish."""
    family = [psutil.Process(command.pid), *psutil.Process(command.pid).children()]
    for process in family:
        process.kill()
    command.communicate()
