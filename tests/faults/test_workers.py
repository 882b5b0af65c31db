"""Spark's workers die, or have no disk left, while the driver lives."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pyspark
import pytest

from tests.faults.conftest import SHORT
from tests.faults.damage import damage, half_visible
from tests.faults.disks import small_disk
from tests.faults.jobs import commits, latest, manifest_of

WORKER_KILLS = 1 if SHORT else 3


def test_a_python_worker_that_is_killed_costs_one_attempt_of_a_task(faults, jobs, params, slow_photos, output):
    running = jobs.start(params(slow_photos, "1", chunk_images=8))
    running.wait_for(lambda: commits(output) >= 1)
    kills = 0
    while lost_tasks(running) < WORKER_KILLS:
        running.wait_for(lambda: kill_one(running))
        kills += 1
        until = time.monotonic() + 2
        while lost_tasks(running) < kills and time.monotonic() < until:  # one that waited for work costs nothing
            time.sleep(0.01)
    ended = running.end()

    assert ended.code == 0, ended.log[-3000:]
    counts = manifest_of(output, "1").counts
    assert (counts["embedded"], counts["rejected"], counts["rows"]) == (24, 0, 24)
    faults("Python worker killed", kills, damage(output, "1", slow_photos), half_visible(output), 0)


def lost_tasks(running) -> int:
    return running.log.read_text(errors="replace").count("Lost task")


def kill_one(running) -> bool:
    """One of those that Spark's daemon has forked, if there are any yet."""
    for daemon in running.family("job.spark.python_daemon"):
        with suppress(psutil.NoSuchProcess):
            for worker in daemon.children():
                worker.kill()
                return True
    return False


@pytest.mark.full
def test_an_executor_that_is_killed_costs_its_tasks_and_nothing_else(faults, jobs, params, slow_photos, output, tmp_path):
    """`local-cluster`: executors are separate JVMs, as on EMR. tests/container/test_compose.py does the same with containers."""
    cluster = two_executors(tmp_path)
    running = jobs.start(params(slow_photos, "1", chunk_images=8), **cluster)
    running.wait_for(lambda: commits(output) >= 1)
    name = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
    running.wait_for(lambda: any(True for _ in running.family(name)))
    next(running.family(name)).kill()
    ended = running.end()

    assert ended.code == 0, ended.log[-3000:]
    assert "Lost executor" in ended.log
    counts = manifest_of(output, "1").counts
    assert (counts["embedded"], counts["rejected"], counts["rows"]) == (24, 0, 24)
    faults("executor killed", 1, damage(output, "1", slow_photos), half_visible(output), 0)


@pytest.mark.full
def test_a_task_that_runs_twice_at_once_counts_once(faults, jobs, params, slow_photos, output, tmp_path):
    """Spark starts a second attempt of a task that is slow: here of one whose worker is suspended, and writes on when the other is done."""
    asked = {"speculation": "true", "speculation.interval": "100ms", "speculation.quantile": "0.5", "speculation.multiplier": "1.1"}
    words = [word for name, value in asked.items() for word in ("--conf", f"spark.{name}={value}")]
    # What Spark would kill is left alone: both attempts come to their end.
    words += ["--conf", "spark.python.task.killTimeout=60s", "pyspark-shell"]
    cluster = two_executors(tmp_path) | {"PYSPARK_SUBMIT_ARGS": " ".join(words)}
    running = jobs.start(params(slow_photos, "1", chunk_images=24), **cluster)
    running.wait_for(lambda: "Starting task 1.0 in stage 1.0" in running.log.read_text(errors="replace"))
    running.wait_for(lambda: any(True for _ in workers_at_work(running)))
    slow = next(workers_at_work(running))
    slow.suspend()
    running.wait_for(lambda: "speculatable" in running.log.read_text(errors="replace"))
    running.wait_for(lambda: len(list((output / "features").glob("*.parquet"))) >= 2)
    with suppress(psutil.NoSuchProcess):
        slow.resume()
    ended = running.end()

    assert ended.code == 0, ended.log[-3000:]
    counts = manifest_of(output, "1").counts
    assert (counts["embedded"], counts["rejected"], counts["rows"]) == (24, 0, 24)
    faults("task run twice at once", 1, damage(output, "1", slow_photos), half_visible(output), 0)


def workers_at_work(running):
    """Python workers that compute."""
    for daemon in running.family("job.spark.python_daemon"):
        with suppress(psutil.NoSuchProcess):
            yield from (worker for worker in daemon.children() if worker.cpu_percent(0.1) > 20)


def two_executors(folder: Path) -> dict[str, str]:
    """Environment of `local-cluster`: executors are separate JVMs, as on EMR."""
    home = folder / "spark"  # where its workers write
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    return {"FRUITS_MASTER": "local-cluster[2,1,1024]", "SPARK_HOME": str(home)}


@pytest.mark.full
def test_a_worker_without_disk_ends_the_run_with_a_word_and_the_next_one_continues(faults, jobs, params, slow_photos, output, tmp_path):
    """Spark's own disk, for shuffles and broadcasts."""
    with small_disk(tmp_path / "scratch", 64) as disk:
        running = jobs.start(params(slow_photos, "1", chunk_images=4), within=disk.within, SPARK_LOCAL_DIRS=str(disk.path))
        running.wait_for(lambda: commits(output) >= 1)
        disk.fill()
        ended = running.end()
        seen = half_visible(output)

        assert ended.outcome is not None, ended.log[-3000:]
        assert (ended.code, ended.outcome.kind) == (2, "SetupError")
        assert ended.outcome.message.startswith(f"no space left in `{disk.path}`")
        assert latest(output) is None
        disk.empty()
        after = jobs.run(params(slow_photos, "2"), within=disk.within, SPARK_LOCAL_DIRS=str(disk.path))
    assert after.code == 0, after.log[-3000:]
    seen += half_visible(output)
    faults("worker's disk full during a run", 1, damage(output, "2", slow_photos), seen, ended.code, after.seconds)
