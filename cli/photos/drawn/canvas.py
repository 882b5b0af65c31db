"""
Render shapes with normals, lit from one side, painted over each other with smooth edges. NumPy and Pillow only.

A canvas measures in the fruit's own units: its body is about 2 high, the centre is (0, 0), y points down. Rotation, size and
place of the fruit in the picture are in the coordinates of the pixels, so no shape has to know them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]  # red, green, blue, 0..1
TABLE = 2048  # entries of an outline


class Surface(NamedTuple):
    """What a shape covers, and which way it faces there: arrays of the canvas's shape."""

    cover: Floats  # 0 outside, 1 inside, between them along the edge
    nx: Floats
    ny: Floats
    nz: Floats  # towards the camera


@dataclass(frozen=True)
class Canvas:
    """A picture in the making; `window` gives a part of it that shares its pixels."""

    x: Floats  # (height, width), in the fruit's units
    y: Floats
    rgb: Floats  # (height, width, 3), multiplied by `alpha`
    alpha: Floats  # (height, width)
    pixel: float  # its size in the fruit's units
    light: tuple[float, float, float]  # unit vector towards it, in the fruit's axes
    angle: float  # of the fruit, clockwise in radians
    centre: tuple[float, float]  # of the fruit, in pixels of this canvas

    def window(self, x: float, y: float, radius: float) -> Canvas:
        """Return the rectangle around a circle."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        column = self.centre[0] + (x * cos - y * sin) / self.pixel
        row = self.centre[1] + (x * sin + y * cos) / self.pixel
        reach = radius / self.pixel + 2
        height, width = self.alpha.shape
        left, right = (int(min(max(edge, 0), width)) for edge in (column - reach, column + reach + 1))
        top, bottom = (int(min(max(edge, 0), height)) for edge in (row - reach, row + reach + 1))
        part = np.s_[top:bottom, left:right]
        centre = (self.centre[0] - left, self.centre[1] - top)
        return replace(self, x=self.x[part], y=self.y[part], rgb=self.rgb[part], alpha=self.alpha[part], centre=centre)

    def paint(self, colour: Floats | Colour, cover: Floats) -> None:
        """Put `colour` over what is there."""
        part = covered(cover)
        colour, cover = cropped(colour, part), cover[part]
        rest = 1 - cover
        self.rgb[part] = self.rgb[part] * rest[..., None] + colour * cover[..., None]
        self.alpha[part] = self.alpha[part] * rest + cover

    def shade(self, colour: Floats | Colour, surface: Surface, gloss: float = 0.35, sharp: float = 40.0, ambient: float = 0.42) -> None:
        """Paint `colour`, the surface's own, as the light shows it. `sharp`: a higher number gives a smaller highlight."""
        part = covered(surface.cover)
        nx, ny, nz = (values[part] for values in surface[1:])
        lx, ly, lz = self.light
        lambert = np.clip(nx * lx + ny * ly + nz * lz, -0.25, 1.0)
        bright = ambient + (1.12 - ambient) * (lambert + 0.25) / 1.25
        bright *= 0.72 + 0.28 * np.clip(nz * 1.6, 0, 1)  # surfaces that turn away get less of the room's light
        half = (np.array([lx, ly, lz + 1.0]) / np.sqrt(lx * lx + ly * ly + (lz + 1.0) ** 2)).astype(np.float32)
        shine = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1)
        highlight = gloss * shine ** np.float32(sharp)
        lit = cropped(colour, part) * bright[..., None] + highlight[..., None]
        view = replace(self, x=self.x[part], y=self.y[part], rgb=self.rgb[part], alpha=self.alpha[part])
        view.paint(np.clip(lit, 0, 1), surface.cover[part])

    def inside(self, distance: Floats) -> Floats:
        """Convert a distance to the edge, positive inside, to coverage."""
        return np.clip(distance / self.pixel + 0.5, 0, 1)

    def noise(self, rng: np.random.Generator, cells: int, stretch: tuple[float, float] = (1, 1)) -> Floats:
        """Return smooth noise of about -1..1 with `cells` bumps over the longer side."""
        height, width = self.alpha.shape
        rows = max(2, round(cells * stretch[1] * height / max(height, width)))
        columns = max(2, round(cells * stretch[0] * width / max(height, width)))
        grid = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
        return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def covered(cover: Floats) -> tuple[slice, slice]:
    """Return the rectangle that holds all coverage: most shapes are small, and only their pixels cost time."""
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    if not rows.size:
        return np.s_[0:0, 0:0]
    return np.s_[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


def cropped(colour: Floats | Colour, part: tuple[slice, slice]) -> Floats:
    """Crop `colour` to that rectangle; a single colour for all pixels stays as it is."""
    array = np.asarray(colour, np.float32)
    return array[part] if array.ndim == 3 else array


def ball(canvas: Canvas, x: float, y: float, radius: float, flat: float = 1.0) -> Surface:
    """Return a sphere; `flat` < 1 makes it lower than it is wide."""
    dx, dy = (canvas.x - x) / radius, (canvas.y - y) / (radius * flat)
    square = dx * dx + dy * dy
    cover = canvas.inside((1 - np.sqrt(square)) * radius * min(flat, 1.0))
    return Surface(cover, dx, dy, np.sqrt(np.clip(1 - square, 0, 1)))


def round_body(canvas: Canvas, outline: Floats) -> Surface:
    """Return a body whose edge is `outline` away from the centre: a table over the angle, clockwise from the top."""
    distance = np.sqrt(canvas.x**2 + canvas.y**2) + np.float32(1e-6)
    edge = outline[turn(canvas)]
    part = distance / edge
    nx, ny = canvas.x / distance * part, canvas.y / distance * part
    return Surface(canvas.inside(edge - distance), nx, ny, np.sqrt(np.clip(1 - part * part, 0, 1)))


def turn(canvas: Canvas) -> NDArray[np.int32]:
    """Return the angle of every pixel around the centre, as an index into an outline of `round_body`."""
    angle = np.arctan2(canvas.x, -canvas.y)
    return (angle * np.float32(TABLE / (2 * np.pi))).astype(np.int32) % TABLE


def angles() -> Floats:
    """Return -pi to pi, in the order of an outline of `round_body`: 0 is the top."""
    index = np.arange(TABLE)
    return (np.where(index < TABLE // 2, index, index - TABLE) * (2 * np.pi / TABLE)).astype(np.float32)


def turned_body(canvas: Canvas, widths: Floats) -> Surface:
    """Return a body as from a lathe, half as wide as `widths` says: a table over y from -1 to 1."""
    index = np.clip((canvas.y + 1) * (TABLE / 2), 0, TABLE - 1).astype(np.int32)
    slopes = np.gradient(widths, np.float32(2 / TABLE)).astype(np.float32)
    slopes = np.clip(slopes, -6, 6)
    width, slope = widths[index], slopes[index]
    across = canvas.x / np.maximum(width, np.float32(1e-3))
    depth = np.sqrt(np.clip(1 - across * across, 0, 1))
    length = np.sqrt(1 + slope * slope)
    distance = np.minimum((width - np.abs(canvas.x)) / length, 1 - np.abs(canvas.y))
    return Surface(canvas.inside(distance), np.clip(across, -1, 1) / length, -slope / length, depth / length)


def heights() -> Floats:
    """Return -1 to 1, in the order of the widths of `turned_body`: -1 is the top."""
    return np.linspace(-1, 1, TABLE, dtype=np.float32)


def longitude(surface: Surface) -> Floats:
    """Return the longitude of a turned body: 0 towards the camera, -pi/2 and pi/2 at its edges."""
    return np.arctan2(surface.nx, surface.nz + np.float32(1e-6))


def blade(
    canvas: Canvas,
    begin: tuple[float, float],
    end: tuple[float, float],
    width: float,
    bend: float = 0.0,
    shape: tuple[float, float] = (0.5, 0.5),
) -> tuple[Surface, Floats]:
    """
    Return a leaf, a stalk or a banana: from `begin` to `end`, bent sideways by `bend`, half as wide as `width` at its widest.

    Also return the share of the way from begin (0) to end (1). `shape`: how slowly it widens from its begin and narrows to its end; 0 is
    blunt, 1 is straight.
    """
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    length = float(np.hypot(dx, dy))
    ux, uy = dx / length, dy / length
    along = ((canvas.x - begin[0]) * ux + (canvas.y - begin[1]) * uy) / length
    way = np.clip(along, 0, 1)
    across = (canvas.y - begin[1]) * ux - (canvas.x - begin[0]) * uy - 4 * bend * way * (1 - way)
    slope = 4 * bend * (1 - 2 * way) / length
    steep = np.sqrt(1 + slope * slope)
    across = across / steep
    half = np.float32(width) * _taper(way, shape) + np.float32(1e-4)
    distance = np.minimum(half - np.abs(across), np.minimum(along, 1 - along) * length + canvas.pixel)
    part = np.clip(across / half, -1, 1)
    nx, ny = part * (-uy - slope * ux) / steep, part * (ux - slope * uy) / steep
    return Surface(canvas.inside(distance), nx, ny, np.sqrt(np.clip(1 - part * part, 0, 1))), way


def _taper(way: Floats, shape: tuple[float, float]) -> Floats:
    first, last = shape
    peak = (first / (first + last)) ** first * (last / (first + last)) ** last if first + last else 1.0
    taper: Floats = way ** np.float32(first) * (1 - way) ** np.float32(last) / np.float32(peak)
    return taper


def mix(first: Floats | Colour, second: Floats | Colour, share: Floats | float) -> Floats:
    """Blend from `first` where `share` is 0 to `second` where it is 1."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    part = np.clip(np.asarray(share, np.float32), 0, 1)[..., None]
    return a + (b - a) * part


def blurred(values: Floats, radius: float) -> Floats:
    """Apply a Gaussian blur to values from 0 to 1."""
    image = Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
