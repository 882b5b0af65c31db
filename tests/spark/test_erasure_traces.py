"""Traces of a forgotten photo where no row has it: looked for by a search that shares no code with the product's, and by arithmetic."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections import defaultdict
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from PIL import Image

from job import erasure
from job.contract.params import Forget
from job.contract.uris import from_text
from job.erasure import LeftOverError, erase, refit, tables
from job.product.thumbnails import data_uri, small_photo
from job.spark.progress import Report
from job.storage.folders import open_folder
from job.storage.lease import Lease

UNTRAINED = "mobilenet_v2_untrained"  # its 1,280 numbers tell photos apart


@pytest.fixture
def forget(cache, tmp_path, spark):
    """One erasure under its lease; its receipt."""
    numbers = iter(range(100))

    def start(output, uris, **options):
        number = next(numbers)
        targets = tmp_path / "targets.json"
        targets.write_text(json.dumps({"uris": [from_text(str(uri)) for uri in uris], "prefixes": []}))
        wanted = Forget(from_text(str(output)), f"erasure-{number}", str(targets), "", "somebody@somewhere", cache=str(cache), **options)
        folder = open_folder(wanted.output)
        with Lease.acquire(folder, wanted.run_id) as lease:
            return erase(wanted, folder, lease, Report())

    return start


def unpacked(content, depth=0):
    """A file's bytes, and what is in them: packed, in base64, as UTF-16, as values and footers of Parquet, as members of a zip."""
    yield content
    if depth == 3:
        return
    within = []
    if content.startswith(b"\x1f\x8b"):
        within.append(gzip.decompress(content))
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        within.append(pa.input_stream(pa.BufferReader(content), compression="zstd").read())
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            within += [members.read(name) for name in members.namelist()]
    if content.startswith(b"PAR1"):
        file = pq.ParquetFile(pa.BufferReader(content))
        within += [repr(file.read().to_pylist()).encode(), repr(file.metadata.metadata).encode()]
        within += [np.asarray(row, np.float32).tobytes() for row in embeddings(file)]
    within += [base64.b64decode(found + b"=" * (-len(found) % 4)) for found in re.findall(rb"[A-Za-z0-9+/]{40,}", content)]
    within += [content.decode(code, "ignore").encode() for code in ("utf-16-le", "utf-16-be") if b"\0" in content[:64]]
    for one in within:
        yield from unpacked(one, depth + 1)


def embeddings(file):
    return file.read(["embedding"])["embedding"].to_pylist() if "embedding" in file.schema_arrow.names else []


def holders(root, *needles):
    """The files that have one of `needles` in any way that `unpacked` knows."""
    found_in = finder(needles)
    return sorted(
        {
            f"{path.relative_to(root)}: {needle[:30]!r}"
            for path in root.rglob("*")
            if path.is_file()
            for content in unpacked(path.read_bytes())
            for needle in found_in(content)
        }
    )


def finder(needles):
    """
    A function that gives those of `needles`, each of four bytes or more, that a text has. In one pass: hundreds of them, each looked for
    in all of OUTPUT and what is packed in it, took most of a test's time. A needle is known by its last four bytes that all differ: many
    begin with zeros, which are everywhere.
    """
    by_word = defaultdict(list)
    for needle in needles:
        at = max(reversed(range(len(needle) - 3)), key=lambda at: len(set(needle[at : at + 4])))
        by_word[needle[at : at + 4]].append((at, needle))
    known = np.frombuffer(b"".join(by_word), "<u4")
    sieve = np.zeros(1 << 16, np.bool_)
    sieve[known & 0xFFFF] = True

    def found_in(text):
        words = np.ndarray(max(0, len(text) - 3), "<u4", text.ljust(4), strides=(1,))
        places = np.flatnonzero(sieve[words & 0xFFFF])
        places = places[np.isin(words[places], known)]
        candidates = ((place - at, needle) for place in places.tolist() for at, needle in by_word[text[place : place + 4]])
        return {needle for begin, needle in candidates if begin >= 0 and text.startswith(needle, begin)}

    return found_in


def test_the_search_of_these_tests_finds_every_needle_wherever_it_is():
    needles = [b"zweg", b"zwegzweg", b"\0\1\2\3\4", bytes(range(200, 256))]
    found_in = finder(needles)

    assert found_in(b"") == found_in(b"zwe") == found_in(b"zwe gzwe \0\1\2\3") == set()
    assert found_in(b"zweg") == {b"zweg"}
    assert found_in(b"x" * 999 + b"zwegzweg") == {b"zweg", b"zwegzweg"}
    for at in range(9):
        assert found_in(b"\0" * at + needles[2] + b"zwe" + needles[3] + b"\0" * at) == set(needles[2:])


def rows_of(output):
    return {row["uri"]: row for name in DeltaTable(str(output / "features")).file_uris() for row in pq.read_table(name).to_pylist()}


def differences(output):
    """What one sum of features has more than another, and what one mean tells beyond another, where they differ by one photo."""
    sums = []
    for path in output.rglob("*.npz"):
        with np.load(path) as arrays:
            sums.append((int(arrays["n"]), arrays["sum"] if "sum" in arrays else arrays["mean"] * int(arrays["n"])))
    return [more - less for (n, more), (m, less) in permutations(sums, 2) if n == m + 1 and len(more) == len(less)]


ODD = [
    "zweg a b.jpg",
    "zweg'c.jpg",
    'zweg"d.jpg',
    "zweg%20e.jpg",
    "zweg\u00e9.jpg",
    "zwege\u0301.jpg",
    "zweg\nzweg.jpg",
    "zweg<&>.jpg",
    "zweg\\u00e9.jpg",
    "zweg..jpg",
    "ZWEG.jpg",
    "zweg.jpg",
    "zweg.jpg.jpg",
    "zweg\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg",
]


def test_no_byte_of_output_has_a_photo_with_an_odd_name_packed_or_spelt_in_any_way(run_job, forget, photos, tmp_path, monkeypatch):
    """Embedded, rejected, superseded, in notebooks, logs, dead attempts, checkpoints, and files that Delta's own tools have merged."""
    output, folder = tmp_path / "out", min(photos.iterdir())
    labels = sorted(photos.iterdir())
    sources = [path for label in labels[:2] for path in sorted(label.iterdir())]
    odd = [path.rename(folder / name) for path, name in zip(sources, ODD, strict=False)]
    odd.append(sources[len(ODD)].rename(labels[1] / "zweg.jpg"))  # a name that is in two folders
    odd.append(sources[len(ODD) + 1].rename(labels[1] / f"{labels[1].name} zweg.jpg"))
    for path in odd[:3]:
        torn = path.with_name(f"zweg torn {path.name}")
        torn.write_bytes(path.read_bytes()[:300])
        odd.append(torn)
    first = run_job(photos, output, UNTRAINED, components=3).run_id
    before = rows_of(output)
    odd[0].write_bytes(odd[1].read_bytes() + b"\0")  # superseded by the next run
    second = run_job(photos, output, UNTRAINED, components=3, fit_on=f"{folder.name}*").run_id
    DeltaTable(str(output / "features")).optimize.compact()
    DeltaTable(str(output / "features")).create_checkpoint()
    for run in (first, second):
        said = "".join(f"cannot read {path}: torn\n{path!r}\n{json.dumps(str(path))}\n" for path in odd)
        (output / "runs" / run / "job.log").write_text(f"begin\n{said}end\n")
    shown = [{"output_type": "stream", "text": [repr(str(path)), str(path)]} for path in odd]
    (output / "runs" / first / "run.ipynb").write_text(json.dumps({"cells": [{"outputs": shown}]}))
    dead = output / "runs" / "dead"
    shutil.copytree(output / "runs" / first, dead)
    (dead / "manifest.json").unlink()
    contents = [path.read_bytes() for path in odd]
    numbers = [row["embedding"] for rows in (before, rows_of(output)) for uri, row in rows.items() if "zweg" in uri.lower()]
    scores = [row["pc"] for run in (first, second) for row in scores_of(output, run) if "zweg" in row["uri"].lower()]
    pictures = [data_uri(picture).encode() for content in contents if (picture := small_photo(content))]
    assert holders(output, b"zweg", *pictures)

    done = forget(output, odd, refit=True)

    assert done.found == []
    assert [path for path in odd if path.exists()] == []
    heads = [np.asarray(row, kind)[:64].tobytes() for row in numbers for kind in (np.float32, np.float64)]
    rows = [np.asarray(row, kind).tobytes() for row in scores for kind in (np.float32, np.float64)]
    texts = [str(np.float32(score)).encode() for row in scores for score in row if len(str(np.float32(score))) > 9]
    assert holders(output, b"zweg", b"ZWEG", b"Zweg", *heads, *rows, *pictures, *(content[100:160] for content in contents)) == []
    assert [file for file in holders(output, *texts) if "/csv/" in file or ".html" in file] == []
    assert [one for one in differences(output) for row in numbers if np.allclose(one, row, atol=1e-4)] == []
    assert len(rows_of(output)) == 60 - len(odd) + 3
    for run in (first, second):
        assert (output / "runs" / run / "report.html").exists()
        assert (output / "runs" / run / "job.log").read_text() == "begin\nend\n"


def scores_of(output, run):
    return [row for path in (output / "runs" / run / "pca").glob("*.parquet") for row in pq.read_table(path).to_pylist()]


def test_moments_of_a_photo_before_it_changed_do_not_tell_its_features(run_job, forget, after_a_run):
    """The sum of its first chunk, with and without it, differ by the features that it had."""
    output, photos = after_a_run
    one, *_, other = sorted(photos.glob("*/*.jpg"))
    had = np.asarray(rows_of(output)[f"file://{one}"]["embedding"])
    one.write_bytes(other.read_bytes() + b"\0")
    run_job(photos, output, components=2)
    assert any(np.allclose(found, had) for found in differences(output))

    forget(output, [one], refit=True)
    assert len(list(output.glob("moments/*/*.npz"))) > 0  # what is needed again is there

    assert not any(np.allclose(found, had) for found in differences(output))


def test_a_photo_that_changed_between_an_interruption_and_the_next_erasure_is_searched_for_as_it_is_now(
    run_job, forget, photos, tmp_path, monkeypatch
):
    output, (one, *_, other) = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    run_job(photos, output, UNTRAINED, components=2)
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            forget(output, [one])
    Image.open(one).rotate(90).save(one)
    run_job(photos, output, UNTRAINED, components=2)
    now = np.asarray(rows_of(output)[f"file://{one}"]["embedding"], np.float32)
    (output / "kept.bin").write_bytes(now.tobytes())
    shutil.copy(other, other.with_name("new.jpg"))

    with pytest.raises(LeftOverError, match=r"kept\.bin: embedding"):
        forget(output, [other])
    assert not one.exists()


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_bounds_that_another_writer_has_put_into_the_log_are_not_kept(run_job, forget, photos, tmp_path):
    """Delta's own tools log the smallest and the largest address of each file, if it is no longer than 64 bytes."""
    with tempfile.TemporaryDirectory() as short:
        bounded(run_job, forget, Path(shutil.copytree(photos, f"{short}/p")), tmp_path / "out")


def bounded(run_job, forget, photos, output):
    run_job(photos, output, components=2)
    files = sorted(photos.glob("*/*.jpg"))
    shutil.copy(files[20], files[-1].with_name("zz.jpg"))
    run_job(photos, output, components=2)
    DeltaTable(str(output / "features")).optimize.compact()
    assert holders(output / "features" / "_delta_log", str(files[0]).encode())

    for one in (files[0], files[-1].with_name("zz.jpg")):
        assert forget(output, [one]).found == []
        assert holders(output, str(one).encode()) == []
    assert len(rows_of(output)) == 59


def test_of_a_dead_attempt_stays_what_it_said_and_nothing_that_it_made(forget, after_a_run):
    """Without a manifest nothing tells how its report writes names, and its PCA may have been fitted with the photo."""
    output, photos = after_a_run
    one, two = sorted(photos.glob("*/*.jpg"))[:2]
    dead = output / "runs" / "20200101T000000Z-dead"
    shutil.copytree(output / "runs" / "first", dead)
    shutil.rmtree(dead / "pca")  # of a run that was being deleted when its process ended
    (dead / "manifest.json").unlink()
    (dead / "job.log").write_text(f"read {one}\nread {two}\n")
    assert f"{one.parent.name}/{one.name}" in (dead / "report.html").read_text()

    forget(output, [one])

    assert {str(path.relative_to(dead)): path.read_text() for path in dead.rglob("*") if path.is_file()} == {"job.log": f"read {two}\n"}


def test_a_name_of_two_lines_leaves_neither_of_them_in_a_log(run_job, forget, photos, tmp_path):
    output, one = tmp_path / "out", min(photos.glob("*/*.jpg"))
    two = one.rename(one.with_name("Anna\nSmith.jpg"))
    run = output / "runs" / run_job(photos, output, components=2).run_id
    (run / "job.log").write_text(f"begin\ncannot read {two}: torn\nend\n")

    forget(output, [two])

    assert (run / "job.log").read_text() == "begin\nend\n"


@pytest.mark.parametrize("by", ["the same photo", "another photo"])
def test_what_an_interrupted_erasure_was_asked_to_do_is_done_by_the_next_one(run_job, forget, after_a_run, monkeypatch, by):
    """A refit that has begun, above all: until it has ended, the run is not there for a reader."""
    output, photos = after_a_run
    one, other, *_ = sorted(photos.glob("*/*.jpg"))
    content = one.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(refit.publish, "write_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            forget(output, [one], refit=True, tombstone=True)
    assert not (output / "runs" / "first" / "manifest.json").exists()

    done = forget(output, [one if by == "the same photo" else other])

    assert (done.refitted, done.marked, done.found) == (["first"], [], [])
    assert (done.asked["refit"], done.asked["tombstone"]) == (True, True)
    manifest = json.loads((output / "runs" / "first" / "manifest.json").read_text())
    assert "refitted without them" in manifest["notes"][-1]
    one.write_bytes(content)
    assert run_job(photos, output, components=2).rejects == {"erased on request": 1}


def test_photos_of_the_same_size_and_time_are_not_taken_for_each_other(run_job, forget, photos, tmp_path):
    """Archives keep times in steps of two seconds, and uncompressed pictures have one size."""
    output, folder = tmp_path / "out", min(photos.iterdir())
    one, two = folder / "one.bmp", folder / "two.bmp"
    for path, source in zip((one, two), sorted(photos.glob("*/*.jpg"))[::30], strict=False):
        Image.open(source).convert("RGB").resize((50, 50)).save(path)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert one.stat().st_size == two.stat().st_size
    run_job(photos, output, UNTRAINED, components=2)

    done = forget(output, [one])

    assert (done.found, done.copies_left) == ([], 0)
    assert two.exists()


@pytest.mark.parametrize("refits", [False, True], ids=["mark", "refit"])
def test_all_photos_of_a_run_are_forgotten_and_a_run_without_enough_photos_keeps_its_pca_and_says_so(run_job, forget, after_a_run, refits):
    output, photos = after_a_run
    run_job(photos, output, pca="first", run_id="second")

    done = forget(output, sorted(photos.glob("*/*.jpg")), refit=refits)

    assert (done.removed["rows"], done.refitted, done.marked, done.found) == (120, [], ["first", "second"], [])
    for run in ("first", "second"):
        manifest = json.loads((output / "runs" / run / "manifest.json").read_text())
        assert (manifest["counts"]["rows"], "its PCA was fitted with them" in manifest["notes"][-1]) == (0, True)
    assert holders(output, b"generated_") == []


def test_an_erasure_that_takes_the_lease_over_shuts_the_owner_before_out(spark, after_a_run):
    """A run that was suspended in the middle of a commit must not add rows once it wakes up, even where no row was dropped."""
    output, _ = after_a_run
    folder = open_folder(from_text(str(output)))
    Lease.acquire(folder, "erasure")
    before = {name: len(list((output / name / "_delta_log").glob("*.json"))) for name in ("features", "rejects")}
    with Lease.acquire(folder, "erasure") as lease:
        tables.erase(spark, folder, {"file:///not/there.jpg"}, lease)
    after = {name: len(list((output / name / "_delta_log").glob("*.json"))) for name in before}

    assert after == {name: count + 1 for name, count in before.items()}


def test_a_photo_that_is_put_back_after_it_was_forgotten_is_new_and_can_be_forgotten_again(run_job, forget, after_a_run):
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    content = one.read_bytes()
    for _ in range(2):
        assert forget(output, [one]).removed["photos"] == 1
        one.write_bytes(content)
        assert run_job(photos, output, components=2).counts["embedded"] == 1
    assert forget(output, [Path(one)]).found == []
    assert holders(output, str(one).encode()) == []
