"""The driver is killed, asked to stop, or raced by another: at each stage, at the narrow places between two writes, at random moments."""

from __future__ import annotations

import fcntl
import json
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from deltalake import DeltaTable

from tests.conftest import SHORT
from tests.faults.damage import Damage, damage, half_visible, table_of
from tests.faults.driver import POINTS
from tests.faults.jobs import KILLED, commits, latest, manifest_of

STAGES = [point for point in POINTS if point and " " not in point]
KILLS = 2 if SHORT else 10  # each costs a start of Spark


@pytest.mark.full
@pytest.mark.parametrize("point", STAGES)
def test_a_driver_killed_in_a_stage_leaves_nothing_behind_that_its_successor_stumbles_over(faults, jobs, params, photos, output, point):
    died = jobs.run(params(photos, "1-died"), point)
    assert (died.code, died.outcome) == (KILLED, None), died.log[-3000:]
    assert latest(output) == ("1-died" if point == "report" else None)  # results are visible before their report
    seen = half_visible(output)

    after = jobs.run(params(photos, "2-after"))

    assert after.code == 0, after.log[-3000:]
    seen += half_visible(output)
    faults(f"driver killed in {point}", 1, damage(output, "2-after", photos), seen, KILLED, after.seconds)


def test_a_driver_killed_between_its_data_files_and_the_commit_has_written_nothing(faults, jobs, params, photos, output):
    died = jobs.run(params(photos, "1", chunk_images=4), "between data files and commit")
    assert (died.code, died.outcome) == (KILLED, None), died.log[-3000:]
    kept = {row["uri"] for row in table_of(output, "features")}
    assert (len(kept), orphans(output)) == (4, 2)  # the first commit is in, the second is not; its two tasks have written their files

    after = jobs.run(params(photos, "2-after"))

    assert after.code == 0, after.log[-3000:]
    assert manifest_of(output, "2-after").counts["embedded"] == 60 - len(kept)
    harm = damage(output, "2-after", photos)
    faults("driver killed between the last data file and the Delta commit", 1, harm, half_visible(output), KILLED, after.seconds)


@pytest.mark.full
def test_a_driver_killed_before_or_after_the_pointer_is_written_is_tried_again_and_ends_the_same(faults, jobs, params, photos, output):
    """As EMR tries again: with the same arguments."""
    died = jobs.run(params(photos, "1"), "between manifest and latest.json")
    assert (died.code, died.outcome) == (KILLED, None), died.log[-3000:]
    assert manifest_of(output, "1").counts["rows"] == 60  # whole: who finds it may use it
    assert latest(output) is None
    seen = half_visible(output)

    died = jobs.run(params(photos, "1"), "after latest.json")
    assert (died.code, died.outcome) == (KILLED, None), died.log[-3000:]
    assert latest(output) == "1"
    seen += half_visible(output)

    after = jobs.run(params(photos, "1"))
    assert after.code == 0, after.log[-3000:]
    seen += half_visible(output)
    harm = damage(output, "1", photos)
    faults("driver killed between manifest and latest.json, and after both", 2, harm, seen, KILLED, after.seconds)


def orphans(output):
    """Data files that are whole and that no commit knows."""
    if not (output / "features").exists():
        return 0
    known = {Path(uri).name for uri in DeltaTable(str(output / "features")).file_uris()}
    return sum(path.name not in known for path in (output / "features").glob("*.parquet"))


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_driver_that_is_asked_to_stop_ends_in_good_order(faults, jobs, params, slow_photos, output, number):
    """https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-cancellation-grace-period.html: from 15 seconds on."""
    asked = jobs.start(params(slow_photos, "1-asked", chunk_images=4))
    asked.wait_for(lambda: commits(output) >= 1)
    began = time.monotonic()
    asked.process.send_signal(number)
    stopped = asked.end()
    stopping = time.monotonic() - began

    assert stopped.code == 130, stopped.log[-3000:]
    outcome = json.loads((output / "runs" / "1-asked" / "outcome.json").read_text())
    assert (outcome["code"], outcome["kind"]) == (130, "Interrupted")
    assert json.loads((output / "lease.json").read_text())["released"] is True
    assert latest(output) is None
    seen, done = half_visible(output), len(table_of(output, "features"))
    assert 4 <= done < 24
    after = jobs.run(params(slow_photos, "2-after"))
    assert after.code == 0, after.log[-3000:]
    assert manifest_of(output, "2-after").counts["embedded"] == 24 - done
    seen += half_visible(output)
    fault = f"{number.name} during a run, stopped within {stopping:.1f} s"
    faults(fault, 1, damage(output, "2-after", slow_photos), seen, 130, after.seconds)


@pytest.mark.full
def test_of_two_runs_started_together_one_runs_and_the_other_is_refused(faults, jobs, params, photos, output):
    rounds, seen = 3, 0
    for number in range(rounds):
        both = [jobs.start(params(photos, f"{number}-{name}")) for name in "ab"]
        ends = [running.end() for running in both]
        assert sorted(end.code for end in ends) == [0, 3], ends[0].log[-2000:] + ends[1].log[-2000:]
        winner = next(end.outcome.run_id for end in ends if end.outcome and end.code == 0)
        assert latest(output) == winner
        seen += half_visible(output)
    faults("two runs started together", rounds, damage(output, winner, photos), seen, "0 and 3")


def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(faults, fruitsctl, photos, output, tmp_path, matrix):
    """The command and the job are killed, and their JVM finds itself alone. The whole network and small chunks: commits at many moments."""
    source = next(iter(photos)).removeprefix("file://").rpartition("/")[0].rpartition("/")[0]
    words = ("--components", "10", "--chunk-images", "6", "--model", "mobilenet_v2_untrained")
    began = time.monotonic()
    calm = fruitsctl.run(source, tmp_path / "calm", *words)
    calm_seconds = time.monotonic() - began
    moments, seen = random.Random(20260101), 0
    for _ in range(KILLS):
        command = fruitsctl.start("run", source, output, "--local", *words)
        time.sleep(moments.uniform(2, 1.3 * calm_seconds))
        kill_all(command)
        seen += half_visible(output)
    began = time.monotonic()
    last = fruitsctl.run(source, output, *words)
    seconds = time.monotonic() - began

    rows, wanted = matrix(output, last["run_id"]), matrix(tmp_path / "calm", calm["run_id"])
    assert [row[:2] for row in rows] == [row[:2] for row in wanted]
    np.testing.assert_allclose([row[2] for row in rows], [row[2] for row in wanted], atol=1e-6)
    seen += half_visible(output)
    expected, found = (table_of(folder, "features") for folder in (tmp_path / "calm", output))
    numbers = {row["uri"]: row["embedding"] for row in found}
    lost = sum(row["uri"] not in numbers or not np.allclose(row["embedding"], numbers[row["uri"]], atol=1e-6) for row in expected)
    harm = Damage(lost, len(found) - len(numbers))
    faults("command and driver killed at random moments", KILLS, harm, seen, KILLED, seconds)


def suspend_outside_the_guard(running, output):
    """Suspend a run and its children. Inside the lock around `lease.json`, successors would be refused until it resumes: try again."""
    for _ in range(20):
        family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):  # some live for a moment only
                process.suspend()
        with (output / ".guard").open("rb") as guard, suppress(BlockingIOError):
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return family
        resume(family)
        time.sleep(0.1)
    pytest.fail("the run holds the lock around lease.json all the time")


def resume(family):
    for process in reversed(family):
        with suppress(psutil.NoSuchProcess):
            process.resume()


def test_a_run_that_slept_past_its_lease_overwrites_nothing(faults, jobs, params, slow_photos, photos, output):
    sleeper = jobs.start(params(slow_photos, "1-sleeper", chunk_images=4, lease_seconds=3.0))
    sleeper.wait_for(lambda: commits(output) >= 1)
    family = suspend_outside_the_guard(sleeper, output)
    time.sleep(4)
    successor = jobs.run(params(photos, "2-successor"))
    assert successor.code == 0, successor.log[-3000:]
    before = contents(output / "runs" / "2-successor") | {output / "latest.json": (output / "latest.json").read_bytes()}
    rows = table_of(output, "features")

    resume(family)
    woken = sleeper.end()

    assert woken.code == 3, woken.log[-3000:]
    assert {path: path.read_bytes() for path in before} == before
    assert len(table_of(output, "features")) == len(rows)
    ours = [row for row in rows if row["uri"] in photos]
    assert len(ours) == 60
    harm = Damage(60 - len({row["uri"] for row in ours}), len(rows) - len({row["uri"] for row in rows}))
    faults("run suspended past its lease while another run starts", 1, harm, half_visible(output), 3, successor.seconds)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def kill_all(command):
    """SIGKILL to the command and to the job, at the same moment; Spark's own processes see their parent vanish."""
    family = [psutil.Process(command.pid), *psutil.Process(command.pid).children()]
    for process in family:
        process.kill()
    command.communicate()
