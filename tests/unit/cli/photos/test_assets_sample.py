"""The sample photos: out of the published archive by ranges, or out of a folder."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import cli
from cli.errors import AssetError, UsageError
from cli.photos.assets import SampleResult, sample
from tests.unit.cli.asset_files import file_size_limit, files_in, silent

TRAINING = "fruits-360_dataset/fruits-360/Training"
SPREAD = ["60_100.jpg", "210_100.jpg", "r_60_100.jpg", "r_210_100.jpg"]  # of both videos, from all of each

pytestmark = pytest.mark.usefixtures("short_pauses")


def assert_published(files: dict[str, bytes], published: dict[str, dict[str, bytes]]) -> None:
    for name, content in files.items():
        label, file = name.split("/")
        assert content == published[label][file], name


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return buffer.getvalue()


def test_photos_are_the_published_bytes_under_their_labels(server: Any, archive: bytes, published: Any, tmp_path: Path) -> None:
    result = sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", archive))

    chosen = dict.fromkeys(("Banana", "Lemon", "Tomato not Ripened"), SPREAD)
    expected = {f"{label}/{name}": published[label][name] for label, names in chosen.items() for name in names}
    assert files_in(tmp_path) == expected
    assert result == SampleResult(images=12, classes=3, bytes=sum(map(len, expected.values())), already=0)


def test_the_archive_and_the_folder_give_the_same_photos(server: Any, archive: bytes, assets: Path, tmp_path: Path) -> None:
    sample(tmp_path / "network", 31, 4, None, silent, server.serve("fruits.zip", archive))
    sample(tmp_path / "folder", 31, 4, assets, silent, "http://never.invalid/")

    assert len(files_in(tmp_path / "network")) == 31
    assert files_in(tmp_path / "network") == files_in(tmp_path / "folder")


def test_far_fewer_bytes_than_the_archive_cross_the_network(server: Any, archive: bytes, tmp_path: Path) -> None:
    sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", archive))

    assert len(archive) > 8_000_000
    assert server.sent < 150_000  # the last 64 KiB with the directory, 12 photos of 4 to 6 KB


def test_a_repeated_call_fetches_the_directory_alone(server: Any, archive: bytes, tmp_path: Path) -> None:
    url = server.serve("fruits.zip", archive)
    sample(tmp_path, 12, 3, None, silent, url)
    server.requests.clear()

    result = sample(tmp_path, 12, 3, None, silent, url)

    assert result.already == 12
    assert [request.range for request in server.requests] == ["bytes=-65536"]


def test_progress_ends_at_all_images_and_counts_those_already_there(assets: Path, tmp_path: Path) -> None:
    sample(tmp_path, 12, 3, assets, silent)
    (tmp_path / "Lemon" / "60_100.jpg").unlink()
    seen: list[tuple[int, int | None]] = []

    sample(tmp_path, 12, 3, assets, lambda done, total: seen.append((done, total)))

    assert seen == [(0, 12), (11, 12), (12, 12)]


def test_an_interrupted_call_is_completed_by_the_next_with_only_what_is_missing(
    server: Any, archive: bytes, published: Any, tmp_path: Path
) -> None:
    url = server.serve("fruits.zip", archive)
    server.healthy_requests = 8  # the directory and 7 photos
    with pytest.raises(AssetError, match="returned 503"):
        sample(tmp_path, 60, 6, None, silent, url)
    before = files_in(tmp_path)
    assert 1 <= len(before) <= 7
    assert_published(before, published)

    server.healthy_requests = None
    server.requests.clear()
    result = sample(tmp_path, 60, 6, None, silent, url)

    assert result.already == len(before)
    assert len(files_in(tmp_path)) == 60
    assert len(server.requests) == 1 + 60 - len(before)


def test_a_killed_process_leaves_whole_photos_only(server: Any, archive: bytes, published: Any, tmp_path: Path) -> None:
    url = server.serve("fruits.zip", archive)
    server.stall_after = 30
    call = f"from pathlib import Path; from cli.photos.assets import sample; sample(Path('.'), 60, 6, None, lambda *_: None, {url!r})"
    root = str(Path(cli.__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", call], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root})
    assert server.stalled.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()

    visible = {name: content for name, content in files_in(tmp_path).items() if name.endswith(".jpg")}
    assert visible
    assert_published(visible, published)

    server.stall_after = None
    server.release.set()
    assert sample(tmp_path, 60, 6, None, silent, url).already == len(visible)
    assert sum(name.endswith(".jpg") for name in files_in(tmp_path)) == 60


def test_a_photo_of_the_wrong_size_is_fetched_again(server: Any, archive: bytes, published: Any, tmp_path: Path) -> None:
    url = server.serve("fruits.zip", archive)
    sample(tmp_path, 12, 3, None, silent, url)
    (tmp_path / "Banana" / "r_60_100.jpg").write_bytes(b"half a pho")

    assert sample(tmp_path, 12, 3, None, silent, url).already == 11
    assert (tmp_path / "Banana" / "r_60_100.jpg").read_bytes() == published["Banana"]["r_60_100.jpg"]


@pytest.mark.parametrize("cuts", [[0], [1000], [70_000, 100, 2000, 3000]])
def test_a_connection_that_breaks_is_tried_again(server: Any, archive: bytes, tmp_path: Path, cuts: list[int]) -> None:
    server.cuts = cuts

    assert sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", archive)).images == 12
    assert len(files_in(tmp_path)) == 12


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Any, archive: bytes, tmp_path: Path, status: int) -> None:
    server.failures = [status, status]

    assert sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", archive)).images == 12
    assert [request.status for request in server.requests[:3]] == [status, status, 206]


def test_a_server_without_ranges_is_named_before_the_archive_is_read(server: Any, tmp_path: Path) -> None:
    server.ranges = False
    url = server.serve("fruits.zip", bytes(64_000_000))

    with pytest.raises(AssetError) as caught:
        sample(tmp_path, 12, 3, None, silent, url)

    assert str(caught.value) == f"`{url}` does not support range requests (a proxy may remove them)"
    assert len(server.requests) == 1
    assert server.sent < 16_000_000  # what socket buffers hold
    assert files_in(tmp_path) == {}


def test_a_member_whose_bytes_do_not_fit_its_crc_is_not_written(server: Any, archive: bytes, published: Any, tmp_path: Path) -> None:
    photo = published["Banana"]["210_100.jpg"]  # stored, not deflated: found as it is
    begin = archive.index(photo)
    damaged = archive[: begin + 2000] + bytes([archive[begin + 2000] ^ 1]) + archive[begin + 2001 :]

    with pytest.raises(AssetError, match=r"`fruits-360_dataset/fruits-360/Training/Banana/210_100\.jpg` from .* is damaged: Bad CRC-32"):
        sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", damaged))

    assert not [name for name in files_in(tmp_path) if name == "Banana/210_100.jpg" or name.endswith(".part")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_local_header_overwritten_with_noise_is_an_error(server: Any, tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        target.writestr(f"{TRAINING}/Kiwi/1_100.jpg", bytes(range(256)) * 20)
    damaged = b"\xff" * 60 + buffer.getvalue()[60:]

    with pytest.raises(AssetError, match="is damaged"):
        sample(tmp_path, 1, 1, None, silent, server.serve("fruits.zip", damaged))
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("beyond", [-20, 0, 1000])
def test_a_directory_that_points_elsewhere_is_an_error(server: Any, tmp_path: Path, beyond: int) -> None:
    content = bytearray(zipped({f"{TRAINING}/Kiwi/1_100.jpg": b"photo"}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 42 : directory + 46] = (directory + beyond).to_bytes(4, "little")  # where the member is said to begin

    with pytest.raises(AssetError, match=r"is not a readable ZIP archive|is damaged"):
        sample(tmp_path, 1, 1, None, silent, server.serve("fruits.zip", bytes(content)))


@pytest.mark.parametrize(
    "name",
    [f"{TRAINING}/../evil.jpg", f"{TRAINING}/Banana/../../../../../evil.jpg", "/etc/evil.jpg", "..\\evil.jpg", "C:/evil.jpg"],
)
def test_an_archive_with_a_name_that_leaves_its_folder_is_refused(server: Any, tmp_path: Path, name: str) -> None:
    url = server.serve("fruits.zip", zipped({f"{TRAINING}/Kiwi/1_100.jpg": b"photo", name: b"evil"}))

    with pytest.raises(AssetError, match="contains a path outside its folder"):
        sample(tmp_path / "photos", 1, 1, None, silent, url)
    assert files_in(tmp_path) == {}


def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing_half_written(assets: Path, tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(AssetError, match=r"cannot write `.*_100\.jpg`: File too large") as caught:
        sample(tmp_path, 12, 3, assets, silent)

    assert caught.value.hint == "free space there, or choose another folder"
    assert files_in(tmp_path) == {}


def test_a_file_in_the_place_of_a_label_folder_is_an_error(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "Lemon").write_bytes(b"mine")

    with pytest.raises(AssetError, match=r"cannot write `.*Lemon"):
        sample(tmp_path, 12, 3, assets, silent)
    assert (tmp_path / "Lemon").read_bytes() == b"mine"


def test_offline_and_without_assets_the_error_names_both_ways(closed_url: str, tmp_path: Path) -> None:
    with pytest.raises(AssetError) as caught:
        sample(tmp_path, 12, 3, None, silent, closed_url)

    assert str(caught.value) == f"cannot get the sample photos: no response from `{closed_url}` (Connection refused)"
    assert caught.value.hint == (
        f"allow access to {closed_url}, or set FRUITS_ASSETS=DIR to a folder with "
        "weights/ (one *no_top*.h5) and fruits-360-sample/Training/<label>/ (JPEG photos), or draw photos with --generated"
    )
    assert caught.value.exit_code == 2


def test_assets_without_photos_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no photos in `.*fruits-360-sample/Training`") as caught:
        sample(tmp_path / "photos", 12, 3, tmp_path, silent, "http://never.invalid/fruits.zip")

    assert caught.value.hint.startswith("allow access to http://never.invalid/fruits.zip, or set FRUITS_ASSETS=DIR")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>moved</html>", "is not a readable ZIP archive"),
        (zipped({"elsewhere/1_100.jpg": b"photo"}), "unexpected layout"),
        (zipped({}), "unexpected layout"),
    ],
    ids=["no ZIP", "other layout", "empty"],
)
def test_another_file_at_the_url_is_an_error(server: Any, tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(AssetError, match=message):
        sample(tmp_path, 12, 3, None, silent, server.serve("fruits.zip", content))


@pytest.mark.parametrize(
    ("images", "classes", "message"),
    [
        (2, 3, "`2` images of `3` classes: each needs at least one"),
        (0, 0, "`0` images of `0` classes: each needs at least one"),
        (200, 7, "`7` classes requested, there are 6"),
        (21, 1, "`21` images of `Lemon` requested, there are 20"),
    ],
)
def test_more_than_there_is_cannot_be_asked(assets: Path, tmp_path: Path, images: int, classes: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        sample(tmp_path, images, classes, assets, silent)
    assert str(caught.value) == message


@pytest.mark.parametrize("classes", [3, "all"])
def test_too_many_images_are_refused_with_what_is_possible(assets: Path, tmp_path: Path, classes: Any) -> None:
    folders = list((assets / "fruits-360-sample" / "Training").iterdir())
    count = len(folders) if classes == "all" else classes

    with pytest.raises(UsageError, match="requested, there are") as refused:
        sample(tmp_path / "photos", 1000 * count, count, assets, silent)

    most = re.fullmatch(r"use --images (\d+) or less(, or raise --classes)?", refused.value.hint)
    assert most
    assert (most[2] is None) == (classes == "all")
    assert sample(tmp_path / "photos", int(most[1]), count, assets, silent).images == int(most[1])


def test_a_photo_where_a_file_or_a_closed_folder_is_in_the_way_is_not_said_to_lack_space(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AssetError, match=r"cannot write `.*`: Not a directory") as refused:
        sample(tmp_path / "file" / "photos", 12, 3, assets, silent)
    assert refused.value.hint == "choose another folder"


def test_the_same_retry_is_said_once(server: Any, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = server.serve("fruits.zip", archive)
    server.failures = [503] * 3

    sample(tmp_path, 6, 3, None, silent, url)

    said = capsys.readouterr().err.splitlines()
    assert said == [f"cannot get the sample photos: `{url}` returned 503 Service Unavailable; trying again in 0.01 s"]
