"""What the job says is what the CLI hears."""

import json

import pytest

from job.contract.records import MARK, Manifest, Outcome, Preview, Progress, RecordError, Stage, counted, from_line, stage_title, to_line

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


def test_each_record_says_the_version_of_its_fields():
    for text in (MANIFEST.to_json(), Outcome("r1", 0, "done").to_json(), to_line(Progress("embed", 1, 2)).removeprefix(MARK)):
        assert json.loads(text)["schema_version"] == 1


def test_an_old_cli_reads_what_a_newer_job_says():
    """Fields, records and stages that it does not know."""
    newer = {
        "record": "Progress",
        "schema_version": 2,
        "stage": "shrink",
        "done": 1,
        "total": 2,
        "bytes_per_second": 5,
        "worker": {"id": 1},
    }

    assert from_line(MARK + json.dumps(newer)) == Progress("shrink", 1, 2)
    assert stage_title("shrink") == "shrink"
    assert from_line(MARK + json.dumps({"record": "Warning", "text": "low on disk"})) is None
    assert Outcome.from_json(json.dumps({"run_id": "r1", "code": 0, "kind": "done", "retries": 3})) == Outcome("r1", 0, "done")
    values = json.loads(MANIFEST.to_json()) | {"schema_version": 2, "colour_profiles": 7}
    values["stages"]["embed"]["bytes"] = 5
    assert Manifest.from_json(json.dumps(values)) == MANIFEST


def test_a_new_cli_reads_what_an_older_job_says():
    """Without fields that have a default."""
    assert from_line(MARK + json.dumps({"record": "Progress", "stage": "embed", "done": 1, "total": None})) == Progress("embed", 1, None)
    values = json.loads(MANIFEST.to_json())
    for name in ("schema_version", "notes", "cores", "identify", "cost", "image_digest"):
        del values[name]
    assert Manifest.from_json(json.dumps(values)) == MANIFEST


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", "5", '{"record": "Outcome", "run_id": "r', "{}", '{"record": ["Outcome"]}', "\ud800"]
)
def test_a_line_that_is_cut_or_damaged_is_no_record(text):
    assert from_line(MARK + text) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"{}", b'{"stages": []}', b'{"stages": {"embed": 5}}', b'{"stages": {}}']
)
@pytest.mark.parametrize("kind", [Manifest, Outcome])
def test_a_damaged_file_is_one_error(kind, content):
    with pytest.raises(RecordError):
        kind.from_json(content)


def test_a_line_in_the_middle_of_each_record_is_no_record():
    for record in (Progress("embed", 5, 10), Outcome("r1", 1, "E", "x"), Preview(1, 2, {".txt": 1}, 0, 0, 1, 0, 0, 2)):
        line = to_line(record)
        assert from_line(line) == record
        for end in range(len(MARK), len(line)):
            assert from_line(line[:end]) is None


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (0, "photos", "0 photos"),
        (1, "photos", "1 photo"),
        (2_000, "photos", "2,000 photos"),
        (1, "other addresses", "1 other address"),
        (1, "classes", "1 class"),
        (1, "images", "1 image"),
        (1, "minutes", "1 minute"),
    ],
)
def test_a_number_of_things_is_counted(count, nouns, text):
    assert counted(count, nouns) == text
