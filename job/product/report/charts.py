"""
Make Vega-Lite charts as JSON for Vega-Embed, each with its own rows: https://vega.github.io/vega-lite/docs/.

Written as they are: altair would write the same, and importing it takes a run up to four seconds; tests hold them to altair's schema.

Colours of text, axes and grid come from the page's CSS, so that one drawing serves dark, light and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from job.contract.records import counted
from job.product.report.vega import VERSION

# Okabe and Ito's colours without black and yellow, https://jfly.uni-koeln.de/color/; shapes say the same to those who see no colours.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
# 6 and 7 have no common factor: 42 pairs
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
MUTED = "#8a8a8a"
BAR, LINE = PALETTE[0], PALETTE[5]
ROW_PX = 18  # of one bar
BARS = 30  # more are in the table beside the chart

CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 170, "titleFontWeight": "normal", "aria": False},
    "mark": {"aria": False},  # a caption describes the figure; 2,000 marks would be too many for a screen reader
}
Chart = dict[str, Any]


def bars(rows: Sequence[tuple[str, float]], title: str, number: str = ",.0f", top: float | None = None) -> Chart:
    """Return the first BARS of `rows` (name, value) as horizontal bars in order, labelled with values; `top` limits the axis."""
    values = [{"name": name, "value": value} for name, value in rows[:BARS]]
    across = quantity("value", title, {"domainMax": top} if top else {}, {"format": number, "tickCount": 4, "grid": True})
    down = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"domain": False, "ticks": False}}
    text = {"field": "value", "type": "quantitative", "format": number}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar", "color": BAR, "height": {"band": 0.75}}, "encoding": {"x": across, "y": down}},
        {"mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11}, "encoding": {"x": across, "y": down, "text": text}},
    ]
    return chart(layers, {"values": values}, ROW_PX * len(values))


def scree(ratios: npt.NDArray[np.float64], k: int, shown: int) -> Chart:
    """Chart the share of variance by component (bars) and cumulated (line), of the first `shown`; a rule marks `k`."""
    cumulated = np.cumsum(ratios)
    values = [{"component": i + 1, "ratio": float(ratios[i]), "cumulated": float(cumulated[i])} for i in range(min(shown, len(ratios)))]
    ticks: dict[str, Any] = {"format": "d", "tickMinStep": 1, "grid": False}
    if len(values) <= 10:  # else it would write 1.5
        ticks["values"] = list(range(1, len(values) + 1))
    component = quantity("component", "component", {"domain": [0.5, len(values) + 0.5], "nice": False, "padding": 0}, ticks)
    share = quantity("ratio", "share of the variance", {"domain": [0, 1]}, {"format": ".0%", "tickCount": 5})
    chosen = {"values": [{"component": k, "text": f"k = {k}"}]}
    right = k > len(values) / 2
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar", "color": BAR, "size": max(1, 180 // len(values))}, "encoding": {"x": component, "y": share}},
        {
            "mark": {"type": "line", "color": LINE, "strokeWidth": 2.5},
            "encoding": {"x": component, "y": {"field": "cumulated", "type": "quantitative"}},
        },
        {
            "data": chosen,
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": MUTED, "strokeWidth": 1.5},
            "encoding": {"x": component},
        },
        {
            "data": chosen,
            "mark": {"type": "text", "align": "right" if right else "left", "dx": -6 if right else 6, "fontSize": 13},
            "encoding": {"x": component, "y": {"value": 150}, "text": {"field": "text", "type": "nominal"}},
        },
    ]
    return chart(layers, {"values": values}, 260)


def accuracy_by_components(shares: Sequence[tuple[int, float]], features: float | None, dim: int) -> Chart:
    """Chart the accuracy of a classifier by number of components, on a log axis; a rule shows it with all `dim` features."""
    values = [{"components": k, "accuracy": share} for k, share in shares]
    ticks = {"format": "d", "values": [k for k, _ in shares], "grid": False}
    across = quantity("components", "components", {"type": "log", "nice": False, "padding": 20}, ticks)
    up = quantity("accuracy", "named right", {"domain": [0, 1]}, {"format": ".0%", "tickCount": 5})
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "line", "color": BAR, "strokeWidth": 2.5, "point": {"color": BAR, "size": 50}},
            "encoding": {"x": across, "y": up},
        }
    ]
    if features is not None:
        whole = {"values": [{"accuracy": features, "text": f"all {counted(dim, 'features')}"}]}
        layers += [
            {"data": whole, "mark": {"type": "rule", "strokeDash": [4, 3], "color": LINE, "strokeWidth": 2}, "encoding": {"y": up}},
            {
                "data": whole,
                "mark": {
                    "type": "text",
                    "align": "left",
                    "baseline": "bottom" if features < 0.9 else "top",
                    "dy": -4 if features < 0.9 else 4,
                },
                "encoding": {"x": {"value": 8}, "y": up, "text": {"field": "text", "type": "nominal"}},
            },
        ]
    return chart(layers, {"values": values}, 260)


def scatter() -> Chart:
    """
    Return the map of images.

    The page fills the data `points` with x, y, slot (-1: not chosen, else an index into colours and shapes) and row. It sets the signals
    x0, x1, y0, y1, the visible corners, and `lit`, the row to highlight.
    """
    slots = list(range(-1, len(PALETTE) * len(SHAPES)))
    colours = [MUTED] + [PALETTE[slot % len(PALETTE)] for slot in slots[1:]]
    shapes = ["circle"] + [SHAPES[slot % len(SHAPES)] for slot in slots[1:]]

    def seen(side: str) -> dict[str, Any]:
        corners = {"domainMin": {"expr": f"{side}0"}, "domainMax": {"expr": f"{side}1"}, "nice": False, "zero": False}
        return quantity(side, None, corners, {"tickCount": 5})

    def slot(values: list[str]) -> dict[str, Any]:
        return {"field": "slot", "type": "nominal", "legend": None, "scale": {"domain": slots, "range": values}}

    def if_chosen(value: float, otherwise: float) -> dict[str, Any]:
        return {"condition": {"test": "datum.slot >= 0", "value": value}, "value": otherwise}

    place = {"x": seen("x"), "y": seen("y")}
    look = {"color": slot(colours), "shape": slot(shapes), "size": if_chosen(90, 28), "opacity": if_chosen(0.9, 0.35)}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "point", "filled": True, "clip": True}, "encoding": place | look},
        {
            "transform": [{"filter": "datum.row == lit"}],
            "mark": {"type": "point", "size": 600, "strokeWidth": 3, "color": LINE, "clip": True},
            "encoding": place,
        },
    ]
    corners = [{"name": name, "value": value} for name, value in (("x0", -1), ("x1", 1), ("y0", -1), ("y1", 1), ("lit", -1))]
    return chart(layers, {"name": "points"}, 520) | {"params": corners}


def quantity(name: str, title: str | None, scale: dict[str, Any], axis: dict[str, Any]) -> dict[str, Any]:
    """Return the encoding of a quantitative channel."""
    return {"field": name, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def chart(layers: list[dict[str, Any]], data: dict[str, Any], height: int) -> Chart:
    """Return a chart of `layers` with the settings that all charts share."""
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VERSION}.json",
        "data": data,
        "layer": layers,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding", "resize": True},
        "config": CONFIG,
    }
