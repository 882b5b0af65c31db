"""The command asked about published photos, with a gallery of published photos. More of it: `python -m benchmarks.identify`."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.unit.job.hostile import ORIENTATION, STORED, heic_of

LABELS = ("Apple Golden 1", "Apple Red 1", "Banana", "Kiwi", "Lemon", "Limes", "Orange", "Pear", "Strawberry", "Tomato 1")


@pytest.fixture(scope="module")
def ask(fruitsctl, real_sample, tmp_path_factory):
    """Answers for photos, from a run on 10 labels of Training/, 20 photos each."""
    root = tmp_path_factory.mktemp("gallery")
    for label in LABELS:
        shutil.copytree(real_sample / "Training" / label, root / "photos" / label)
    fruitsctl.run(root / "photos", root / "out")

    def ask(*photos):
        done = fruitsctl("identify", *photos, "--output", root / "out", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["answers"]

    return ask


def first(sample, *labels):
    return [min((sample / "Test" / label).iterdir()) for label in labels]


def test_other_frames_of_the_same_fruits_are_named_by_variety(ask, real_sample):
    answers = ask(*first(real_sample, "Apple Red 1", "Banana", "Kiwi", "Lemon", "Strawberry"))

    assert [answer["best"] for answer in answers] == ["Apple Red 1", "Banana", "Kiwi", "Lemon", "Strawberry"]
    assert all(answer["second_opinion"] for answer in answers)
    assert all(answer["distance"] < answer["threshold"] < 0.3 for answer in answers)


def test_two_photos_of_each_label_are_known(ask, real_sample):
    """They are near-duplicates of the gallery."""
    photos = [path for label in LABELS for path in sorted((real_sample / "Test" / label).iterdir())[:2]]

    assert sum(answer["best"] == path.parent.name for answer, path in zip(ask(*photos), photos, strict=True)) >= 19


def test_a_photo_from_a_kitchen_is_known_by_group_or_unknown(ask, assets):
    answers = ask(*sorted((assets / "photos").glob("banana_*.jpg"))[:5])

    assert {answer["group"] for answer in answers} <= {"Banana", None}
    assert "Banana" in {answer["group"] for answer in answers}


def test_what_is_unlike_anything_in_the_gallery_is_unknown(ask, real_sample):
    """A coconut is a kiwi to it: the benchmark says how often a fruit that the gallery lacks gets a wrong name."""
    answers = ask(*first(real_sample, "Cauliflower", "Ginger Root", "Pineapple"))

    assert [answer["status"] for answer in answers] == ["unknown"] * 3


def test_a_photo_held_in_any_way_has_one_answer(ask, assets, tmp_path):
    """As a phone stores it: turned pixels and the orientation beside them, as JPEG and as HEIC."""
    with Image.open(sorted((assets / "photos").glob("banana_*.jpg"))[0]) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    photos = []
    for orientation in (1, 3, 6, 8):
        turn = STORED[orientation]
        stored = upright if turn is None else upright.transpose(turn)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored.info["exif"] = exif.tobytes()
        photos += [tmp_path / f"{orientation}.jpg", tmp_path / f"{orientation}.heic"]
        stored.save(photos[-2], quality=95, exif=exif)
        photos[-1].write_bytes(heic_of(stored, quality=90))

    answers = ask(*photos)

    assert {answer["status"] for answer in answers} == {"ok"}
    assert {answer["group"] for answer in answers} == {"Banana"}
    assert np.ptp([answer["distance"] for answer in answers]) < 0.02
