"""
Get Keras's MobileNetV2 weights and a few real photos, from the network or from a folder.

A file is complete or absent. A download resumes where it stopped, also in the next call. Nothing here reads the environment.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from cli.errors import AssetError, UsageError
from cli.photos.files import unwritable, write_photo
from cli.photos.http_file import CONNECTIONS, Progress, RemoteFile, validator_path
from job.contract.params import Application
from job.contract.records import counted, is_or_are, plural_noun

T = TypeVar("T")

# What keras.applications.MobileNetV2(include_top=False) downloads: keras/src/applications/mobilenet_v2.py of Keras 3.15.1
KERAS_WEIGHTS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
)
SAMPLE_URL = "https://s3.eu-west-1.amazonaws.com/course.oc-static.com/projects/Data_Scientist_P8/fruits.zip"
# The same network with its top, 14 MB, of which `job.product.identify.imagenet_classifier` uses the last layer
KERAS_TOP_URL = KERAS_WEIGHTS_URL.replace("_no_top", "")
# 20 photos of each of 25 fruits: ten times the rows that 50 components need, embedded in seconds, 2.3 MB.
SAMPLE_IMAGES, SAMPLE_CLASSES = 500, 25

TRAINING = re.compile(r"fruits-360_dataset/fruits-360/Training/([^/]+)/([^/.][^/]*\.jpg)")
UNSAFE = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:")  # climbs, is absolute, or names a Windows drive

# The ways without either, as the end of a hint
UNTRAINED = ", or try the pipeline with --model mobilenet_v2_untrained"
GENERATED = ", or draw photos with --generated"


@dataclass(frozen=True)
class SampleResult:
    """How many photos a sample has."""

    images: int
    classes: int
    bytes: int  # of all its photos
    already: int  # photos that were there before


@dataclass(frozen=True)
class SamplePhoto:
    """A photo of the sample; `read` returns its bytes."""

    label: str
    name: str
    size: int  # bytes
    read: Callable[[], bytes]


def weights(assets: Path | None, cache: Path, progress: Progress, url: str = KERAS_WEIGHTS_URL) -> Path:
    """
    Return Keras's HDF5 weights without the top: from `<assets>/weights/`, else downloaded once to `<cache>/weights/`.

    `progress` gets bytes. Loading the file verifies it by what it computes.

    `progress` gets bytes. Whether the file is the right one is proven when it is loaded, by what it computes.

    Raises:
        AssetError: `assets` has no such file, or more than one; the network or the disk fails.
    """
    if assets is not None:
        found = (assets / "weights").glob("*no_top*.h5")
        return _the_one(found, "*no_top*.h5", assets / "weights", _ways(url, UNTRAINED), url)
    return _download(url, "MobileNetV2's ImageNet weights", _ways(url, UNTRAINED), cache, progress)


def application_weights(network: Application, assets: Path | None, cache: Path, progress: Progress) -> Path:
    """Return the weights of a network of Keras Applications without its top, as `weights`: the file that has Keras's name and MD5."""
    name = network.path.rsplit("/", 1)[-1]
    if assets is not None:
        return _the_one((assets / "weights").glob(name), name, assets / "weights", _ways(network.url), network.url)
    return _download(network.url, f"`{name}`", _ways(network.url), cache, progress, network.md5)


def top_weights(assets: Path | None, cache: Path, progress: Progress, url: str = KERAS_TOP_URL) -> Path:
    """Return the weights of the network with its top, as `weights`; in `<assets>/weights/` the *.h5 that is not *no_top*.h5."""
    if assets is not None:
        found = (path for path in (assets / "weights").glob("*.h5") if "no_top" not in path.name)
        return _the_one(found, "*.h5 with the top", assets / "weights", _ways(url), url)
    return _download(url, "MobileNetV2's ImageNet classifier", _ways(url), cache, progress)


def cached(cache: Path, url: str) -> Path:
    """Return where the download of `url` is stored."""
    return cache / "weights" / url.rsplit("/", 1)[-1]


def training(assets: Path) -> Path:
    """Return the folder of FRUITS_ASSETS with the photos, one sub-folder per label."""
    return assets / "fruits-360-sample" / "Training"


def _the_one(files: Iterable[Path], what: str, folder: Path, ways: str, url: str) -> Path:
    found = sorted(files)
    official = [path for path in found if path.name == url.rsplit("/", 1)[-1]]
    if not found:
        raise AssetError(f"no file {what} in `{folder}`", ways)
    if len(found) > 1 and not official:
        names = ", ".join(path.name for path in found)
        raise AssetError(f"{counted(len(found), 'files')} {what} in `{folder}`", f"keep only one of {names}")
    return (official or found)[0]


def _download(url: str, what: str, ways: str, cache: Path, progress: Progress, md5: str | None = None) -> Path:
    target = cached(cache, url)
    part = target.with_name(target.name + ".part")
    try:
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with RemoteFile(url, what, ways) as remote:
            remote.retry(lambda: remote.download(part, progress))
        if md5:
            _check(part, url, md5)
        with suppress(FileNotFoundError):  # another process was first
            os.replace(part, target)
        validator_path(part).unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(target, error, "set FRUITS_CACHE to another folder") from error
    return target


def _check(part: Path, url: str, md5: str) -> None:
    """Delete what was downloaded if it is another file. Raises AssetError."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        validator_path(part).unlink(missing_ok=True)
        raise AssetError(f"`{url}` has the MD5 `{found}`, Keras names `{md5}`", "run the command again, or give your file with --weights")


def sample(destination: Path, images: int, classes: int, assets: Path | None, progress: Progress, url: str = SAMPLE_URL) -> SampleResult:
    """
    Put `images` photos of `classes` labels into `<destination>/<label>/`, the same ones at every call; those already there stay.

    They come from `<assets>/fruits-360-sample/Training/`, else from the archive at `url`, of which only its directory
    and the wanted members are read. `progress` gets images.

    Raises:
        UsageError: there are fewer labels, or fewer photos of a label, than asked.
        AssetError: the source is missing, unreachable, damaged or not the published one; a photo cannot be written.
    """
    if not 1 <= classes <= images:
        raise UsageError(
            f"`{images}` {plural_noun(images, 'images')} of `{classes}` {plural_noun(classes, 'classes')}: each needs at least one",
            "raise --images or lower --classes",
        )
    progress(0, images)  # before the archive's directory is read, 11 MB for 100,000 members
    if assets is not None:
        return _store(_choose(_in_folder(assets, url), images, classes), destination, progress)
    with RemoteFile(url, "the sample photos", _ways(url, GENERATED)) as remote:
        return _store(_choose(_in_archive(remote), images, classes), destination, progress)


def _in_folder(assets: Path, url: str) -> list[SamplePhoto]:
    folder = training(assets)
    files = [path for path in folder.glob("*/*.jpg") if path.is_file()]
    if not files:
        raise AssetError(f"no photos in `{folder}`", _ways(url, GENERATED))
    return [SamplePhoto(path.parent.name, path.name, path.stat().st_size, partial(_read, path)) for path in files]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AssetError(f"cannot read `{path}`: {error.strerror}", "make the file readable") from error


def _in_archive(remote: RemoteFile) -> list[SamplePhoto]:
    from remotezip import RemoteZip, RemoteZipError

    try:
        with RemoteZip(remote.url, fetcher=lambda *_, **__: remote) as archive:
            members: list[zipfile.ZipInfo] = archive.infolist()
            starts = [*sorted(member.header_offset for member in members), archive.start_dir]
            if any(start >= archive.start_dir for start in starts[:-1]):
                raise zipfile.BadZipFile("a member begins behind the directory")
    except (zipfile.BadZipFile, RemoteZipError) as error:
        raise AssetError(f"`{remote.url}` is not a readable ZIP archive: {error}", _ways(remote.url, GENERATED)) from error
    photos = []
    for member in members:
        if UNSAFE.search(member.filename):
            raise AssetError(f"`{remote.url}` contains a path outside its folder: `{member.filename}`", "do not use this archive")
        if match := TRAINING.fullmatch(member.filename):
            end = starts[bisect_right(starts, member.header_offset)]  # the next member, or the directory
            photos.append(SamplePhoto(match[1], match[2], member.file_size, partial(_extract, remote, member, end)))
    if not photos:
        raise AssetError(f"`{remote.url}` has no fruits-360/Training/: unexpected layout", _ways(remote.url, GENERATED))
    return photos


def _extract(remote: RemoteFile, member: zipfile.ZipInfo, end: int) -> bytes:
    """Read the member from its local header to `end`, in one request and without sharing a ZipFile between threads."""
    window, _ = remote.read(member.header_offset, end - 1)
    try:
        # Lengths in the local header, 4.3.7 of https://pkware.cachefly.net/webdocs/APPNOTE/APPNOTE-6.3.9.TXT
        name, extra = struct.unpack_from("<HH", window, 26)
        with zipfile.ZipExtFile(io.BytesIO(window[30 + name + extra :]), "r", member) as content:
            return content.read()  # zipfile checks the CRC
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError) as error:
        raise AssetError(f"`{member.filename}` from `{remote.url}` is damaged: {error}", "run the command again") from error


def _choose(photos: list[SamplePhoto], images: int, classes: int) -> list[SamplePhoto]:
    """Choose photos evenly over the labels, and over each label's frames: neighbouring frames of one video look alike."""
    by_label: dict[str, list[SamplePhoto]] = {}
    for photo in photos:
        by_label.setdefault(photo.label, []).append(photo)
    if classes > len(by_label):
        raise UsageError(
            f"`{classes}` {plural_noun(classes, 'classes')} requested, there {is_or_are(len(by_label))} {len(by_label)}",
            f"use --classes {len(by_label)} or less",
        )
    labels = _spread(sorted(by_label), classes)
    chosen = []
    for position, label in enumerate(labels):
        share = images // classes + (position < images % classes)
        frames = sorted(by_label[label], key=_frame)
        if share > len(frames):
            most = f"use --images {classes * min(len(by_label[label]) for label in labels)} or less"
            hint = f"{most}, or raise --classes" if classes < len(by_label) else most
            raise UsageError(
                f"`{share}` {plural_noun(share, 'images')} of `{label}` requested, there {is_or_are(len(frames))} {len(frames)}", hint
            )
        chosen += _spread(frames, share)
    return chosen


def _spread(items: list[T], count: int) -> list[T]:
    """Return the middle of each of `count` equal stretches."""
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def _frame(photo: SamplePhoto) -> list[str | int]:
    """Return a sort key by which `r_9_100.jpg` comes before `r_10_100.jpg`. Text and numbers alternate, so they never meet."""
    return [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", photo.name)]


def _store(photos: list[SamplePhoto], destination: Path, progress: Progress) -> SampleResult:
    missing = [photo for photo in photos if not _is_there(photo, destination)]
    already = len(photos) - len(missing)
    progress(already, len(photos))
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        futures = [pool.submit(_save, photo, destination) for photo in missing]
        for done, future in enumerate(as_completed(futures), start=already + 1):
            future.result()
            progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C: end what is in flight, begin nothing
    return SampleResult(len(photos), len({photo.label for photo in photos}), sum(photo.size for photo in photos), already)


def _is_there(photo: SamplePhoto, destination: Path) -> bool:
    path = destination / photo.label / photo.name
    try:
        return path.is_file() and path.stat().st_size == photo.size
    except OSError:  # not accessible: the write will report it
        return False


def _save(photo: SamplePhoto, destination: Path) -> None:
    write_photo(destination / photo.label / photo.name, photo.read())


def _ways(url: str, instead: str = "") -> str:
    return (
        f"allow access to {url}, or set FRUITS_ASSETS=DIR to a folder with "
        f"weights/ (one *no_top*.h5) and fruits-360-sample/Training/<label>/ (JPEG photos){instead}"
    )
