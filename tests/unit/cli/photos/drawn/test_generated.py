"""Photos drawn from a seed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli
from cli.errors import AssetError, UsageError
from cli.photos.assets import SampleResult
from cli.photos.drawn.fruits import DRAWINGS
from cli.photos.drawn.generated import KINDS, draw_photo, generate_photos
from cli.photos.drawn.scene import as_jpeg, upright
from job.contract.orientation import orientation
from job.imaging.decode import decode_image
from tests.unit.cli.asset_files import file_size_limit


def names_and_bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def photos() -> list[tuple[str, bytes]]:
    """8 of each kind."""
    return [(kind, draw_photo(kind, 3, number)) for kind in KINDS for number in range(8)]


def orientations(contents: list[bytes]) -> Counter[int]:
    return Counter(orientation(content) for content in contents)


def test_every_kind_has_a_drawing() -> None:
    assert set(KINDS) == set(DRAWINGS)
    assert len(KINDS) == len(set(KINDS)) == 25


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    call = (
        "import hashlib; from cli.photos.drawn.generated import KINDS, draw_photo;"
        "print(hashlib.sha256(b''.join(draw_photo(kind, 5, 1) for kind in KINDS)).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "PYTHONHASHSEED": "77"}
    other = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert other == hashlib.sha256(b"".join(draw_photo(kind, 5, 1) for kind in KINDS)).hexdigest()


def test_no_two_photos_are_the_same() -> None:
    drawn = {draw_photo(kind, seed, number) for kind in KINDS[:3] for seed in (0, 1) for number in (0, 1)}

    assert len(drawn) == 12


def test_each_is_a_jpeg_that_the_job_decodes(photos: list[tuple[str, bytes]]) -> None:
    sizes = set()
    for kind, content in photos:
        decoded = decode_image(content, 224)
        assert decoded.pixels.shape == (224, 224, 3), kind
        assert decoded.pixels.std() > 10, kind  # not one colour
        sizes.add((decoded.width, decoded.height))
    assert all(100 <= side <= 500 for size in sizes for side in size)
    assert len(sizes) > 100


def test_some_are_stored_turned_as_cameras_do(photos: list[tuple[str, bytes]]) -> None:
    counted = orientations([content for _, content in photos])

    assert set(counted) == {1, 3, 6, 8}
    assert 0.1 < 1 - counted[1] / len(photos) < 0.3


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_decoder_turns_what_is_stored_turned(turn: int) -> None:
    image = upright("Pear", np.random.default_rng(0))
    expected = np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)

    content = as_jpeg(image, turn, quality=95)

    assert orientation(content) == turn
    assert np.abs(decode_image(content, 64).pixels - expected).mean() < 2  # what JPEG loses; turned wrongly it is over 20


def features(content: bytes) -> np.ndarray:
    """Colours of 8 x 8 fields: no network, and little enough for shape to matter less than colour."""
    return decode_image(content, 8).pixels.astype(float).ravel()


def test_photos_of_one_label_are_alike(photos: list[tuple[str, bytes]]) -> None:
    """Of the photo next to each by a crude feature, many have its label; by chance 4 % would."""
    labels = np.array([kind for kind, _ in photos])
    points = np.array([features(content) for _, content in photos])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)

    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.25


def test_photos_are_in_a_folder_per_label(tmp_path: Path) -> None:
    result = generate_photos(tmp_path, 7, 3)

    files = names_and_bytes(tmp_path)
    assert sorted(files) == [
        "Apple Red 1/generated_0_0.jpg",
        "Apple Red 1/generated_0_1.jpg",
        "Banana/generated_0_0.jpg",
        "Banana/generated_0_1.jpg",
        "Banana/generated_0_2.jpg",
        "Grape Blue/generated_0_0.jpg",
        "Grape Blue/generated_0_1.jpg",
    ]
    assert files["Banana/generated_0_2.jpg"] == draw_photo("Banana", 0, 2)
    assert result == SampleResult(images=7, classes=3, bytes=sum(map(len, files.values())), already=0)


def test_a_second_call_draws_only_what_is_missing_or_cut_short(tmp_path: Path) -> None:
    generate_photos(tmp_path, 6, 3)
    expected = names_and_bytes(tmp_path)
    (tmp_path / "Banana" / "generated_0_0.jpg").unlink()
    cut = tmp_path / "Grape Blue" / "generated_0_1.jpg"
    cut.write_bytes(cut.read_bytes()[:1000])
    untouched = (tmp_path / "Banana" / "generated_0_1.jpg").stat().st_mtime_ns

    assert generate_photos(tmp_path, 6, 3).already == 4

    assert names_and_bytes(tmp_path) == expected
    assert (tmp_path / "Banana" / "generated_0_1.jpg").stat().st_mtime_ns == untouched


def test_more_photos_keep_those_of_fewer(tmp_path: Path) -> None:
    generate_photos(tmp_path, 4, 2)
    few = names_and_bytes(tmp_path)

    assert generate_photos(tmp_path, 10, 2).already == 4
    assert few.items() <= names_and_bytes(tmp_path).items()


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    mine = {"Banana/12_100.jpg": b"mine", "notes.txt": b"too", "Banana/generated_9_0.jpg": b"another seed"}
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    assert generate_photos(tmp_path, 2, 1, seed=1).already == 0

    files = names_and_bytes(tmp_path)
    assert mine.items() <= files.items()
    assert len(files) == 5


def test_progress_counts_to_all_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    generate_photos(tmp_path, 2, 1, progress=lambda done, total: seen.append((done, total)))

    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_an_interrupted_call_leaves_whole_photos(tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_photos(tmp_path, 6, 2, progress=interrupt)
    assert len(names_and_bytes(tmp_path)) == 3

    assert generate_photos(tmp_path, 6, 2).already == 3
    assert len(names_and_bytes(tmp_path)) == 6


@pytest.mark.parametrize(
    ("images", "classes", "seed", "message"),
    [
        (2, 3, 0, "`2` images of `3` classes: each needs at least one"),
        (0, 0, 0, "`0` images of `0` classes: each needs at least one"),
        (26, 26, 0, "`26` classes requested, 25 can be drawn"),
        (2, 2, -1, "`-1` is not a valid seed"),
    ],
)
def test_counts_out_of_range_are_refused(tmp_path: Path, images: int, classes: int, seed: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        generate_photos(tmp_path, images, classes, seed)

    assert str(caught.value) == message
    assert names_and_bytes(tmp_path) == {}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="`Hammer` is not a kind of fruit"):
        draw_photo("Hammer")


def test_a_file_in_the_place_of_a_label_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Banana").write_bytes(b"mine")

    with pytest.raises(AssetError, match=r"cannot write `.*Banana"):
        generate_photos(tmp_path, 2, 1)
    assert names_and_bytes(tmp_path) == {"Banana": b"mine"}


def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(AssetError, match=r"cannot write `.*generated_0_0\.jpg`: File too large"):
        generate_photos(tmp_path, 2, 1)

    assert names_and_bytes(tmp_path) == {}


def test_the_cli_alone_says_what_it_lacks(tmp_path: Path) -> None:
    """In a Python whose only packages are the CLI's own, as `uv tool install` of the plain package makes it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    call = "from pathlib import Path; from cli.photos.drawn.generated import KINDS, generate_photos; generate_photos(Path('photos'), 2, 1)"

    done = subprocess.run([sys._base_executable, "-S", "-c", call], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.stderr.splitlines()[-1] == "cli.errors.UsageError: not installed: NumPy and Pillow"
    assert names_and_bytes(tmp_path) == {}
