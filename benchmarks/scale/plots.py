"""The curves of growth as SVG: results in, two pictures out. No script and no font from elsewhere in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert

from benchmarks.scale.grow import Grown
from benchmarks.scale.model import Cell
from benchmarks.scale.simulate import Simulated
from benchmarks.scale.tables import SHOWN

# A palette that colour-blind people can tell apart: https://jfly.uni-koeln.de/color/
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4B00", "#444444"]
FONT = "DejaVu Sans, Verdana, sans-serif"
WIDTH, HEIGHT = 400, 300
VEGA_LITE = "5.21"


def draw(grown: Sequence[Grown], simulated: Sequence[Simulated], cells: Sequence[Cell], folder: Path) -> list[Path]:
    """`growth-stages.svg` and `growth-model.svg` in `folder`."""
    stages = [
        _lines("seconds by stage, measured on real photos", [row for one in grown for row in _seconds(one.images, one.stages)], "seconds"),
        _lines("seconds by stage, simulated", [row for one in simulated for row in _seconds(one.images, one.first.stages)], "seconds"),
    ]
    runs = [
        {"photos": one.images, "line": f"{one.vcpu} vCPUs", "hours": one.seconds / 3600, "USD": one.usd + one.usd_requests} for one in cells
    ]
    model = [_lines(f"{name} of a run, computed", runs, name) for name in ("hours", "USD")]
    return [_written(charts, folder / f"growth-{name}.svg") for name, charts in (("stages", stages), ("model", model))]


def _seconds(images: int, stages: Mapping[str, float]) -> list[dict[str, Any]]:
    """What takes no time has no place on a logarithmic axis."""
    return [{"photos": images, "line": name, "seconds": seconds} for name, seconds in stages.items() if name in SHOWN and seconds > 0]


def _lines(title: str, rows: Sequence[Mapping[str, Any]], y: str) -> dict[str, Any]:
    """Vega-Lite: one line per `line` over `photos`, both axes logarithmic."""
    names, sizes = list(dict.fromkeys(row["line"] for row in rows)), sorted({row["photos"] for row in rows})
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": list(rows)},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "photos",
                "type": "quantitative",
                "scale": {"type": "log", "nice": False},
                "axis": {"values": sizes, "format": "~s"},
            },
            "y": {"field": y, "type": "quantitative", "scale": {"type": "log"}},
            "color": {"field": "line", "type": "nominal", "title": None, "sort": names, "scale": {"domain": names, "range": COLOURS}},
        },
    }


def _written(charts: Sequence[dict[str, Any]], path: Path) -> Path:
    spec = {"hconcat": list(charts), "resolve": {"scale": {"color": "independent"}}, "config": {"font": FONT, "background": "white"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)) + "\n", encoding="utf-8")
    return path
