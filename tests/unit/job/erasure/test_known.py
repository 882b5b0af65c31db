"""Which photos an OUTPUT knows by the INPUT of its runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


TWO_PATHS = """
import sys
from job.erasure.known import KnownPhotos
from job.storage.folders import open_folder
output, *typed = sys.argv[1:]
prefixes = [one for one in typed if one.endswith("/")]
print(KnownPhotos(open_folder("file://" + output)).meant({*typed} - {*prefixes}, prefixes))
"""


@pytest.mark.parametrize(
    ("listed", "typed"), [("Apple", "apple"), ("apple", "Apple"), ("p\u00eache", "pe\u0302che")], ids=["lower", "upper", "decomposed"]
)
@pytest.mark.parametrize("end", ["one.jpg", ""], ids=["address", "prefix"])
def test_a_photo_is_known_by_every_spelling_that_the_disk_takes(tmp_path: Path, listed: str, typed: str, end: str):
    """Here a bind mount makes two paths of one folder, without a link. A disk without case does so for each name."""
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("this user may not mount")
    output, photos = tmp_path / "out", tmp_path / "photos"
    for name in (listed, typed):
        (photos / name).mkdir(parents=True)
    (photos / listed / "one.jpg").touch()
    known = f"file://{photos}/{listed}/one.jpg"
    write_run(output, photos, [known], ["Apple"], [[1.0]])
    code = [sys.executable, "-c", TWO_PATHS, output, f"file://{photos}/{typed}/{end}"]
    mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'

    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", photos / listed, photos / typed, *code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert known in done.stdout


def test_hard_links_and_names_that_differ_in_case_only_are_photos_for_themselves(tmp_path: Path):
    """On a disk that tells them apart."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").touch()
    (photos / "ONE.jpg").touch()
    (photos / "hard.jpg").hardlink_to(photos / "one.jpg")
    uris = [f"file://{path}" for path in photos.iterdir()]
    write_run(tmp_path / "out", photos, uris, ["Apple"] * len(uris), [[1.0]] * len(uris))
    known = KnownPhotos(open_folder(f"file://{tmp_path}/out"))

    assert [known.meant([uri], []) for uri in uris] == [{uri} for uri in uris]


@pytest.mark.parametrize("name", ["features/a.jpg", "runs/r/report.html", "lease.json", ".lease.json.1-2.part", "costs", "erasures/x.jpg"])
def test_what_output_is_made_of_is_in_output_and_photos_beside_that_are_not(tmp_path: Path, name: str):
    known = KnownPhotos(open_folder(f"file://{tmp_path}"))
    (tmp_path.parent / f"link to {tmp_path.name}").symlink_to(tmp_path)

    assert known.is_in_output(f"file://{tmp_path}/{name}")
    assert known.is_in_output(f"file://{tmp_path.parent}/link to {tmp_path.name}/{name}")
    assert not known.is_in_output(f"file://{tmp_path}/photos/{name}")
    assert not known.is_in_output(f"file://{tmp_path.parent}/{name}")


@pytest.mark.parametrize("output", ["s3://bucket", "s3://bucket/proj"])
def test_a_photo_in_the_folder_of_output_is_no_part_of_output(output: str):
    known = KnownPhotos(open_folder(output))

    assert not known.is_in_output(f"{output}/photos/Apple/one.jpg")
    assert not known.is_in_output(f"{output}/features2/one.jpg")
    assert not known.is_in_output(f"{output}/lease.json.jpg")
    assert known.is_in_output(f"{output}/features/one.jpg")
