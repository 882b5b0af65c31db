"""Symbolic links: a photo is forgotten by any path that leads to it."""

import pytest

from job.contract.errors import InputError
from tests.spark.erasure.traces import files_that_hold, stored


@pytest.fixture
def linked(run_job, photos, tmp_path):
    """(OUTPUT, link): a run whose INPUT is a symbolic link to the photos."""
    output, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(photos)
    run_job(link, output, components=2)
    return output, link


@pytest.mark.parametrize("by_prefix", [False, True], ids=["address", "prefix"])
@pytest.mark.parametrize("through", ["real path", "link", "another link"])
def test_a_photo_is_forgotten_by_any_path_that_leads_to_it(forget, linked, photos, tmp_path, through, by_prefix):
    output, link = linked
    (tmp_path / "other").symlink_to(photos)
    one = min(photos.glob("*/*.jpg"))
    typed = {"real path": photos, "link": link, "another link": tmp_path / "other"}[through] / one.relative_to(photos)

    done = forget(output, [] if by_prefix else [typed], prefixes=[f"file://{typed}"] if by_prefix else [])

    assert not one.exists()
    assert len(stored(output)) == 59
    assert (done.removed["features"], done.removed["rows"], done.found) == (1, 1, [])
    assert files_that_hold(output, f"{one.parent.name}/{one.name}".encode()) == []


def test_a_folder_is_forgotten_by_a_link_to_it(forget, linked, photos, tmp_path):
    output, _ = linked
    label = min(photos.iterdir())
    (tmp_path / "a fruit").symlink_to(label)

    assert len(forget(output, prefixes=[f"file://{tmp_path}/a fruit"], only_plan=True).photos) == 20  # each by its link and its path
    forget(output, prefixes=[f"file://{tmp_path}/a fruit/"])
    assert list(label.iterdir()) == []
    assert len(stored(output)) == 50


def test_a_reject_is_forgotten_by_the_path_without_the_link(run_job, forget, linked, photos):
    output, link = linked
    broken = photos / "Broken" / "torn.jpg"
    broken.parent.mkdir()
    broken.write_bytes(min(photos.glob("*/*.jpg")).read_bytes()[:300])
    run_job(link, output, components=2)

    assert forget(output, [broken]).removed["rejects"] == 1
    assert files_that_hold(output, b"torn.jpg") == []


def test_output_by_a_link_is_no_photo(forget, after_a_run, tmp_path):
    output, _ = after_a_run
    (tmp_path / "results").symlink_to(output)

    with pytest.raises(InputError, match="is part of OUTPUT"):
        forget(output, prefixes=[f"file://{tmp_path}/results/features/"])
