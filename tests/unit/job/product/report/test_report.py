"""The page of runs of every kind: complete, safe, small enough, and without anything that leaves the machine."""

import json
import re

import numpy as np
import pytest

from job.contract.errors import LeaseError, SetupError
from job.contract.records import counted
from job.product.report import report
from job.product.thumbnails import find_unchanged_since
from job.storage.folders import open_folder
from tests.leases import take_over
from tests.unit.job.product.run_files import RUN, copy_photos, write_features, write_run

NOW = 4_000_000_000  # later than any file of these tests


@pytest.fixture
def page(tmp_path, cache):
    """The HTML of a run made by `write_run`."""

    def build(uris, labels, scores, **more):
        manifest = write_run(tmp_path / "out", tmp_path / "photos", uris, labels, scores, **more)
        manifest.params["cache"] = str(cache)
        return report.build(open_folder(f"file://{tmp_path}/out"), manifest, find_unchanged_since(NOW))[0]

    return build


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def prose_of(html):
    """What a reader sees: no script, no style, no tags, single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup_of(html)))


def markup_of(html):
    """Without scripts and styles."""
    return re.sub(r"<(script|style)[ >].*?</\1>", "", html, flags=re.S)


def test_a_run_of_photos_shows_them_and_its_numbers(page, sample, tmp_path):
    photos = copy_photos(sample, tmp_path / "photos", ["Apple Red 1", "Banana", "Kiwi"])
    centres = {"Apple Red 1": [9, 0, 0], "Banana": [0, 9, 0], "Kiwi": [0, 0, 9]}
    scores = [np.add(centres[label], [i / 100, 0, 0]) for i, (_, label) in enumerate(photos)]

    html = page([uri for uri, _ in photos], [label for _, label in photos], scores)

    text, data = prose_of(html), data_of(html)
    assert "9 photos of 3 labels" in text
    assert "100.0% 100.0% the same fruit" in text
    assert "No photo was rejected." in text
    assert "Each label has 3 photos." in text
    assert f"fruitsctl run {tmp_path}/photos {tmp_path}/out --local --components 3" in text
    assert data["map"]["labels"] == ["Apple Red 1", "Banana", "Kiwi"]
    assert sorted(point[3] for point in data["map"]["points"]) == list(range(9))  # each has its own tile
    assert markup_of(html).count("<img src=") == 3 * 2 * 4  # three components, two ends, four of nine photos


def test_it_asks_nothing_of_any_network_and_runs_no_foreign_script(page):
    html = page(["file:///a"] * 3, ["x"] * 3, [[1, 0], [2, 0], [3, 1]])

    assert not re.search(r'(src|href)="(?!data:|#)', markup_of(html))
    assert not re.search(r"<script[^>]+src=", html)
    assert "default-src 'none'; img-src data:" in html


def test_hostile_labels_and_names_stay_text(page):
    label, uri = "</script><script>alert(1)</script>", 'file:///it\'s "quoted" <b>&amp; {{7*7}}.jpg'

    html = page([uri, "file:///b", "file:///c"], [label, label, "ok"], [[1, 0], [2, 0], [3, 1]])

    assert html.lower().count("<script") == html.lower().count("</script") == 3
    assert "alert(1)</script>" not in html
    assert data_of(html)["map"]["labels"] == [label, "ok"]
    assert {point[2] for point in data_of(html)["map"]["points"]} == {uri, "file:///b", "file:///c"}
    assert "49.jpg" not in html


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        (["a"], [[1.0]]),
        (["a", "a"], [[1.0], [2.0]]),
        (["a", "b", "c"], [[1.0, 0], [0, 1.0], [1.0, 1]]),
        ([None, None, None], [[1.0, 0], [0, 1.0], [1.0, 1]]),
        ([None, "a", "a"], [[0.0, 0], [0, 0], [0, 0]]),
    ],
    ids=["one", "two of one component", "three", "no labels", "all alike"],
)
def test_the_smallest_runs_have_a_report(page, labels, scores):
    html = page([f"file:///gone/{i}.jpg" for i in range(len(labels))], labels, scores)

    assert f"{counted(len(labels), 'photos')} of" in prose_of(html)
    assert len(data_of(html)["map"]["points"]) == len(labels)


def test_rejects_are_shown_by_reason_with_a_picture_where_there_is_one(page, sample, tmp_path):
    photos = copy_photos(sample, tmp_path / "photos", ["Banana"])
    cut = tmp_path / "photos" / "Banana" / "cut.jpg"
    cut.write_bytes((sample / "Test" / "Banana" / photos[0][0].rpartition("/")[2]).read_bytes()[:2000])
    (tmp_path / "photos" / "mail.jpg").write_text("From: me")
    rejects = [
        (f"file://{cut}", "decode", "truncated"),
        (f"file://{tmp_path}/photos/mail.jpg", "decode", "not an image"),
        (f"file://{tmp_path}/photos/deleted.jpg", "decode", "not an image"),
        (f"file://{tmp_path}/photos/shut", "list", "permission denied"),
    ]

    ignored = {"@eaDir/": 3, ".txt": 2}
    html = page([uri for uri, _ in photos], ["Banana"] * 3, [[1, 0], [2, 0], [3, 1]], rejects=rejects, ignored=ignored)

    assert "5 other files ignored: 3 @eaDir/ (hidden and system folders); 2 .txt (not photos by their name). The label" in prose_of(html)
    section = re.search(r'<section id="rejects".*?</section>', html, re.S)[0]
    assert re.findall(r"<h3>(.*?) <span class=\"count\">(\d)</span>", section) == [
        ("not an image", "2"),
        ("truncated", "1"),
        ("permission denied", "1"),
    ]
    assert re.findall(r'<img src="data:image/webp;base64,[^"]+" alt="([^"]+)"', section) == ["Banana/cut.jpg"]
    assert re.findall(r"no preview of ([^\"]+)", section) == ["mail.jpg", "shut"]  # the deleted one is left out


def test_a_hundred_thousand_photos_are_sampled_said_and_stay_small(page):
    rng = np.random.default_rng(0)
    count = 100_000
    centres = rng.normal(size=(131, 50)) * 5
    codes = np.arange(count) % 131
    scores = (centres[codes] + rng.normal(size=(count, 50))).astype(np.float32)

    html = page([f"file:///photos/{'long' * 60}/{i}.jpg" for i in range(count)], [f"label {code}" for code in codes], scores)

    assert len(html.encode()) < report.MAX_BYTES
    assert "2,000 of 100,000 photos are shown." in prose_of(html)
    assert "Each of 2,000 photos was compared with 100,000 photos" in prose_of(html)
    assert len(data_of(html)["map"]["points"]) == 2000


def test_the_command_repeats_what_was_asked_and_nothing_else():
    params = {
        "input": "s3://bucket/my photos",
        "output": "s3://bucket/out",
        "run_id": "r",
        "model": "mobilenet_v2",
        "weights": "/cache/w.h5",
        "variance": 0.9,
        "standardize": True,
        "fit_on": "Apple*",
        "max_reject_ratio": 0.05,
        "keep_runs": 3,
        "retry_rejects": False,
    }

    assert report.command(params) == (
        "fruitsctl run 's3://bucket/my photos' s3://bucket/out --serverless --variance 0.9 --standardize --fit-on 'Apple*' --keep-runs 3"
    )


def test_a_rebuilt_report_is_the_same_and_a_missing_run_is_named(page, sample, tmp_path, cache):
    photos = copy_photos(sample, tmp_path / "photos", ["Banana", "Kiwi"])
    write_run(tmp_path / "out", tmp_path / "photos", [uri for uri, _ in photos], [label for _, label in photos], np.eye(6, 3))

    report.rebuild(f"file://{tmp_path}/out", RUN, cache)

    html = (tmp_path / "out" / "runs" / RUN / "report.html").read_text()
    assert "6 photos of 2 labels" in prose_of(html)
    assert markup_of(html).count("<img src=") == 0  # these photos are newer than the run
    with pytest.raises(SetupError, match=r"no finished run `nothing`"):
        report.rebuild(f"file://{tmp_path}/out", "nothing", cache)


def test_a_rebuild_whose_lease_was_taken_over_writes_nothing(tmp_path, cache, monkeypatch):
    """It was suspended, say, and what it read is erased by now."""
    write_run(tmp_path / "out", tmp_path / "photos", [f"file:///{number}" for number in range(4)], ["a", "a", "b", "b"], np.eye(4, 2))
    folder, build = open_folder(f"file://{tmp_path}/out"), report.build

    def slowly(*arguments):
        made = build(*arguments)
        take_over(folder, "an erasure")
        return made

    monkeypatch.setattr(report, "build", slowly)
    with pytest.raises(LeaseError, match="`an erasure` took over"):
        report.rebuild(folder.uri, RUN, cache)

    assert "report.html" not in folder.names(f"runs/{RUN}")


def test_a_photo_that_is_refused_because_it_was_erased_has_no_picture(page, sample, tmp_path):
    photos = copy_photos(sample, tmp_path / "photos", ["Banana"])
    (again, _), *others = photos

    html = page([uri for uri, _ in others], ["Banana"] * 2, [[1, 0], [2, 0]], rejects=[(again, "decode", "erased on request")])

    section = re.search(r'<section id="rejects".*?</section>', html, re.S)[0]
    assert "<img" not in section
    assert re.findall(r"no preview of ([^\"]+)", section) == [f"Banana/{again.rpartition('/')[2]}"]


def test_it_says_what_a_classifier_makes_of_scores_and_features_and_how_much_of_test_is_in_training(page, tmp_path):
    rng = np.random.default_rng(0)
    codes = np.arange(240) % 3
    features = rng.normal(size=(240, 40)) + 30 * np.eye(40)[codes]
    scores = rng.normal(size=(240, 12))  # of no use
    scores[181::3] = scores[1:60:3]  # copies
    labels = [["Kiwi", "Lime", "Plum"][code] for code in codes]
    places = [f"{'Test' if row >= 180 else 'Training'}/{label}/{row}.jpg" for row, label in enumerate(labels)]
    uris = [f"file://{tmp_path}/photos/{place}" for place in places]
    write_features(tmp_path / "out" / "features", uris[:100], features[:100])
    write_features(tmp_path / "out" / "features", uris[100:], features[100:])

    html = page(uris, labels, scores)

    text, data = prose_of(html), data_of(html)["charts"]
    assert "it learns from 180 photos and names 60 photos that it has not seen. With 12 components" in text
    assert "with all 40 features 100.0% . The most frequent label alone would be right for 33.3%." in text
    assert "It learns from folder Training and is asked for folder Test." in text
    assert [row["components"] for row in data["probe"]["data"]["values"]] == [1, 2, 5, 10, 12]
    assert "33.3% of the photos in folder Test have a near-duplicate in folder Training." in text
    assert data["leaks"]["data"]["values"] == [
        {"name": "Test → Training", "value": 20 / 60},
        {"name": "Training → Test", "value": 20 / 180},
    ]


def test_without_folders_and_features_the_classifier_is_on_scores_alone(page):
    rng = np.random.default_rng(0)
    labels = [*(["Kiwi", "Lime"] * 50), "alone"]

    html = page([f"file:///{row}.jpg" for row in range(101)], labels, rng.normal(size=(101, 12)) + 4 * np.eye(12)[np.arange(101) % 2])

    text = prose_of(html)
    assert "it learns from 80 photos and names 20 photos that it has not seen. With 12 components it names 100.0% of them right." in text
    assert "One photo in 5 of each label is held back, chosen by a hash of its address. 1 label has no photos to hold back" in text
    assert "features" not in re.search(r'<section id="classifier".*?</section>', markup_of(html), re.S)[0]
    assert "Of 101 photos, compared with 101, 0.0% have a near-duplicate." in text
    assert "leaks" not in data_of(html)["charts"]


def test_one_label_says_why_there_is_no_classifier(page):
    text = prose_of(page(["file:///a", "file:///b"], ["x", "x"], [[1, 0], [2, 0]]))

    assert "This needs at least two labels with two photos each." in text
    assert "This needs at least two photos and 10 components." in text
