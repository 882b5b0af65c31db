"""
Numbers in, Vega-Lite charts out, as the JSON that Vega-Embed draws. No data leaves this file twice: each chart holds its own rows.

Colours of text, axes and grid come from the page's CSS, so that one drawing serves dark, light and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

# Okabe and Ito's colours without black and yellow, https://jfly.uni-koeln.de/color/; shapes say the same to those who see no colours.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
]  # 6 and 7 have no common factor: 42 pairs
MUTED = "#8a8a8a"
BAR, LINE = PALETTE[0], PALETTE[5]
ROW_PX = 18  # of one bar
BARS = 30  # more are in the table beside the chart

CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 170, "titleFontWeight": "normal", "aria": False},
    "mark": {"aria": False},  # the figure says what it shows; 2,000 marks would drown it
}
Chart = dict[str, Any]


def bars(rows: Sequence[tuple[str, float]], title: str, number: str = ",.0f", top: float | None = None) -> Chart:
    """The first BARS of `rows` (name, value) as horizontal bars in their order, the value at each end; `top` ends the axis."""
    values = [{"name": name, "value": value} for name, value in rows[:BARS]]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
        x=alt.X(
            "value:Q",
            title=title,
            scale=alt.Scale(domainMax=top) if top else alt.Scale(),
            axis=alt.Axis(format=number, tickCount=4, grid=True),
        ),
    )
    text = base.mark_text(align="left", dx=4, fontSize=11).encode(text=alt.Text("value:Q", format=number))
    return _finished((base.mark_bar(color=BAR, height={"band": 0.75}) + text).properties(height=ROW_PX * len(values)))


def scree(ratios: npt.NDArray[np.float64], k: int, shown: int) -> Chart:
    """Share of the variance by component (bars) and cumulated (line), of the first `shown`; a rule at `k`."""
    cumulated = np.cumsum(ratios)
    values = [{"component": i + 1, "ratio": float(ratios[i]), "cumulated": float(cumulated[i])} for i in range(min(shown, len(ratios)))]
    whole = alt.Scale(domain=[0.5, len(values) + 0.5], nice=False, padding=0)
    every = list(range(1, len(values) + 1)) if len(values) <= 10 else alt.Undefined  # else it would write 1.5
    ticks = alt.Axis(format="d", tickMinStep=1, grid=False, values=every)
    component = alt.X("component:Q", title="component", scale=whole, axis=ticks)
    base = alt.Chart(alt.InlineData(values=values)).encode(x=component)
    share = alt.Axis(format=".0%", tickCount=5)
    alone = base.mark_bar(color=BAR, size=max(1, 180 // len(values))).encode(
        y=alt.Y("ratio:Q", title="share of the variance", axis=share, scale=alt.Scale(domain=[0, 1]))
    )
    together = base.mark_line(color=LINE, strokeWidth=2.5).encode(y="cumulated:Q")
    chosen = [{"component": k, "text": f"k = {k}"}]
    rule = alt.Chart(alt.InlineData(values=chosen)).mark_rule(strokeDash=[4, 3], color=MUTED, strokeWidth=1.5).encode(x=component)
    right = k > len(values) / 2
    label = alt.Chart(alt.InlineData(values=chosen)).mark_text(align="right" if right else "left", dx=-6 if right else 6, fontSize=13)
    named = label.encode(x=component, y=alt.value(150), text="text:N")
    return _finished((alone + together + rule + named).properties(height=260))


def scatter() -> Chart:
    """
    The map. The page fills the data `points` with x, y, slot (-1: not chosen, else a place in colours and shapes) and row, and moves
    the signals x0, x1, y0, y1, the corners that are seen, and `lit`, the row to point at.
    """
    corners = [alt.param(name=name, value=value) for name, value in (("x0", -1), ("x1", 1), ("y0", -1), ("y1", 1), ("lit", -1))]
    slots = list(range(-1, len(PALETTE) * len(SHAPES)))
    colours = [MUTED] + [PALETTE[slot % len(PALETTE)] for slot in slots[1:]]
    shapes = ["circle"] + [SHAPES[slot % len(SHAPES)] for slot in slots[1:]]
    seen = {side: alt.Scale(domainMin=alt.expr(f"{side}0"), domainMax=alt.expr(f"{side}1"), nice=False, zero=False) for side in "xy"}
    axis = alt.Axis(title=None, tickCount=5)
    base = alt.Chart(alt.NamedData(name="points")).encode(
        x=alt.X("x:Q", axis=axis, scale=seen["x"]),
        y=alt.Y("y:Q", axis=axis, scale=seen["y"]),
    )
    points = base.mark_point(filled=True, clip=True).encode(
        color=alt.Color("slot:N", legend=None, scale=alt.Scale(domain=slots, range=colours)),
        shape=alt.Shape("slot:N", legend=None, scale=alt.Scale(domain=slots, range=shapes)),
        size=alt.condition("datum.slot >= 0", alt.value(90), alt.value(28)),
        opacity=alt.condition("datum.slot >= 0", alt.value(0.9), alt.value(0.35)),
    )
    ring = base.transform_filter("datum.row == lit").mark_point(size=600, strokeWidth=3, color=LINE, clip=True)
    return _finished(alt.layer(points, ring).add_params(*corners).properties(height=520))


def _finished(chart: Any) -> Chart:
    made: Chart = chart.properties(width="container").to_dict()
    made["config"] = CONFIG
    made["autosize"] = {"type": "fit-x", "contains": "padding", "resize": True}
    return made
