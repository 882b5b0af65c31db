"""Local folders to rows, without Spark."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from job.contract import filenames
from job.contract.errors import InputError
from job.contract.filenames import FolderToList, ListingRow, ignored_kind, label_of
from job.contract.uris import from_text
from job.stages.listing import check_input, check_no_overlap, folders_to_list, list_folders, to_batches
from job.storage.schema import FOUND
from tests.unit.job import hostile
from tests.unit.job.odd_files import REASONS, write_odd_files

NOBODY = 65534


def listed(root: Path, content_hash: bool = False, at_least: int = 8) -> list[ListingRow]:
    """All rows below `root`, shared out and listed as the job does it."""
    uri = from_text(str(root))
    return list(list_folders(uri, folders_to_list(uri, at_least), content_hash))


def names(rows: list[ListingRow], root: Path) -> list[str]:
    """What was listed as images, relative to `root`."""
    return sorted(row.uri.removeprefix(f"file://{root}/") for row in rows if row.etag is not None and row.uri is not None)


def problems(rows: list[ListingRow], root: Path) -> dict[str, str]:
    return {str(row.uri).removeprefix(f"file://{root}/"): row.problem for row in rows if row.problem is not None}


def write(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def as_nobody(function: Callable[[], Any]) -> Any:
    """What `function` returns or raises in a child process without root's right to read everything."""
    read, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            answer: Any = function()
        except Exception as error:  # crosses to the parent, which raises it
            answer = error
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read, "rb") as pipe:
        answer = pickle.load(pipe)
    os.waitpid(child, 0)
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_every_name_of_the_hostile_folder_is_listed_as_it_is(tmp_path: Path):
    expected = hostile.write_hostile_folder(tmp_path)

    assert names(listed(tmp_path), tmp_path) == sorted(expected)


def test_a_row_says_uri_etag_size_and_label(tmp_path: Path):
    write(tmp_path / "Apple Red 1" / "a b#1%20.jpg", b"12345")
    os.utime(tmp_path / "Apple Red 1" / "a b#1%20.jpg", ns=(0, 1_700_000_000_123_456_789))

    assert listed(tmp_path) == [ListingRow(f"file://{tmp_path}/Apple Red 1/a b#1%20.jpg", "5-1700000000123456789", 5, "Apple Red 1")]


def test_the_label_is_the_folder_that_it_is_in_and_none_straight_in_input():
    assert label_of("file:///photos/Training/Apple/1.jpg", "file:///photos") == "Apple"
    assert label_of("file:///photos/1.jpg", "file:///photos") is None
    assert label_of("file:///Apple/1.jpg", "file:///") == "Apple"
    assert label_of("s3://bucket/Apple/1.jpg", "s3://bucket") == "Apple"
    assert label_of("s3://bucket/1.jpg", "s3://bucket") is None
    assert label_of("s3://bucket/photos/k=v/1.jpg", "s3://bucket/photos") == "k=v"


def test_a_content_hash_follows_the_content_and_not_the_time(tmp_path: Path):
    write(tmp_path / "a.jpg", b"fruit")
    write(tmp_path / "b.jpg", b"fruit")
    os.utime(tmp_path / "b.jpg", ns=(0, 0))

    etags = {row.etag for row in listed(tmp_path, content_hash=True)}

    assert etags == {"9209526aaa61b0709dbb838e14686a26c4a03b53e8eedf34c7e5f6f606110d8c"}  # printf fruit | sha256sum


def test_size_and_time_tell_a_changed_file(tmp_path: Path):
    write(tmp_path / "a.jpg", b"old")
    os.utime(tmp_path / "a.jpg", ns=(0, 1))
    before = listed(tmp_path)
    write(tmp_path / "a.jpg", b"new")

    assert listed(tmp_path) != before


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "a.JPG",
        "a.jpeg",
        "a.jfif",
        "a.png",
        "a.gif",
        "a.webp",
        "a.bmp",
        "a.tif",
        "a.TIFF",
        "a.jpe",
        "a.HEIC",
        "a.heif",
        "a.hif",
        "a.avif",
    ],
)
def test_images_are_known_by_their_suffix(name: str):
    assert ignored_kind(name) is None


@pytest.mark.parametrize(
    ("name", "counted_as"),
    [
        ("notes.txt", ".txt"),
        ("IMG_1.MOV", ".mov"),
        ("clip.mp4", ".mp4"),
        ("archive.7z", ".7z"),
        ("README", "(none)"),
        (".DS_Store", "(none)"),
        (".jpg", "(none)"),
        ("data.000123", "(other)"),
        ("a.jpg ", "(other)"),
        ("a.averylongsuffix", "(other)"),
        ("a.é", "(other)"),
        ("._IMG_1.jpg", "._*"),
        (".a.jpg", ".*"),
        (".trashed-1790000000-a.jpg", ".*"),
    ],
)
def test_other_files_are_counted_under_few_names(name: str, counted_as: str):
    assert ignored_kind(name) == counted_as


def test_ignored_files_are_counted_by_suffix(tmp_path: Path):
    for name in ("a.txt", "b.txt", "Apple/c.txt", "Apple/d.mov", "Apple/e.jpg"):
        write(tmp_path / name)

    rows = list(list_folders(from_text(str(tmp_path)), [FolderToList(f"file://{tmp_path}/", deep=True)]))

    counts = sorted((row.suffix, row.files) for row in rows if row.suffix)
    assert counts == [(".mov", 1), (".txt", 3)]
    assert names(rows, tmp_path) == ["Apple/e.jpg"]


@pytest.mark.parametrize(
    "folder", [".ipynb_checkpoints", "@eaDir", "#recycle", "$RECYCLE.BIN", ".Trash-1000", ".thumbnails", "@Recycle", "__MACOSX"]
)
def test_photos_in_hidden_and_system_folders_are_skipped_and_counted(tmp_path: Path, folder: str):
    for name in (f"{folder}/a.jpg", f"{folder}/Apple/b.jpg", f"Apple/{folder}/c.jpg", "Apple/d.jpg"):
        write(tmp_path / name)

    rows = list(list_folders(from_text(str(tmp_path)), [FolderToList(f"file://{tmp_path}/", deep=True)]))

    assert names(rows, tmp_path) == ["Apple/d.jpg"]
    assert [(row.suffix, row.files) for row in rows if row.suffix] == [(f"{folder}/", 3)]


def test_an_input_that_is_itself_below_a_hidden_folder_is_listed(tmp_path: Path):
    write(tmp_path / ".cache" / "photos" / "Apple" / "a.jpg")

    assert names(listed(tmp_path / ".cache" / "photos"), tmp_path / ".cache" / "photos") == ["Apple/a.jpg"]


@pytest.mark.parametrize("name", ["P\u00eache", "Pe\u0302che", " P\u00eache", "Pe\u0302che  "])
def test_names_that_print_alike_are_one_label(name: str):
    assert label_of(f"s3://bucket/{name}/1.jpg", "s3://bucket") == "P\u00eache"


def test_a_pattern_as_input_is_told_from_a_wrong_path(tmp_path: Path):
    with pytest.raises(InputError) as error:
        check_input(f"file://{tmp_path}/*/*.jpg")

    assert error.value.hint == "give the folder with the photos, not a pattern"


def test_symbolic_links_are_followed_and_loops_end(tmp_path: Path):
    photos = tmp_path / "photos"
    write(photos / "Apple" / "a.jpg")
    write(tmp_path / "elsewhere" / "b.jpg")
    os.symlink(tmp_path / "elsewhere", photos / "Banana")
    os.symlink(photos / "Apple" / "a.jpg", photos / "Apple" / "link.jpg")
    os.symlink(photos, photos / "Apple" / "up")
    os.symlink(".", photos / "here")

    for at_least in (1, 1000):  # listed in one task, and cut as fine as can be
        rows = listed(photos, at_least=at_least)
        assert names(rows, photos) == ["Apple/a.jpg", "Apple/link.jpg", "Banana/b.jpg"]
        assert problems(rows, photos) == {}


def test_what_a_name_promises_but_is_not_there_is_a_problem(tmp_path: Path):
    write(tmp_path / "Apple" / "a.jpg")
    os.symlink("itself", tmp_path / "Apple" / "itself")
    write_odd_files(tmp_path / "Apple")

    rows = listed(tmp_path)

    assert names(rows, tmp_path) == ["Apple/a.jpg"]
    expected = {f"Apple/{name}": reason for name, reason in REASONS.items()}
    assert problems(rows, tmp_path) == expected | {"Apple/itself": "too many levels of symbolic links"}


def test_a_name_that_is_not_utf8_is_a_problem_and_not_lost(tmp_path: Path):
    write(tmp_path / "Apple" / "a.jpg")
    os.mkdir(os.fsencode(tmp_path) + b"/P\xeache")
    for name in (b"/Apple/\xe9t\xe9.jpg", b"/P\xeache/p.jpg"):  # ISO 8859-1, as old disks have it
        with open(os.fsencode(tmp_path) + name, "wb") as file:
            file.write(b"x")

    rows = listed(tmp_path)

    assert names(rows, tmp_path) == ["Apple/a.jpg"]
    assert problems(rows, tmp_path) == {
        "Apple/\\xe9t\\xe9.jpg": "file name is not UTF-8",
        "P\\xeache/p.jpg": "file name is not UTF-8",
    }
    assert sum(batch.num_rows for batch in to_batches(rows)) == 3  # Arrow takes them all


def test_what_may_not_be_read_is_a_problem_and_the_rest_is_listed(open_folder: Path):
    for name in ("Apple/a.jpg", "closed/b.jpg", "no entry/c.jpg", "deep/closed/d.jpg"):
        write(open_folder / name)
    os.chmod(open_folder / "closed", 0o000)
    os.chmod(open_folder / "deep" / "closed", 0o000)
    os.chmod(open_folder / "no entry", 0o444)  # its names may be read, its files not

    rows = as_nobody(lambda: listed(open_folder))

    assert names(rows, open_folder) == ["Apple/a.jpg"]
    assert problems(rows, open_folder) == {
        "closed": "permission denied",
        "deep/closed": "permission denied",
        "no entry/c.jpg": "permission denied",
    }


def test_a_file_that_may_not_be_read_is_listed_and_only_its_content_hash_is_a_problem(open_folder: Path):
    write(open_folder / "secret.jpg")
    os.chmod(open_folder / "secret.jpg", 0o000)

    assert names(as_nobody(lambda: listed(open_folder)), open_folder) == ["secret.jpg"]
    assert problems(as_nobody(lambda: listed(open_folder, content_hash=True)), open_folder) == {"secret.jpg": "permission denied"}


def test_an_input_that_may_not_be_read_ends_the_run(open_folder: Path):
    (open_folder / "photos").mkdir(mode=0o000)

    with pytest.raises(InputError, match=r"^cannot read `.*/photos`: permission denied$"):
        as_nobody(lambda: check_input(from_text(str(open_folder / "photos"))))


def test_an_input_that_is_missing_or_a_file_ends_the_run_with_a_hint(tmp_path: Path):
    write(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"^there is no folder `.*/nowhere`$") as missing:
        check_input(from_text(str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match=r"^`.*/a.jpg` is a file$") as file:
        check_input(from_text(str(tmp_path / "a.jpg")))

    assert (missing.value.code, file.value.code) == (2, 2)
    assert missing.value.hint
    assert file.value.hint


def test_an_empty_folder_has_no_rows(tmp_path: Path):
    (tmp_path / "Apple").mkdir()
    check_input(from_text(str(tmp_path)))

    assert listed(tmp_path) == []


@pytest.mark.parametrize("at_least", [1, 3, 5, 100])
def test_every_file_is_in_exactly_one_share(tmp_path: Path, at_least: int):
    tree = ["a.jpg", "Test/Apple/1.jpg", "Test/Apple/2.jpg", "Test/Pear/1.jpg", "Test/t.jpg", "Training/Apple/1/2/3/4/5/6/7/8/9.jpg"]
    for name in tree:
        write(tmp_path / name)

    folders = folders_to_list(from_text(str(tmp_path)), at_least)

    assert sorted(name for folder in folders for name in names(listed_in(tmp_path, folder), tmp_path)) == sorted(tree)


def listed_in(root: Path, folder: FolderToList) -> list[ListingRow]:
    return list(list_folders(from_text(str(root)), [folder]))


def test_folders_are_cut_finer_only_while_there_are_too_few(tmp_path: Path):
    for name in ("Test/Apple/1.jpg", "Test/Pear/1.jpg", "Training/Apple/1.jpg", "Training/Pear/1.jpg"):
        write(tmp_path / name)
    uri = from_text(str(tmp_path))

    assert sorted(folders_to_list(uri, 2)) == [FolderToList(f"{uri}/Test/", True), FolderToList(f"{uri}/Training/", True)]
    assert sorted(folder.uri.removeprefix(uri) for folder in folders_to_list(uri, 3)) == [
        "/Test/Apple/",
        "/Test/Pear/",
        "/Training/Apple/",
        "/Training/Pear/",
    ]


def test_a_folder_with_very_many_files_is_left_to_a_task(tmp_path: Path):
    for number in range(filenames.MAX_LOOSE + 1):
        (tmp_path / f"{number}.jpg").touch()
    write(tmp_path / "Apple" / "a.jpg")

    assert folders_to_list(from_text(str(tmp_path)), 8) == [FolderToList(f"file://{tmp_path}/", True)]
    assert len(listed(tmp_path)) == 10_002


def test_rows_become_arrow_batches_of_bounded_size():
    batches = list(to_batches(ListingRow(f"file:///{n}.jpg", "e", n, None) for n in range(10_000)))

    assert [batch.num_rows for batch in batches] == [4096, 4096, 1808]
    assert batches[0].schema == FOUND


def test_output_inside_input_is_refused(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    os.symlink(tmp_path / "photos", tmp_path / "link")
    photos = from_text(str(tmp_path / "photos"))

    for output in ("photos", "photos/out", "link/out", "photos/Apple/../out"):
        with pytest.raises(InputError, match=r"^OUTPUT `.*` is inside INPUT `.*`$") as refused:
            check_no_overlap(photos, from_text(str(tmp_path / output)))
        assert (refused.value.code, bool(refused.value.hint)) == (2, True)
    for output in ("s3://bucket", "s3://bucket/photos/out", "s3://bucket/photos"):
        with pytest.raises(InputError):
            check_no_overlap("s3://bucket" if output == "s3://bucket" else "s3://bucket/photos", output)


def test_output_beside_or_above_input_is_fine_unless_input_is_of_its_making(tmp_path: Path):
    out = from_text(str(tmp_path / "out"))
    check_no_overlap(from_text(str(tmp_path / "photos")), from_text(str(tmp_path / "photos-out")))
    check_no_overlap(from_text(str(tmp_path / "out" / "photos")), out)
    check_no_overlap("s3://bucket/photos", "s3://bucket/photos-out")
    check_no_overlap("s3://bucket/photos", "s3://bucket")
    check_no_overlap("s3://bucket/photos", out)

    for name in ("features", "rejects", "runs", "moments", "work", "runs/1/pca"):
        with pytest.raises(InputError, match=r"^INPUT `.*` contains results of OUTPUT `.*`$"):
            check_no_overlap(from_text(str(tmp_path / "out" / name)), out)
