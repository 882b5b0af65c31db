"""Runs that are raced, stopped, killed or put to sleep: nothing lost, nothing overwritten, nothing half-visible."""

import os
import random
import signal
import time
from contextlib import suppress

import numpy as np
import psutil
import pyarrow.dataset as ds
from deltalake import DeltaTable

KILLS = int(os.environ.get("FRUITS_KILLS", "10"))
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


def test_a_run_that_slept_past_its_lease_overwrites_nothing(fruitsctl, sample, photos, tmp_path):
    sleeper = fruitsctl.start("run", sample, tmp_path, "--local", "--model", "mean_colour", "--chunk-images", "100", "--lease-seconds", "3")
    wait_for(lambda: (tmp_path / "features" / "_delta_log" / f"{2:020}.json").exists())  # two chunks are in
    family = [psutil.Process(sleeper.pid), *psutil.Process(sleeper.pid).children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # some live for a moment only
            process.suspend()
    time.sleep(4)
    successor = fruitsctl.run(photos, tmp_path, *FAST)
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "latest.json", *(tmp_path / "runs" / successor["run_id"]).rglob("*.*"))
        if path.is_file()
    }
    rows = len(stored(tmp_path))

    for process in reversed(family):
        with suppress(psutil.NoSuchProcess):
            process.resume()
    _, said = sleeper.communicate(timeout=120)

    assert sleeper.returncode == 3, said
    assert {path: path.read_bytes() for path in before} == before
    assert len(stored(tmp_path)) == rows


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
