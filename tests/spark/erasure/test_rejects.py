"""Photos that gave no features are forgotten as the others are."""

import html
import os
import shutil

import pytest
from PIL import Image

from job import erasure
from tests.spark.erasure.traces import files_that_hold, stored
from tests.unit.job.odd_files import write_odd_files


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


@pytest.mark.timeout(300)
def test_rejects_that_are_no_files_are_forgotten_too(run_job, forget, photos, tmp_path):
    output, odd = tmp_path / "out", photos / "Odd"
    write_odd_files(odd)
    (odd / "device.jpg").unlink()
    assert run_job(photos, output, components=2, max_reject_ratio=0.2).counts["rejected"] == 4

    done = forget(output, sorted(odd.iterdir()))

    assert (done.removed["photos"], done.removed["rejects"], done.found) == (4, 4, [])
    assert list(odd.iterdir()) == []


@pytest.mark.parametrize("name", ["l'une.jpg", 'the "one".jpg', "a & <b>.jpg"])
def test_the_report_of_a_rejected_photo_goes_whatever_its_name_is(run_job, forget, photos, tmp_path, name):
    output, broken = tmp_path / "out", photos / "Broken" / name
    broken.parent.mkdir()
    broken.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    report = output / "runs" / run_job(photos, output, components=2).run_id / "report.html"
    assert f"Broken/{name}" in html.unescape(report.read_text())

    forget(output, [broken])

    assert name not in html.unescape(report.read_text())


@pytest.fixture
def broken(photos):
    """Two photos of the same broken bytes, changed at the same time: they have the same etag, as on S3."""
    two = [photos / "Broken" / name for name in ("one.jpg", "two.jpg")]
    two[0].parent.mkdir()
    two[0].write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    shutil.copy2(*two)
    return two


def test_two_equal_broken_photos_are_forgotten_together(run_job, forget, photos, tmp_path, broken):
    output = tmp_path / "out"
    run_job(photos, output, components=2)

    done = forget(output, broken)

    assert (done.removed["photos"], done.removed["rejects"], done.copies_left, done.found) == (2, 2, 0, [])
    assert len(done.images) == 3  # two addresses, one content
    assert len(stored(output, "rejects")) == 0
    assert files_that_hold(output, b"one.jpg", b"two.jpg") == []


def test_one_of_two_equal_broken_photos_is_forgotten_and_the_other_is_named_as_its_copy(run_job, forget, photos, tmp_path, broken):
    output, (one, two) = tmp_path / "out", broken
    run_job(photos, output, components=2)

    assert forget(output, [one], only_plan=True).copies == {f"file://{two}"}
    assert forget(output, [one], only_plan=True, copies=True).uris == {f"file://{one}", f"file://{two}"}
    done = forget(output, [one])

    assert (done.removed["rejects"], done.copies_left, done.found) == (1, 1, [])
    assert list(stored(output, "rejects")["uri"]) == [f"file://{two}"]
    assert (one.exists(), two.exists()) == (False, True)
    assert files_that_hold(output, b"one.jpg") == []


def test_a_broken_photo_with_another_time_is_a_copy_too_and_one_with_other_bytes_is_not(run_job, forget, photos, tmp_path, broken):
    output, (one, two) = tmp_path / "out", broken
    os.utime(two, (1_000_000_000, 1_000_000_000))
    other = one.with_name("other.jpg")  # of the same size and time
    other.write_bytes(one.read_bytes()[:-1] + b"x")
    os.utime(other, ns=(one.stat().st_mtime_ns, one.stat().st_mtime_ns))
    run_job(photos, output, components=2)

    assert forget(output, [one], only_plan=True).copies == {f"file://{two}"}
    done = forget(output, [one], copies=True)

    assert (done.removed["rejects"], done.copies_left, done.found) == (2, 0, [])
    assert other.exists()
    assert list(stored(output, "rejects")["uri"]) == [f"file://{other}"]


def test_one_of_two_photos_of_the_same_size_and_time_is_forgotten(run_job, forget, photos, tmp_path):
    """As unpacked bitmaps are: the same etag, other pixels."""
    output, two = tmp_path / "out", [photos / "Bitmaps" / name for name in ("one.bmp", "two.bmp")]
    two[0].parent.mkdir()
    for path, colour in zip(two, ("red", "green"), strict=True):
        Image.new("RGB", (64, 64), colour).save(path)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    run_job(photos, output, components=2)

    done = forget(output, [two[0]])

    assert (done.removed["features"], done.copies_left, done.found) == (1, 0, [])
    assert f"file://{two[1]}" in set(stored(output)["uri"])


def test_a_photo_with_a_tombstone_that_came_back_is_forgotten_again_while_its_copy_stays(run_job, forget, photos, tmp_path):
    """It is a reject by now, and has the etag of a photo with features."""
    output, one = tmp_path / "out", min(photos.glob("*/*.jpg"))
    copy = one.with_name("copy.jpg")
    shutil.copy2(one, copy)
    run_job(photos, output, components=2)
    forget(output, [one], tombstone=True)
    shutil.copy2(copy, one)
    assert run_job(photos, output, components=2).rejects == {"erased on request": 1}

    done = forget(output, [one])

    assert (done.removed["rejects"], done.copies_left, done.found) == (1, 1, [])
    assert f"file://{copy}" in set(stored(output)["uri"])


def test_an_erasure_is_resumed_although_a_copy_came_after_its_interruption(run_job, forget, photos, tmp_path, monkeypatch):
    output, one = tmp_path / "out", min(photos.glob("*/*.jpg"))
    run_job(photos, output, "mobilenet_v2_untrained", components=2)
    copy = tmp_path / "copy.jpg"
    shutil.copy2(one, copy)
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_purge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            forget(output, [one])
    shutil.copy2(copy, one.with_name("came later.jpg"))
    run_job(photos, output, "mobilenet_v2_untrained", components=2)

    done = forget(output, [one])

    assert (done.removed["features"], done.found) == (1, [])
    assert len(stored(output)) == 60


def interrupted(*arguments):
    raise KeyboardInterrupt
