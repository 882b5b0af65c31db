"""Which photos an OUTPUT knows by the INPUT of its runs."""

from __future__ import annotations

from pathlib import Path

from job.erasure.known import KnownPhotos
from job.storage.folders import open_folder
from tests.unit.job.product.run_files import RUN, write_run


def test_a_run_whose_refit_was_interrupted_has_its_input_too(tmp_path: Path):
    output, photos = tmp_path / "out", tmp_path / "photos"
    new = photos / "Apple" / "came later.jpg"
    new.parent.mkdir(parents=True)
    new.touch()
    write_run(output, photos, [f"file://{photos}/Apple/a.jpg"], ["Apple"], [[1.0]])
    manifest = output / "runs" / RUN / "manifest.json"
    manifest.rename(manifest.with_name("manifest.refit"))

    assert KnownPhotos(open_folder(f"file://{output}")).meant([f"file://{new}"], []) == {f"file://{new}"}
