"""The real network, a real run of real photos, asked about photos it has not seen. The accuracy of it: `python -m benchmarks.identify`."""

import json

import pytest


@pytest.fixture
def output(gallery):
    return gallery.output


def ask(fruitsctl, output, *photos):
    done = fruitsctl("identify", *photos, "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["answers"]


def test_other_frames_of_the_same_fruits_are_named_by_variety(fruitsctl, output, sample):
    photos = [min((sample / "Test" / label).iterdir()) for label in ("Apple Red 1", "Banana", "Kiwi", "Lemon", "Strawberry")]
    answers = ask(fruitsctl, output, *photos)

    assert [answer["best"] for answer in answers] == ["Apple Red 1", "Banana", "Kiwi", "Lemon", "Strawberry"]
    assert all(answer["distance"] < answer["threshold"] < 0.3 for answer in answers)
    assert all(answer["results"][0]["neighbours"][0]["uri"].startswith("file://") for answer in answers)


def test_the_threshold_is_that_of_the_manifest(fruitsctl, output, sample):
    (answer,) = ask(fruitsctl, output, min((sample / "Test" / "Kiwi").iterdir()))
    manifest = json.loads((output / "runs" / answer["run_id"] / "manifest.json").read_text())

    assert answer["threshold"] == manifest["identify"]["threshold"]
    assert answer["model"] == manifest["model"]


def test_a_photo_from_a_kitchen_is_known_by_group_or_honestly_unknown(fruitsctl, output, assets):
    photos = sorted((assets / "photos").glob("banana_*.jpg"))[:5]
    answers = ask(fruitsctl, output, *photos)

    assert {answer["group"] for answer in answers} <= {"Banana", None}
    assert "Banana" in {answer["group"] for answer in answers}


def test_what_is_unlike_anything_in_the_gallery_is_unknown(fruitsctl, output, sample):
    """A coconut is a kiwi to it: how often a fruit that the gallery lacks gets a wrong name, the benchmark says."""
    photos = [min((sample / "Test" / label).iterdir()) for label in ("Cauliflower", "Ginger Root", "Pineapple")]

    assert [answer["status"] for answer in ask(fruitsctl, output, *photos)] == ["unknown"] * 3


def test_nothing_is_said_but_the_answer(fruitsctl, output, sample):
    done = fruitsctl("identify", min((sample / "Test" / "Kiwi").iterdir()), "--output", output)

    assert done.stderr == ""
    assert ": Kiwi  (100%)" in done.stdout.splitlines()[0]
