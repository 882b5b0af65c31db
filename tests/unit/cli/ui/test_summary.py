"""What a person reads when a run is done."""

from dataclasses import replace

from cli.ui.summary import summary
from job.contract.params import Params
from job.contract.records import Manifest, Stage

COUNTS = {"listed": 60, "new": 60, "embedded": 60, "rows": 60, "labels": 6, "removed": 0, "rejected": 0, "ignored": 0}
STAGES = {"fit": Stage(2.0, 10), "project": Stage(1.0, 60)}


def manifest(**values):
    known = {"created_at": "2026-01-01T00:00:00+00:00", "generation": 1, "params": {}, "model": "m", "versions": {}, "counts": COUNTS}
    known |= {"rejects": {}, "ignored": {}, "stages": STAGES, "k": 5, "variance": 0.5, "fitted_by": "r1", "identify": {"threshold": 0.1}}
    return Manifest(run_id="r1", **{**known, **values})


def params(**values):
    return Params(input="file:///photos", output="file:///out", run_id="r1", **values)


def test_how_many_images_a_pca_of_a_part_was_fitted_on_is_said():
    said = summary(manifest(), params(fit_on="Apple*"), "--local")

    assert "  PCA         k = 5, 50.0% of the variance, fitted on 10 images of `Apple*`\n" in said


def test_the_report_is_named_where_there_is_one():
    without = replace(manifest(), identify=None, notes=["the report could not be written: …"])

    assert "  report      /out/runs/r1/report.html" in summary(manifest(), params(), "--local")
    assert "report.html" not in summary(without, params(), "--local")
    assert "  note        the report could not be written: …" in summary(without, params(), "--local")


def test_the_next_command_asks_for_the_same_run():
    said = summary(manifest(), params(variance=0.9, fit_on="Apple *"), "--local")

    assert said.splitlines()[-1].endswith("--local --variance 0.9 --fit-on 'Apple *'")


def test_report_is_named_as_it_can_be_called():
    assert "(fruitsctl report opens it)" in summary(manifest(), params(), "--local")
    assert "(fruitsctl report --output /out opens it)" in summary(manifest(), params(), "--serverless --max-cost 2")
    assert "opens it" not in summary(manifest(), params(), "--compose")


def test_what_was_left_out_is_said_with_its_reason_once_per_kind():
    left_out = {"rejects": {"truncated": 2, "not an image": 1}, "ignored": {".txt": 2, "@eaDir/": 1_200, ".trash/": 3, ".*": 1}}
    counts = COUNTS | {"rejected": 3, "ignored": 1_206}

    said = summary(manifest(counts=counts, **left_out), params(), "--local")

    assert "  rejected    3: 2 truncated, 1 not an image\n" in said
    ignored = "1,200 @eaDir/, 3 .trash/ (hidden and system folders); 2 .txt (not photos by their name); 1 .* (hidden files)"
    assert f"  ignored     1,206: {ignored}\n" in said
