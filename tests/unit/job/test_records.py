"""What the job says is what the CLI hears."""

import json

from job.records import Manifest, Outcome, Progress, Stage, from_line, to_line

MANIFEST = Manifest(
    run_id="r1",
    created_at="2026-01-01T00:00:00+00:00",
    generation=3,
    params={"components": 50},
    model="mobilenet_v2-abc",
    versions={"pyspark": "3.5.6"},
    counts={"listed": 10},
    rejects={"truncated": 1},
    ignored={".txt": 2},
    stages={"embed": Stage(2.0, 100)},
    k=50,
    variance=0.733,
    fitted_by="r1",
)


def test_a_record_survives_its_line():
    for record in (Progress("embed", 5, 10, "images", 1.5), Outcome("r1", 1, "RejectsError", "é `x`", "look")):
        assert from_line(to_line(record)) == record


def test_other_peoples_lines_are_no_records():
    assert from_line("WARN TaskSetManager: lost task 0.0\n") is None


def test_a_manifest_survives_its_file():
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_a_manifest_tells_images_per_second():
    assert json.loads(MANIFEST.to_json())["stages"]["embed"] == {"seconds": 2.0, "images": 100, "images_per_second": 50.0}
