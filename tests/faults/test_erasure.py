"""An erasure is killed between its stages: repeated, it removes everything, and the next run finds OUTPUT in order."""

from __future__ import annotations

import json

import pytest

from job.contract.params import ForgetParams
from tests.conftest import SHORT
from tests.faults.damage import damage, half_visible, matrix_uris, table_of
from tests.faults.driver import ERASURE
from tests.faults.jobs import KILLED, manifest_of

POINTS = list(ERASURE)[:2] if SHORT else list(ERASURE)


@pytest.fixture
def copied(photos, tmp_path):
    """`photos`, of which an erasure may remove some."""
    copies = {}
    for uri, content in photos.items():
        path = tmp_path / "photos" / uri.rsplit("/", 2)[1] / uri.rsplit("/", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        copies[f"file://{path}"] = content
    return copies


def test_an_erasure_killed_between_its_stages_is_brought_to_its_end(faults, jobs, params, copied, output, tmp_path):
    assert jobs.run(params(copied, "1")).code == 0
    gone, left = dict(list(copied.items())[:3]), dict(list(copied.items())[3:])
    (tmp_path / "targets.json").write_text(json.dumps({"uris": list(gone), "prefixes": []}))
    wanted = ForgetParams(
        f"file://{output}", "erasure", str(tmp_path / "targets.json"), str(tmp_path / "answer.json"), "somebody", refit=True
    )
    for point in POINTS:
        died = jobs.run(wanted, point)
        assert (died.code, died.outcome) == (KILLED, None), died.log[-3000:]
        # The run stays visible. Until the erasure is repeated it has no report, and its manifest counts the erased photos.
        assert bool(gone.keys() & set(matrix_uris(output / "runs" / "1"))) is (point == "between tables and runs")

    after = jobs.run(wanted)

    assert after.code == 0, after.log[-3000:]
    receipt = json.loads((tmp_path / "answer.json").read_text())
    assert (receipt["removed"]["photos"], receipt["removed"]["features"], receipt["refitted"], receipt["found"]) == (3, 3, ["1"], [])
    assert [row for name in ("features", "rejects") for row in table_of(output, name) if row["uri"] in gone] == []
    assert manifest_of(output, "1").counts["rows"] == 57
    assert not list((output / "erasures").glob("*.pending"))
    assert jobs.run(params(left, "2-after")).code == 0
    harm = damage(output, "2-after", left)
    faults("erasure killed between its stages", len(POINTS), harm, half_visible(output), KILLED, after.seconds)
