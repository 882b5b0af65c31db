"""`fruitsctl forget` as its user runs it: addresses that are not known, alone and among known ones, in words and as JSON."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from tests.e2e.conftest import Command

TYPED = "Aple/1.jpg"


@pytest.fixture
def place(fruitsctl, photos, tmp_path) -> Path:
    """photos/, and out/ with a run on them."""
    shutil.copytree(photos, tmp_path / "photos")
    fruitsctl.run(tmp_path / "photos", tmp_path / "out", "--model", "mean_colour", "--components", "2")
    return tmp_path


def receipts(place: Path) -> list[Path]:
    return list((place / "out").glob("erasures/*.json"))


def test_an_address_that_nothing_knows_is_refused_and_no_receipt_is_written(fruitsctl, place):
    typed = place / "photos" / TYPED
    words = ("forget", typed, "--output", place / "out")

    planned, done, said = fruitsctl(*words, "--dry-run"), fruitsctl(*words, "--yes"), fruitsctl(*words, "--dry-run", "--json")

    assert (planned.returncode, done.returncode, said.returncode) == (1, 1, 1)
    for one in (planned, done):
        assert f"`{typed}` is not known here" in one.stderr
        assert one.stdout == f"Nothing to erase in {place / 'out'}.\n"
    assert json.loads(said.stdout) == {"images": [], "photos": 0, "copies": [], "runs": {}, "unknown": [f"file://{typed}"], "before": {}}
    assert receipts(place) == []
    assert not list((place / "out").glob("erasures/*"))


def test_among_known_addresses_the_unknown_ones_are_named_and_the_known_ones_go(fruitsctl, place):
    known = sorted((place / "photos").glob("*/*.jpg"))[:2]
    typed, listed = place / "photos" / TYPED, place / "list.txt"
    listed.write_text(f"\ufeff{known[1]}\r\n\r\n{typed}\n", encoding="utf-8")  # as Windows' editors save it
    words = ("forget", known[0], "--list", listed, "--output", place / "out")

    planned = fruitsctl(*words, "--dry-run")
    done = fruitsctl(*words, "--yes", "--json")

    assert planned.returncode == 1
    assert planned.stdout.splitlines()[0] == "2 images, the photo file of 2 still exists:"
    assert f"Not known here, skipped: 1 address:\n  {typed}\n" in planned.stdout
    assert done.returncode == 1
    assert f"`{typed}` is not known here" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["unknown"] == [f"file://{typed}"]
    assert answer["removed"]["features"] == 2
    assert not any(path.exists() for path in known)
    (receipt,) = receipts(place)
    assert json.loads(receipt.read_text()) | {"unknown": answer["unknown"], "before": {}} == answer
    assert str(typed) not in receipt.read_text()


def test_a_photo_that_no_run_has_seen_is_erased(fruitsctl, place):
    new = place / "photos" / "new.jpg"
    shutil.copy(min((place / "photos").glob("*/*.jpg")), new)

    copy = place / "tmp" / "fruitsctl-report-1"  # of a report on S3
    copy.mkdir(parents=True)
    fruitsctl = Command(fruitsctl.env["FRUITS_CACHE"], {**fruitsctl.env, "TMPDIR": str(place / "tmp")})

    done = fruitsctl("forget", new, "--output", place / "out", "--yes", "--json")

    assert (done.returncode, done.stderr.count("not known")) == (0, 0), done.stderr
    assert not new.exists()
    assert not copy.exists()
    answer = json.loads(done.stdout)
    assert (answer["removed"]["photos"], answer["unknown"]) == (1, [])
    assert len(receipts(place)) == 1


def test_a_photo_whose_file_is_gone_is_known_as_long_as_a_run_has_it_and_then_it_was_erased_before(fruitsctl, place):
    """Also for a command that was killed after the erasure had ended, and is repeated."""
    one, never = min((place / "photos").glob("*/*.jpg")), place / "photos" / "never.jpg"
    one.unlink()
    words = ("forget", one, "--output", place / "out")

    first = fruitsctl(*words, "--yes", "--json")
    (receipt,) = receipts(place)
    again, planned = fruitsctl(*words, "--yes"), fruitsctl(*words, never, "--dry-run", "--json")

    assert (first.returncode, again.returncode, planned.returncode) == (0, 0, 1), first.stderr
    assert len(ds.dataset(next((place / "out").glob("runs/*/pca"))).to_table()) == 59
    at = json.loads(receipt.read_text())["at"]
    assert again.stdout == f"Nothing to erase in {place / 'out'}.\n{one} was erased before: {at}\n"
    answer = json.loads(planned.stdout)
    assert (answer["before"], answer["unknown"]) == ({f"file://{one}": at}, [f"file://{never}"])
    assert receipts(place) == [receipt]


def test_a_photo_that_came_back_outside_of_input_is_not_said_to_be_erased(fruitsctl, place):
    one = min((place / "photos").glob("*/*.jpg"))
    content = one.read_bytes()
    words = ("forget", one, "--output", place / "out", "--yes")
    fruitsctl(*words)
    shutil.rmtree(next((place / "out").glob("runs/*")))  # nothing tells any more that it is in INPUT
    one.write_bytes(content)

    again = fruitsctl(*words)

    assert again.returncode == 1
    assert f"`{one}` is not known here" in again.stderr


def test_a_photo_outside_of_input_is_not_known_by_address_or_prefix_and_stays(fruitsctl, place):
    """It may be that of another OUTPUT, where its features would stay."""
    others, known = place / "others", min((place / "photos").glob("*/*.jpg"))
    shutil.copytree(place / "photos", others)
    one = others / known.relative_to(place / "photos")
    words = ("forget", known, one, "--prefix", f"{others}/", "--output", place / "out", "--json")

    planned, done = fruitsctl(*words, "--dry-run"), fruitsctl(*words, "--yes")

    assert (planned.returncode, done.returncode) == (1, 1)
    for answer in (json.loads(planned.stdout), json.loads(done.stdout)):
        assert answer["unknown"] == [f"file://{others}/", f"file://{one}"]
    assert (
        f"addresses are not known here: {place / 'out'} and the INPUT of its runs do not have them:\n  {others}/\n  {one}\n" in done.stderr
    )
    assert len(list(others.glob("*/*.jpg"))) == 60
    assert not known.exists()


def test_a_folder_without_prefix_is_no_photo(fruitsctl, place):
    folder = min((place / "photos").iterdir())

    done = fruitsctl("forget", folder, "--output", place / "out", "--yes")

    assert done.returncode == 1
    assert "a folder needs --prefix" in done.stderr
    assert len(list(folder.iterdir())) == 10


def test_an_output_without_results_is_refused_and_the_photo_stays(fruitsctl, place):
    """Its features would stay in the real one."""
    photo = next((place / "photos").glob("*/*.jpg"))

    done = fruitsctl("forget", photo, "--output", place / "oui", "--yes")

    assert done.returncode == 2
    assert done.stderr.endswith(
        f"error: there are no results in `{place / 'oui'}`\n\nhint: give the OUTPUT of the runs that have the photos\n"
    )
    assert photo.exists()
    assert not (place / "oui").exists()


def test_the_addresses_that_a_killed_forget_left_in_the_temporary_folder_go_with_the_next_one(fruitsctl, place):
    temporary, photo = place / "tmp", min((place / "photos").glob("*/*.jpg"))
    temporary.mkdir()
    command = Command(Path(fruitsctl.env["FRUITS_CACHE"]), {**fruitsctl.env, "TMPDIR": str(temporary)})
    words = ("forget", photo, "--output", place / "out", "--dry-run")
    killed = command.start(*words)
    try:
        while not list(temporary.glob("*/targets.json")):
            assert killed.poll() is None
            time.sleep(0.01)
    finally:
        killed.kill()
        killed.communicate()
    assert [photo.name in path.read_text() for path in temporary.rglob("targets.json")] == [True]

    assert command(*words).returncode == 0
    assert list(temporary.rglob("targets.json")) == []


@pytest.mark.parametrize("rows", ["100000", "0"], ids=["here", "by Spark"])
def test_what_would_go_is_the_same_with_and_without_spark(fruitsctl, place, rows):
    """A copy elsewhere has the same numbers."""
    photo, other = sorted((place / "photos").glob("*/*.jpg"))[:2]
    shutil.copy(photo, other)
    fruitsctl.run(place / "photos", place / "out", "--model", "mean_colour", "--components", "2")
    command = Command(Path(fruitsctl.env["FRUITS_CACHE"]), {**fruitsctl.env, "FRUITS_DRIVER_ROWS": rows})

    answer = json.loads(command("forget", photo, "--output", place / "out", "--dry-run", "--json").stdout)

    assert (answer["images"], answer["copies"], answer["photos"]) == ([f"file://{photo}"], [f"file://{other}"], 1)
