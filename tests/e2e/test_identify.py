"""The command asked about photos that its gallery does not have, with the untrained network. On published photos: tests/reference."""

import json

from tests.e2e.conftest import Command


def ask(fruitsctl, output, *photos):
    done = fruitsctl("identify", *photos, "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["answers"]


def first(sample, *labels):
    return [min((sample / "Test" / label).iterdir()) for label in labels]


def test_other_photos_of_the_same_fruits_are_named(fruitsctl, gallery, sample):
    labels = ["Banana", "Kiwi", "Orange", "Strawberry"]
    answers = ask(fruitsctl, gallery.output, *first(sample, *labels))

    assert [answer["results"][0]["label"] for answer in answers] == labels
    assert all(answer["results"][0]["neighbours"][0]["uri"].startswith("file://") for answer in answers)


def test_the_threshold_is_that_of_the_manifest(fruitsctl, gallery, sample):
    (answer,) = ask(fruitsctl, gallery.output, *first(sample, "Kiwi"))
    manifest = json.loads((gallery.output / "runs" / answer["run_id"] / "manifest.json").read_text())

    assert answer["threshold"] == manifest["identify"]["threshold"]
    assert answer["model"] == manifest["model"]


def test_the_untrained_network_has_no_second_opinion_and_says_so(fruitsctl, gallery, sample):
    photo = first(sample, "Kiwi")
    (answer,) = ask(fruitsctl, gallery.output, *photo)
    text = fruitsctl("identify", *photo, "--output", gallery.output).stdout

    assert answer["second_opinion"] is False
    assert text.endswith("\nNo second opinion: the ImageNet classifier belongs to the trained network\n")


def test_the_first_conversion_of_the_network_is_said(fruitsctl, gallery, sample, tmp_path):
    command = Command(tmp_path, fruitsctl.env | {"FRUITS_CACHE": str(tmp_path)})
    words = ("identify", *first(sample, "Kiwi"), "--output", gallery.output)

    said, again = command(*words).stderr, command(*words).stderr

    assert (said, again) == ("Opening the run and its network; the first time takes up to a minute\n", "")
