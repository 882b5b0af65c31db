"""A file of the CLI is replaced whole or not at all."""

import pytest

from cli.settings.atomic_write import atomic_write


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "new" / "a.json"
    for text in ("old", "new"):
        with atomic_write(path) as part:
            part.write_text(text)
            assert not path.exists() or path.read_text() == "old"

    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_the_old_one_stays_and_nothing_is_left(tmp_path, error):
    path = tmp_path / "a.json"
    path.write_text("old")

    def write():
        with atomic_write(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()

    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_where_nothing_was_written_the_old_one_stays(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    with atomic_write(path):
        pass

    assert path.read_text() == "old"
