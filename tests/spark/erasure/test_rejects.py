"""Photos that gave no features are forgotten as the others are."""

import html

import pytest

from tests.spark.erasure.traces import files_that_hold


def test_of_a_forgotten_reject_nothing_is_left(run_job, forget, photos, tmp_path):
    output, broken = tmp_path / "out", photos / "Broken" / "torn.jpg"
    broken.parent.mkdir()
    broken.write_bytes(sorted(photos.glob("*/*.jpg"))[0].read_bytes()[:300])
    run = run_job(photos, output, components=2).run_id
    assert "torn.jpg" in (output / "runs" / run / "report.html").read_text()

    done = forget(output, [broken])

    assert (done.removed["rejects"], done.removed["rows"]) == (1, 0)
    assert files_that_hold(output, b"torn.jpg") == []
    assert (output / "runs" / run / "report.html").exists()


@pytest.mark.parametrize("name", ["l'une.jpg", 'the "one".jpg', "a & <b>.jpg"])
def test_the_report_of_a_rejected_photo_goes_whatever_its_name_is(run_job, forget, photos, tmp_path, name):
    output, broken = tmp_path / "out", photos / "Broken" / name
    broken.parent.mkdir()
    broken.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    report = output / "runs" / run_job(photos, output, components=2).run_id / "report.html"
    assert f"Broken/{name}" in html.unescape(report.read_text())

    forget(output, [broken])

    assert name not in html.unescape(report.read_text())
