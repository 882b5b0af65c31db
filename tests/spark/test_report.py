"""The report of runs through the pipeline: written before the manifest, and never what fails a run."""

import json
import re

import pytest

from job.contract.errors import LeaseError
from job.contract.params import Params
from job.contract.uris import from_text
from job.pipeline import run
from job.product.report import report
from job.spark.progress import ProgressReport
from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.leases import take_over


@pytest.fixture
def run_job(spark, cache):
    def start(source, output, run_id, **params):
        wanted = Params(from_text(str(source)), from_text(str(output)), run_id, "mean_colour", **{"cache": str(cache)} | params)
        folder = open_folder(wanted.output)
        with Lease.acquire(folder, run_id) as lease:
            return run(wanted, folder, lease, ProgressReport())

    return start


@pytest.fixture
def photos(sample, tmp_path):
    """30 photos of 3 labels, and one that is cut short."""
    root = tmp_path / "photos"
    for folder in sorted((sample / "Test").iterdir())[:3]:
        (root / folder.name).mkdir(parents=True)
        for path in folder.iterdir():
            (root / folder.name / path.name).write_bytes(path.read_bytes())
    whole = min(root.glob("*/*.jpg"))
    whole.with_name("cut.jpg").write_bytes(whole.read_bytes()[:2000])
    return root


def points_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])["map"]["points"]


def test_a_run_writes_its_report_with_every_photo_and_its_rejects(run_job, photos, tmp_path):
    manifest = run_job(photos, tmp_path / "out", "first", components=2)

    page = (tmp_path / "out" / "runs" / "first" / "report.html").read_text()
    assert manifest.notes == []
    assert len(page.encode()) < 5_000_000
    assert sorted(point[3] for point in points_of(page)) == list(range(30))  # a tile for each
    assert re.search(r'<h3>truncated <span class="count">1</span></h3>\s*<div class="photos">', page)
    assert manifest.stages["report"].images == 30
    assert manifest.identify["images"] == 30
    stored = json.loads((tmp_path / "out" / "runs" / "first" / "manifest.json").read_text())
    assert (stored["identify"], stored["cores"]) == (manifest.identify, manifest.cores)
    assert manifest.cores >= 1


def test_a_report_that_cannot_be_made_is_a_note_and_the_run_is_good(run_job, photos, tmp_path):
    place = tmp_path / "out" / "runs" / "second" / "report.html"
    place.mkdir(parents=True)  # where a file should be

    manifest = run_job(photos, tmp_path / "out", "second", components=2)

    (note,) = manifest.notes
    assert note.startswith(f"the report could not be written: `{place}`: Is a directory")
    assert list(place.iterdir()) == []
    assert json.loads((tmp_path / "out" / "latest.json").read_text())["run_id"] == "second"


def test_a_run_that_was_taken_over_meanwhile_writes_no_report(run_job, photos, tmp_path, monkeypatch):
    """It may show what an erasure has removed since."""
    folder, build = open_folder(f"file://{tmp_path}/out"), report.build

    def slowly(*arguments):
        made = build(*arguments)
        take_over(folder, "an erasure")
        return made

    monkeypatch.setattr(report, "build", slowly)
    with pytest.raises(LeaseError, match="`an erasure` took over"):
        run_job(photos, tmp_path / "out", "third", components=2)

    assert "report.html" not in folder.names("runs/third")
