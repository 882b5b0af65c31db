"""OUTPUT is full, becomes read-only, or somebody has damaged the end of its Delta log."""

from __future__ import annotations

import pytest

from job.contract.errors import OutputError
from tests.faults.damage import damage, half_visible, table_of
from tests.faults.disks import small_disk
from tests.faults.jobs import commits, latest, manifest_of


@pytest.mark.full
@pytest.mark.parametrize(
    ("what", "breaks", "repairs", "codes"),
    [
        ("full", lambda disk: disk.fill(), lambda disk: disk.empty(), (2, 3)),  # from the first that notices: Delta, or the lease
        ("read-only", lambda disk: disk.remount("ro"), lambda disk: disk.remount("rw"), (1, 2, 3)),
    ],
)
def test_an_output_that_takes_nothing_in_mid_run_keeps_what_was_committed(
    faults, jobs, params, slow_photos, tmp_path, what, breaks, repairs, codes
):
    with small_disk(tmp_path / "disk", 32) as disk:
        target = {"output": f"file://{disk.path}/out", "chunk_images": 4, "lease_seconds": 6.0}
        running = jobs.start(params(slow_photos, "1", **target), within=disk.within)
        running.wait_for(lambda: commits(disk.seen / "out") >= 1)
        breaks(disk)
        ended = running.end()
        repairs(disk)
        harm, seen, after = recovered(jobs, params(slow_photos, "2", **target | {"chunk_images": 12}), disk, slow_photos, tmp_path)

    assert ended.outcome is not None, ended.log[-3000:]
    assert ended.code in codes
    assert what != "full" or ended.outcome.message.startswith(("no space left for", "the lease"))
    faults(f"OUTPUT {what} during a run", 1, harm, seen, ended.code, after.seconds)


def recovered(jobs, params, disk, photos, tmp_path):
    """Nothing is visible yet; the next run makes it so. What was lost, what was seen by halves, and that run."""
    left = disk.copy("out", tmp_path / "left")
    assert latest(left) is None
    after = jobs.run(params, within=disk.within)
    assert after.code == 0, after.log[-3000:]
    output = disk.copy("out", tmp_path / "recovered")
    assert manifest_of(output, params.run_id).counts["embedded"] == 24 - len(table_of(left, "features"))  # nothing twice
    return damage(output, params.run_id, photos), half_visible(left) + half_visible(output), after


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "overwritten with zeros": lambda content: bytes(len(content)),
}


@pytest.mark.full
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_last_commit_is_said_and_costs_one_chunk(faults, jobs, params, photos, output, what):
    """As a power cut leaves it on a disk that lies about fsync. Once the file is removed, all earlier commits are there again."""
    assert jobs.run(params(photos, "1")).code == 0
    last = max((output / "features" / "_delta_log").glob("*.json"))
    last.write_bytes(DAMAGES[what](last.read_bytes()))

    ended = jobs.run(params(photos, "2"))

    assert ended.code == OutputError.code, ended.log[-3000:]
    assert "is damaged" in ended.log
    assert latest(output) == "1"
    seen = half_visible(output)
    last.unlink()
    after = jobs.run(params(photos, "3"))
    assert after.code == 0, after.log[-3000:]
    assert manifest_of(output, "3").counts["embedded"] == 20
    seen += half_visible(output)
    faults(f"last Delta commit {what}", 1, damage(output, "3", photos), seen, ended.code, after.seconds)


@pytest.mark.full
def test_an_empty_last_commit_did_nothing_and_its_photos_are_embedded_again(faults, jobs, params, photos, output):
    """What a power cut leaves most often. Delta reads such a file as a commit without actions, so the next run repairs it by itself."""
    assert jobs.run(params(photos, "1")).code == 0
    max((output / "features" / "_delta_log").glob("*.json")).write_bytes(b"")

    seen = half_visible(output)
    after = jobs.run(params(photos, "2"))
    assert after.code == 0, after.log[-3000:]
    assert manifest_of(output, "2").counts["embedded"] == 20
    seen += half_visible(output)
    faults("last Delta commit empty", 1, damage(output, "2", photos), seen, after.code, after.seconds)


@pytest.mark.full
def test_a_damaged_checkpoint_of_the_log_is_said_and_costs_nothing_once_it_is_gone(faults, jobs, params, photos, output):
    assert jobs.run(params(photos, "1", chunk_images=5)).code == 0  # 12 commits: Delta writes a checkpoint at the tenth
    log = output / "features" / "_delta_log"
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])

    ended = jobs.run(params(photos, "2"))

    seen = half_visible(output)
    for path in (checkpoint, checkpoint.with_name(f".{checkpoint.name}.crc"), log / "_last_checkpoint"):
        path.unlink(missing_ok=True)
    after = jobs.run(params(photos, "3"))
    assert after.code == 0, after.log[-3000:]
    assert manifest_of(output, "3").counts["embedded"] == 0
    seen += half_visible(output)
    faults("Delta checkpoint truncated", 1, damage(output, "3", photos), seen, ended.code, after.seconds)
