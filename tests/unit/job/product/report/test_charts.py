"""Each chart is valid Vega-Lite, and says what its numbers say."""

import altair as alt
import numpy as np
import pytest
from jsonschema import ValidationError

from job.product.report import charts, vega


def rows_of(chart):
    return chart["data"]["values"]


def test_bars_keep_their_order_and_their_number_is_bounded():
    chart = charts.bars([(f"label {i}", i) for i in range(100)], "photos")

    assert [row["name"] for row in rows_of(chart)] == [f"label {i}" for i in range(30)]
    assert chart["height"] == 30 * charts.ROW_PX
    assert alt.Chart.from_dict(chart)  # validates


def test_the_scree_plot_has_shares_sums_and_k():
    chart = charts.scree(np.array([0.5, 0.3, 0.15, 0.05]), 2, 3)

    assert [row["ratio"] for row in rows_of(chart)] == [0.5, 0.3, 0.15]
    np.testing.assert_allclose([row["cumulated"] for row in rows_of(chart)], [0.5, 0.8, 0.95])
    assert [layer["data"]["values"] for layer in chart["layer"][2:]] == [[{"component": 2, "text": "k = 2"}]] * 2
    assert alt.Chart.from_dict(chart)


@pytest.mark.parametrize("features", [None, 0.4, 0.97])
def test_the_accuracy_of_a_classifier_has_a_point_for_each_number_of_components_and_a_rule_for_all_features(features):
    chart = charts.accuracy_by_components([(1, 0.1), (2, 0.3), (5, 0.9)], features, 1280)

    assert [(row["components"], row["accuracy"]) for row in rows_of(chart)] == [(1, 0.1), (2, 0.3), (5, 0.9)]
    whole = [{"accuracy": features, "text": "all 1,280 features"}]
    assert [layer["data"]["values"] for layer in chart["layer"][1:]] == ([] if features is None else [whole, whole])
    assert alt.Chart.from_dict(chart)


def test_one_component_is_a_scree_plot_too():
    assert alt.Chart.from_dict(charts.scree(np.array([1.0]), 1, 20))


def test_the_map_has_a_colour_and_a_shape_for_each_of_42_labels():
    chart = charts.scatter()
    encoding = chart["layer"][0]["encoding"]
    pairs = list(zip(encoding["color"]["scale"]["range"], encoding["shape"]["scale"]["range"], strict=True))

    assert len(set(pairs)) == 43  # and grey for those that are not chosen
    assert alt.Chart.from_dict(chart)


def test_a_chart_that_is_not_valid_would_be_noticed():
    chart = charts.scatter()
    chart["layer"][0]["mark"]["type"] = "pointt"

    with pytest.raises(ValidationError):
        alt.Chart.from_dict(chart)


def test_the_javascript_is_that_of_the_version_that_altair_writes():
    assert vega.VERSION == alt.VEGALITE_VERSION


def test_the_javascript_is_made_once_then_the_file_is_enough(cache, monkeypatch):
    text = vega.bundle(cache)
    kept = cache / f"vega-{vega.VERSION}.js"
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)  # as in the image, which leaves it out

    assert kept.read_text() == text == vega.bundle(cache)
    assert "window.vegaEmbed" in text
    assert len(text) < 1_000_000


def test_a_cache_that_cannot_be_read_or_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")

    assert "vegaEmbed" in vega.bundle(tmp_path / "file" / "cache")


def test_the_map_shows_what_lies_between_its_corners():
    place = charts.scatter()["layer"][0]["encoding"]
    scales = [place[side]["scale"] for side in "xy"]

    assert [(scale["domainMin"]["expr"], scale["domainMax"]["expr"]) for scale in scales] == [("x0", "x1"), ("y0", "y1")]
