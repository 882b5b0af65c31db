"""Images made to hang, to allocate without end, or to break the decoder: each costs itself, and never a worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.conftest import SHORT
from tests.faults.damage import damage, half_visible, table_of
from tests.faults.hostile_files import gif_bomb, hostile_files, scan_bomb
from tests.faults.jobs import manifest_of
from tests.faults.worst import LIMIT_BYTES, LIMIT_SECONDS, WORST, measure

FILES = 60 if SHORT else 1000
SEED = 20261121


def test_hostile_files_among_good_ones_cost_nothing_but_themselves(faults, jobs, params, photos, output, tmp_path):
    root = tmp_path / "photos"
    for uri, content in photos.items():
        path = root / uri.rsplit("/", 2)[1] / uri.rsplit("/", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "Hostile").mkdir()
    for number, (kind, content) in enumerate(hostile_files(FILES, SEED)):
        (root / "Hostile" / f"{number:04}-{kind}.jpg").write_bytes(content)
    good = {f"file://{path}": path.read_bytes() for path in root.glob("*/*") if path.parent.name != "Hostile"}
    bad = {f"file://{path}" for path in (root / "Hostile").iterdir()}

    ended = jobs.run(params(good, "1", chunk_images=None, max_reject_ratio=1.0))

    assert ended.code == 0, ended.log[-3000:]
    assert "Lost task" not in ended.log  # no worker died
    embedded, rejected = ([row["uri"] for row in table_of(output, name) if row["uri"] in bad] for name in ("features", "rejects"))
    assert sorted(embedded + rejected) == sorted(bad)  # each of them once
    assert len(rejected) > FILES / 4
    assert manifest_of(output, "1").counts["rejected"] == len(rejected)
    known = good | {uri: Path(uri.removeprefix("file://")).read_bytes() for uri in embedded}
    faults("hostile files", FILES, damage(output, "1", known), half_visible(output), ended.code)


# No image is known that kills its process, and few that take a minute: here one file does, and the limit is half a second,
# a quarter of what the bomb takes and a hundred times what a photo takes.
SITE = """
import os, signal
from job.imaging import bounded_decode as guard

decode_image = guard.decode_image

def breaking(content, *how):
    if content == b"breaks":
        os.kill(os.getpid(), signal.SIGSEGV)
    return decode_image(content, *how)

guard.decode_image, guard.SECONDS = breaking, 0.5
"""


# One file kills its process, so that the next attempt decodes apart; there its child sleeps, as after a fork that copied a lock.
SILENT = """
import os, signal, time
from job.imaging import bounded_decode as guard

decode_image, apart, is_apart = guard.decode_image, guard.run_in_subprocess, []

def silent(content, *how):
    if content == b"silent":
        if is_apart:
            time.sleep(3_600)
        os.kill(os.getpid(), signal.SIGSEGV)
    return decode_image(content, *how)

def in_a_child(*arguments, **named):
    is_apart.append(True)
    return apart(*arguments, **named)

guard.decode_image, guard.run_in_subprocess, guard.SECONDS = silent, in_a_child, 0.3
"""


def patched(folder, code):
    """PYTHONPATH of processes that run `code` before anything else."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.full
def test_an_image_whose_child_never_answers_is_rejected_and_its_task_ends(faults, jobs, params, photos, output, tmp_path):
    root = tmp_path / "photos" / "Fruit"
    root.mkdir(parents=True)
    good = {}
    for number, content in enumerate(photos.values()):
        (root / f"{number}.jpg").write_bytes(content)
        good[f"file://{root}/{number}.jpg"] = content
    (root / "silent.jpg").write_bytes(b"silent")

    ended = jobs.run(params(good, "1", max_reject_ratio=0.1), PYTHONPATH=patched(tmp_path / "modules", SILENT))

    assert ended.code == 0, ended.log[-3000:]
    reasons = {str(row["uri"]).rpartition("/")[2]: row["reason"] for row in table_of(output, "rejects")}
    assert reasons == {"silent.jpg": "decoding timed out"}
    faults("decoder's child that never answers", 1, damage(output, "1", good), half_visible(output), ended.code)


@pytest.mark.full
@pytest.mark.parametrize("deadly", [False, True])
def test_images_that_hang_or_kill_the_decoder_are_rejected(faults, jobs, params, photos, output, tmp_path, deadly):
    root = tmp_path / "photos" / "Fruit"
    root.mkdir(parents=True)
    good = {}
    for number, content in enumerate(photos.values()):
        path = root / f"{number}.jpg"
        path.write_bytes(content)
        good[f"file://{path}"] = content
    (root / "scans.jpg").write_bytes(scan_bomb(3_744, 3_744, 5_000))
    (root / "comments.gif").write_bytes(gif_bomb(10_000_000))
    expected = {"scans.jpg": "too many scans for 3744x3744", "comments.gif": "decoding timed out"}
    if deadly:
        (root / "deadly.jpg").write_bytes(b"breaks")
        expected["deadly.jpg"] = "decoder crashed"

    ended = jobs.run(params(good, "1", max_reject_ratio=0.1), PYTHONPATH=patched(tmp_path / "modules", SITE))

    assert ended.code == 0, ended.log[-3000:]
    assert {str(row["uri"]).rpartition("/")[2]: row["reason"] for row in table_of(output, "rejects")} == expected
    assert ("Lost task" in ended.log) is deadly
    fault = "photos that hang the decoder, and one that kills its process" if deadly else "photos that hang the decoder"
    faults(fault, len(expected), damage(output, "1", good), half_visible(output), ended.code)


@pytest.mark.parametrize("name", list(WORST)[:1] if SHORT else WORST)
def test_the_largest_accepted_images_stay_far_within_the_bounds_of_a_worker(name):
    measured = measure(name)

    assert measured.refused == ""
    assert measured.peak_bytes < LIMIT_BYTES
    assert measured.seconds < LIMIT_SECONDS
