"""What job and command tell each other is damaged, of another version, or among the noise of a library."""

from __future__ import annotations

import json
import os

import pytest

from cli.targets.local import process as local
from cli.targets.local.java import java_for_spark
from tests.faults.damage import damage, half_visible
from tests.faults.test_images import patched

NEWER = json.dumps({"schema_version": 99, "run": {"id": "1"}, "stages": []}).encode()
DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "not UTF-8": lambda content: b"\xff\xfe" + content,
    "of a newer version": lambda _: NEWER,
}


@pytest.mark.full
def test_records_of_an_attempt_that_are_damaged_or_of_another_version_are_replaced(faults, jobs, params, photos, output):
    """A retry of EMR has the same arguments. A record that cannot be read counts as missing."""
    assert jobs.run(params(photos, "1")).code == 0
    names = ("outcome.json", "manifest.json")
    for harm in DAMAGES.values():
        for name in names:
            path = output / "runs" / "1" / name
            path.write_bytes(harm(path.read_bytes()))
        after = jobs.run(params(photos, "1"))
        assert after.code == 0, after.log[-3000:]
        assert after.outcome is not None
        assert json.loads((output / "runs" / "1" / "outcome.json").read_text())["kind"] == "done"
    count = len(DAMAGES) * len(names)
    faults(
        "records of a run damaged or of another version",
        count,
        damage(output, "1", photos),
        half_visible(output),
        after.code,
        after.seconds,
    )


NOISE = 50_000  # lines: more than a pipe holds, so the job would wait without a listener
NOISY = f"""
import sys
if sys.orig_argv[1:3] == ["-m", "job"]:
    import os
    os.write(1, b"\\xff\\xfe from a library\\n@fruits \\xff\\n@fruits {{\\n@fruits [1]\\n")
    with os.fdopen(os.dup(1), "wb") as out:
        for _ in range({NOISE}):
            out.write(b"\\xfe" * 80 + b"\\n")
"""


def test_a_job_among_noise_that_is_not_utf_8_is_heard_to_its_end(faults, params, short_jvm, photos, output, tmp_path):
    """The log takes what is no record. By the CLI's own function: a command would not pass a foreign PYTHONPATH on."""
    log = output / "runs" / "1" / "job.log"
    java = java_for_spark(None).home
    todo = local.plan(params(photos, "1"), java, "1g", log, {"PYTHONPATH": patched(tmp_path / "modules", NOISY)})

    outcome = local.start(todo, "1", {**os.environ, **short_jvm}, lambda _: None)

    assert (outcome.code, outcome.kind) == (0, "done")
    assert log.read_text(encoding="utf-8").count("\ufffd" * 80) == NOISE
    faults("output of the job that is not UTF-8 (lines)", NOISE + 4, damage(output, "1", photos), half_visible(output), 0)
