"""
`python docs/presentation/figures.py RUN`: the picture of a result for the slides, `results.svg` beside this file, from a run's folder.

RUN is OUTPUT/runs/<run_id>/ on this machine; the picture in the repository is that of `make demo`. Standard library only.
"""

import csv
import sys
from pathlib import Path

HERE = Path(__file__).parent
# A palette that colour-blind people can tell apart, darkened until the names read on white: https://jfly.uni-koeln.de/color/
COLOURS = {
    "Banana Red": "#B84F00",
    "Cocos": "#7A4B00",
    "Grape Blue": "#0072B2",
    "Lemon Meyer": "#8A6500",
    "Rambutan": "#A8417E",
    "Tomato 4": "#007A5A",
}
BELOW = ("Cocos",)  # labels whose name would cover another one
OTHERS = "#c5ccd3"
MAP, CURVE = (60, 30, 560, 400), (760, 30, 380, 400)  # x, y, width, height


def read(run: Path) -> tuple[list[tuple[str, float, float]], list[float]]:
    """(label, pc1, pc2) of each photo, and the cumulated share of the variance of the first 50 components."""
    points = []
    for part in sorted((run / "csv").glob("*.csv")):
        with part.open(newline="", encoding="utf-8") as file:
            points += [(row["label"], float(row["pc1"]), float(row["pc2"])) for row in csv.DictReader(file)]
    with (run / "variance.csv").open(newline="", encoding="utf-8") as file:
        return points, [float(row["cumulated"]) for row in csv.DictReader(file)][:50]


def scaled(values: list[float], first: float, length: float) -> list[float]:
    low, high = min(values), max(values)
    return [first + (value - low) / (high - low) * length for value in values]


def draw(points: list[tuple[str, float, float]], cumulated: list[float]) -> str:
    x, y, width, height = MAP
    xs, ys = scaled([p[1] for p in points], x, width), scaled([-p[2] for p in points], y, height)
    order = sorted(range(len(points)), key=lambda i: points[i][0] in COLOURS)  # the coloured ones on top
    shapes = [
        f'<circle cx="{xs[i]:.0f}" cy="{ys[i]:.0f}" r="5" fill="{COLOURS.get(points[i][0], OTHERS)}" fill-opacity="0.8"/>' for i in order
    ]
    for label, colour in COLOURS.items():
        here = [i for i in order if points[i][0] == label]
        cx = sum(xs[i] for i in here) / len(here)
        cy = max(ys[i] for i in here) + 22 if label in BELOW else min(ys[i] for i in here) - 10
        halo = 'stroke="#fff" stroke-width="4" paint-order="stroke"'
        shapes.append(
            f'<text x="{cx:.0f}" y="{max(cy, 16):.0f}" text-anchor="middle" font-weight="bold" fill="{colour}" {halo}>{label}</text>'
        )
    below = y + height + 34
    shapes.append(f'<text x="{x + width}" y="{below}" text-anchor="end">PC1 →</text><text x="14" y="{y + 4}">PC2 ↑</text>')
    x, y, width, height = CURVE
    curve = " ".join(f"{x + i / 49 * width:.0f},{y + height * (1 - share):.0f}" for i, share in enumerate(cumulated))
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y + height * (1 - share)
        shapes.append(
            f'<path d="M{x} {at:.0f}h{width}" stroke="#dfe3e8"/><text x="{x - 8}" y="{at + 5:.0f}" text-anchor="end">{share:.0%}</text>'
        )
    last = y + height * (1 - cumulated[-1])
    shapes += [
        f'<polyline points="{curve}" fill="none" stroke="#0b5cad" stroke-width="4"/>',
        f'<text x="{x + width}" y="{last - 12:.0f}" text-anchor="end" font-weight="bold" fill="#0b5cad">{cumulated[-1]:.1%}</text>',
        f'<text x="{x}" y="{below}">k = 1</text><text x="{x + width}" y="{below}" text-anchor="end">k = {len(cumulated)}</text>',
    ]
    title = f"{len(points)} photos on the first two components, and the share of the variance that k components explain"
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1180 480" role="img" aria-labelledby="title"'
    style = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="16" fill="#1b1f24"'
    return "\n".join(
        [f'{head} {style}>\n<title id="title">{title}</title>\n<rect width="1180" height="480" rx="12" fill="#fff"/>', *shapes, "</svg>\n"]
    )


if __name__ == "__main__":
    (HERE / "results.svg").write_text(draw(*read(Path(sys.argv[1]))), encoding="utf-8")
