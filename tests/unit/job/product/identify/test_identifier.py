"""The facade on small galleries of plain colours: every answer can be told beforehand."""

import io
import json
import threading

import pytest
from PIL import Image

from job.contract.errors import ModelError
from job.product.identify.identifier import Identifier
from tests.unit.job import hostile
from tests.unit.job.product.galleries import RUN, picture, write_gallery

RED, GREEN = (200, 40, 30), (60, 150, 40)
GOLDEN_1, GOLDEN_2 = (200, 190, 60), (204, 192, 66)
KNOWN = {"threshold": 0.05, "typical": 0.02, "median": 0.01, "images": 5.0, "right": 1.0}


def no_weights(what):
    raise AssertionError(f"mean_colour has no {what}")


def opened(root, colours, **about):
    return Identifier(write_gallery(root, colours, **about), weights=no_weights, cache=root)


@pytest.fixture
def fruits(tmp_path):
    colours = [("Tomato 1", RED), ("Limes", GREEN), ("Apple Golden 1", GOLDEN_1), ("Apple Golden 2", GOLDEN_2)]
    return opened(tmp_path, colours, identify=KNOWN)


def test_an_image_of_the_gallery_is_itself(fruits):
    answer = fruits.identify(picture(RED))

    assert (answer.status, answer.best, answer.group, answer.distance) == ("ok", "Tomato 1", "Tomato", 0.0)
    assert answer.score > 0.99
    assert answer.results[0].neighbours[0].uri.endswith("/Tomato 1/0.png")
    assert (answer.run_id, answer.pca_run_id, answer.model, answer.threshold) == (RUN, RUN, "mean_colour-v2", 0.05)


def test_where_varieties_disagree_only_their_group_is_named(fruits):
    answer = fruits.identify(picture((202, 191, 63)))

    assert (answer.status, answer.best, answer.group) == ("ok", None, "Apple")
    assert [result.group for result in answer.results[:2]] == ["Apple", "Apple"]


def test_what_is_far_from_everything_is_unknown_and_still_says_what_is_nearest(fruits):
    answer = fruits.identify(picture((20, 20, 250)))

    assert (answer.status, answer.best, answer.group) == ("unknown", None, None)
    assert answer.distance > 0.05
    assert len(answer.results) == 4


def test_scores_of_all_labels_add_up_to_one_and_fall(fruits):
    scores = [result.score for result in fruits.identify(picture((120, 120, 60)), top=10).results]

    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert scores == sorted(scores, reverse=True)


def test_top_limits_the_results(fruits):
    assert len(fruits.identify(picture(RED), top=1).results) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not an image"),
        (hostile.truncated_jpeg(), "truncated"),
        (hostile.claimed_bomb_png(), "too many pixels: 50000x50000"),
        (hostile.heic(), "damaged header"),
    ],
)
def test_what_is_no_picture_is_unreadable_with_a_reason(fruits, content, reason):
    answer = fruits.identify(content)

    assert (answer.status, answer.reason, answer.results, answer.distance) == ("unreadable", reason, [], None)
    json.dumps(answer.to_dict())


def test_of_an_animated_gif_the_first_frame_is_identified(tmp_path):
    assert opened(tmp_path, [("Red", (255, 0, 0)), ("Blue", (0, 0, 255))]).identify(hostile.animated("GIF")).results[0].label == "Red"


def test_a_gallery_of_one_image_knows_that_one_and_nothing_else(tmp_path):
    one = opened(tmp_path, [("Tomato 1", RED)])

    assert one.identify(picture(RED)).best == "Tomato 1"
    assert one.identify(picture(GREEN)).status == "unknown"


def test_one_component_is_enough_to_answer(tmp_path):
    answer = opened(tmp_path, [("Tomato 1", RED), ("Limes", GREEN)], components=1).identify(picture((220, 0, 0)))

    assert (answer.best, answer.distance) == ("Tomato 1", 0.0)


def test_the_dict_is_stable(fruits):
    told = fruits.identify(picture(RED), top=1).to_dict()

    assert list(told) == [
        "status", "run_id", "pca_run_id", "model", "threshold", "best", "group", "score", "distance", "results", "reason", "seen_as",
        "second_opinion",
    ]  # fmt: skip
    assert list(told["results"][0]) == ["label", "group", "score", "distance", "neighbours"]
    assert list(told["results"][0]["neighbours"][0]) == ["uri", "distance"]
    assert json.loads(json.dumps(told)) == told


def test_another_version_of_the_network_is_refused(tmp_path):
    with pytest.raises(ModelError, match="used model `mean_colour-v0`, this version uses `mean_colour-v2`"):
        opened(tmp_path, [("Tomato 1", RED), ("Limes", GREEN)], model="mean_colour-v0")


def test_threads_get_the_answers_that_one_gets(fruits):
    contents = [picture(colour) for colour in (RED, GREEN, GOLDEN_1)] * 8
    alone = [fruits.identify(content) for content in contents]
    together = [None] * len(contents)

    def ask(number):
        together[number] = fruits.identify(contents[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_thumbnail_is_small_webp_and_gone_with_its_photo(fruits, tmp_path):
    uri = fruits.identify(picture(RED)).results[0].neighbours[0].uri
    with Image.open(io.BytesIO(fruits.thumbnail(uri))) as image:
        assert (image.format, image.getpixel((10, 10))) == ("WEBP", pytest.approx(RED, abs=4))

    (tmp_path / "photos" / "Tomato 1" / "0.png").unlink()
    assert fruits.thumbnail(uri) is None
