"""
Draw each kind of fruit, upright, in its own units. `rng` varies the photos.

Long because it has one function per kind; they share the helpers at the top and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from cli.photos.drawn.canvas import (
    TABLE,
    Canvas,
    Colour,
    Floats,
    Surface,
    angles,
    ball,
    blade,
    heights,
    longitude,
    mix,
    round_body,
    turned_body,
)

Draw = Callable[[Canvas, np.random.Generator], None]

LEAF, STALK = (0.27, 0.50, 0.16), (0.36, 0.25, 0.13)


def near(colour: Colour, rng: np.random.Generator, amount: float = 0.05) -> Colour:
    """Return a colour like `colour`: brightness and each channel a little off."""
    bright = rng.normal(0, amount)
    red, green, blue = (float(np.clip(value + bright + rng.normal(0, amount / 2), 0.02, 1)) for value in colour)
    return red, green, blue


def bump(at: Floats, centre: float, width: float) -> Floats:
    result: Floats = np.exp(-(((at - centre) / width) ** 2))
    return result


def step(values: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high`, smooth between them; the other way round if `low` is the higher."""
    part = np.clip((values - low) / np.float32(high - low), 0, 1)
    result: Floats = part * part * (3 - 2 * part)
    return result


def ellipse(widest: float) -> Floats:
    return np.float32(widest) * np.sqrt(np.clip(1 - heights() ** 2, 0, 1))


def tilted(surface: Surface, dx: Floats, dy: Floats) -> Surface:
    """Roughen the skin: push the normals by (dx, dy)."""
    nx, ny = surface.nx + dx, surface.ny + dy
    length = np.sqrt(nx * nx + ny * ny + surface.nz * surface.nz) + np.float32(1e-6)
    return Surface(surface.cover, nx / length, ny / length, surface.nz / length)


def dimpled(canvas: Canvas, rng: np.random.Generator, surface: Surface, cells: int, depth: float) -> Surface:
    return tilted(surface, depth * canvas.noise(rng, cells), depth * canvas.noise(rng, cells))


def stalk(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, length: float, width: float, colour: Colour = STALK
) -> tuple[float, float]:
    """Draw a stalk that grows from (x, y), and return where it ends."""
    end = (x + length * rng.uniform(-0.45, 0.45), y - length * rng.uniform(0.85, 1.0))
    surface, way = blade(canvas, (x, y), end, width, rng.uniform(-0.1, 0.1) * length, (0.05, 0.02))
    canvas.shade(mix(near(colour, rng), (0.5, 0.38, 0.22), way * 0.6), surface, 0.1)
    return end


def leaf(
    canvas: Canvas, rng: np.random.Generator, begin: tuple[float, float], end: tuple[float, float], width: float, colour: Colour = LEAF
) -> None:
    surface, way = blade(canvas, begin, end, width, rng.uniform(-0.08, 0.08), (0.6, 0.8))
    side = surface.nx * -(end[1] - begin[1]) + surface.ny * (end[0] - begin[0])  # -length..length over the leaf
    vein = step(np.abs(side), 0.10, 0.02) + 0.35 * step(np.abs(np.sin(way * 24 + np.abs(side) * 5)), 0.25, 0.05)
    flat = tilted(surface, np.zeros_like(way), -0.2 * np.sign(side))
    canvas.shade(mix(near(colour, rng), (0.62, 0.74, 0.38), vein * 0.6), flat, 0.18, 15)


def star(
    canvas: Canvas,
    rng: np.random.Generator,
    centre: tuple[float, float],
    blades: int,
    length: float,
    width: float,
    colour: Colour,
    flat: float = 0.5,
) -> None:
    """Draw small leaves around a point, seen from the side by `flat`."""
    first = rng.uniform(0, 2 * np.pi)
    angle = first + np.arange(blades) * 2 * np.pi / blades + rng.normal(0, 0.12, blades)
    for each in sorted(angle, key=np.sin):
        reach = length * rng.uniform(0.8, 1.15)
        end = (centre[0] + reach * np.cos(each), centre[1] + reach * np.sin(each) * flat)
        surface, _ = blade(canvas, centre, end, width, rng.uniform(-0.12, 0.12) * length, (0.35, 0.8))
        canvas.shade(near(colour, rng, 0.04), surface, 0.12, 15)


def speckles(canvas: Canvas, rng: np.random.Generator, cells: int, share: float) -> Floats:
    """Return small dots over about `share` of the picture."""
    return step(canvas.noise(rng, cells), 1 - 2 * share, 1.15 - 2 * share)


def apple(canvas: Canvas, rng: np.random.Generator, skin: Colour, second: Colour, streaks: float, blush: float) -> None:
    at = np.abs(angles())
    outline = 0.93 - 0.20 * bump(at, 0, 0.30) + 0.05 * bump(at, 0.65, 0.40) - 0.05 * bump(at, 2.55, 0.5) - 0.05 * bump(at, np.pi, 0.22)
    outline = outline * (1 + 0.02 * np.sin(angles() + rng.uniform(0, 6)))
    body = round_body(canvas, outline.astype(np.float32))
    lines = rng.normal(0, 1, TABLE).astype(np.float32)
    around = np.arctan2(canvas.x, np.maximum(canvas.y + 1.6, 0.05))  # streaks run from the stalk down
    streak = lines[(around * 90).astype(np.int32) % TABLE] * 0.5 + canvas.noise(rng, 9)
    share = blush + streaks * streak + 0.35 * step(np.hypot(canvas.x, canvas.y + 0.8), 0.6, 0.1) - 0.3 * canvas.noise(rng, 3)
    colour = mix(near(skin, rng), near(second, rng), share)
    colour = mix(colour, (0.93, 0.87, 0.66), 0.5 * speckles(canvas, rng, 40, 0.05))
    canvas.shade(colour, body, 0.45, 45)
    hollow = ball(canvas, 0, -0.70, 0.34, 0.36)
    canvas.paint(mix(near(second, rng), (0.12, 0.09, 0.04), 0.75), hollow.cover * hollow.nz * 0.85 * body.cover)
    end = stalk(canvas, rng, 0.0, -0.66, 0.5, 0.045)
    if rng.random() < 0.45:
        leaf(canvas, rng, (end[0] * 0.5, -0.85), (rng.uniform(0.4, 0.65), -1.1 + rng.uniform(-0.1, 0.15)), 0.13)


def banana(canvas: Canvas, rng: np.random.Generator) -> None:
    ripe = rng.uniform(0, 1)
    for number in range(int(rng.integers(1, 4))):
        shift, tilt = 0.24 * number - 0.1, 0.10 * number
        begin, end = (-0.92 + tilt, -0.48 + shift * 0.5), (0.88, -0.32 + shift)
        surface, way = blade(canvas, begin, end, 0.25, 0.62 + 0.02 * number, (0.22, 0.30))
        yellow = mix(near((0.72, 0.78, 0.22), rng, 0.03), near((0.97, 0.82, 0.20), rng, 0.03), 0.35 + ripe)
        colour = mix(yellow, (0.45, 0.30, 0.10), ripe * 0.8 * speckles(canvas, rng, 45, 0.10))
        greenish = np.maximum(step(way, 0.22, 0.0), step(way, 0.85, 1.0))
        colour = mix(colour, (0.62, 0.68, 0.20), 0.6 * greenish)
        side = surface.nx * (end[1] - begin[1]) - surface.ny * (end[0] - begin[0])
        ridge = step(np.abs(side / 1.8 - 0.30), 0.07, 0.0)
        colour = mix(colour, (0.55, 0.42, 0.08), 0.35 * ridge)
        canvas.shade(colour, surface, 0.18, 18, 0.5)
        tip, _ = blade(canvas, (end[0] - 0.07, end[1] + 0.11), (end[0] + 0.05, end[1] - 0.05), 0.06, 0.0, (0.05, 0.05))
        canvas.shade((0.22, 0.16, 0.10), tip, 0.05)
        root, part = blade(
            canvas, (begin[0] + 0.10, begin[1] + 0.20), (begin[0] - 0.06 + tilt * 0.3, begin[1] - 0.24), 0.085, 0.0, (0.02, 0.02)
        )
        canvas.shade(mix((0.68, 0.68, 0.22), (0.30, 0.22, 0.12), step(part, 0.72, 0.9)), root, 0.1)


def berries(
    canvas: Canvas, rng: np.random.Generator, at: Iterable[tuple[float, float, float]], skin: Colour, bloom: float, gloss: float
) -> None:
    """Draw round berries at (x, y, radius), in this order."""
    for x, y, radius in at:
        part = canvas.window(x, y, radius * 1.1)
        if not part.alpha.size:
            continue
        body = ball(part, x, y, radius, rng.uniform(1.0, 1.12))
        colour = near(skin, rng, 0.035)
        dust = bloom * (0.6 + 0.4 * part.noise(rng, 4))
        rim = 0.5 * step(body.nz, 0.55, 0.0)
        dark = mix(mix(colour, (0.75, 0.78, 0.86), dust), mix(colour, (0.05, 0.04, 0.06), 0.55), rim)
        part.shade(dark, body, gloss, 30, 0.38)


def grapes(canvas: Canvas, rng: np.random.Generator, skin: Colour, bloom: float) -> None:
    end = stalk(canvas, rng, 0, -0.6, 0.45, 0.05, (0.40, 0.42, 0.18))
    if rng.random() < 0.4:
        leaf(canvas, rng, (0, -0.75), (end[0] + 0.75, -0.85), 0.24)
    places = []
    for row, count in enumerate((4, 5, 5, 4, 4, 3, 2, 1)):
        for column in range(count):
            x = (column - (count - 1) / 2) * 0.30 + rng.normal(0, 0.035)
            places.append((x, -0.62 + row * 0.215 + rng.normal(0, 0.03), rng.uniform(0.165, 0.20)))
    places.sort(key=lambda place: rng.normal(0, 0.5) - abs(place[0]))  # the outer ones lie behind
    berries(canvas, rng, places, skin, bloom, 0.55)


def pineapple(canvas: Canvas, rng: np.random.Generator) -> None:
    leaves = [(side, lift) for lift in (1.0, 0.85, 0.68, 0.5, 0.32) for side in np.linspace(-1, 1, 5)]
    for side, lift in leaves:
        spread = side * (1.05 - 0.55 * lift) + rng.normal(0, 0.06)
        end = (spread * 0.75, -0.33 - 0.72 * lift + 0.12 * abs(side) * lift + rng.normal(0, 0.03))
        surface, way = blade(canvas, (side * 0.16, -0.22), end, 0.085, 0.16 * side * (1 - lift * 0.5), (0.25, 0.75))
        colour = mix(near((0.22, 0.40, 0.22), rng, 0.04), (0.50, 0.62, 0.38), way)
        canvas.shade(colour, surface, 0.2, 15)
    part = heights()
    middle = np.clip(1 - np.abs((part - 0.36) / 0.64) ** 2.7, 0, 1) ** (1 / 2.5)
    body = turned_body(canvas, (0.50 * middle).astype(np.float32))
    around, down = longitude(body) * 2.55, canvas.y * 6.0
    first, second = around + down * 0.62, around - down * 0.62
    u, v = first - np.round(first), second - np.round(second)
    eye = np.maximum(np.abs(u), np.abs(v)) * 2  # 0 in the middle of each diamond, 1 along its edge
    ripe = rng.uniform(0, 1)
    base = mix(near((0.62, 0.55, 0.16), rng), near((0.93, 0.62, 0.14), rng), ripe)
    colour = mix(base, (0.40, 0.42, 0.14), step(canvas.y, 0.3, -0.3) * (0.7 - 0.4 * ripe))
    colour = mix(colour, (0.28, 0.17, 0.06), step(eye, 0.62, 1.0) * 0.85)
    colour = mix(colour, (0.30, 0.19, 0.08), step(np.hypot(u, v), 0.13, 0.05))
    canvas.shade(colour, tilted(body, 0.9 * (u + v), 0.9 * (u - v)), 0.15, 20)


def strawberry(canvas: Canvas, rng: np.random.Generator) -> None:
    y = heights()
    long = rng.uniform(0.27, 0.40)
    widths = np.sqrt(np.clip(1 - y * y, 0, 1)) ** 0.85 * (0.70 - long * y - 0.10 * y * y)
    body = turned_body(canvas, widths.astype(np.float32))
    rows = canvas.y * 5.6 + 0.35 * np.cos(longitude(body))
    row = np.round(rows)
    column = longitude(body) * 2.9 + 0.5 * (row % 2)
    u, v = column - np.round(column), rows - row
    pit, seed = np.hypot(u * 1.15, v), np.hypot(u * 1.9, v * 1.15)
    colour = mix(near((0.86, 0.08, 0.10), rng, 0.04), (0.60, 0.02, 0.06), 0.6 * step(canvas.noise(rng, 4), 0, 1))
    colour = mix(colour, (0.96, 0.72, 0.50), 0.75 * step(canvas.y, -0.55, -0.95))
    colour = mix(colour, (0.45, 0.01, 0.03), 0.75 * step(pit, 0.36, 0.24))
    colour = mix(colour, (0.97, 0.82, 0.35), step(seed, 0.25, 0.17))
    hole = step(pit, 0.42, 0.2) * step(pit, 0.0, 0.2)
    canvas.shade(colour, tilted(body, u * hole * -2.0, v * hole * -2.0), 0.5, 40)
    star(canvas, rng, (0, -0.80), 9, 0.56, 0.11, (0.30, 0.55, 0.17), 0.42)
    stalk(canvas, rng, 0, -0.82, 0.36, 0.035, (0.45, 0.58, 0.25))


def watermelon(canvas: Canvas, rng: np.random.Generator) -> None:
    body = turned_body(canvas, ellipse(rng.uniform(0.80, 0.96)))
    wobble = 0.20 * canvas.noise(rng, 14) + 0.10 * canvas.noise(rng, 28)
    wave = np.cos(longitude(body) * rng.choice([7, 8, 9]) + rng.uniform(0, 6) + 3.2 * wobble)
    stripes = step(wave, -0.15, 0.35)
    light = mix(near((0.52, 0.70, 0.34), rng, 0.04), (0.72, 0.82, 0.50), 0.5 + 0.5 * canvas.noise(rng, 20))
    dark = mix(near((0.07, 0.27, 0.11), rng, 0.02), (0.14, 0.38, 0.16), 0.5 + 0.5 * canvas.noise(rng, 24))
    canvas.shade(mix(light, dark, stripes), body, 0.35, 35)
    spot = ball(canvas, 0, -0.93, 0.10, 0.5)
    canvas.paint((0.30, 0.30, 0.14), spot.cover * 0.7 * body.cover)
    stalk(canvas, rng, 0, -0.93, 0.25, 0.04, (0.45, 0.48, 0.22))


def orange(canvas: Canvas, rng: np.random.Generator) -> None:
    at = angles()
    outline = 0.90 + 0.012 * np.sin(at * 2 + rng.uniform(0, 6)) + 0.012 * np.sin(at * 3 + rng.uniform(0, 6))
    body = round_body(canvas, outline.astype(np.float32))
    colour = mix(near((0.97, 0.55, 0.07), rng, 0.04), (0.93, 0.40, 0.03), 0.5 + 0.5 * canvas.noise(rng, 4))
    pores = canvas.noise(rng, 60)
    colour = mix(colour, (0.80, 0.36, 0.02), 0.5 * step(pores, 0.25, 0.8))
    canvas.shade(colour, dimpled(canvas, rng, body, 60, 0.16), 0.35, 22)
    x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.72, -0.5)
    hollow = ball(canvas, x, y, 0.20, 0.7)
    canvas.paint((0.70, 0.34, 0.03), hollow.cover * hollow.nz * 0.55)
    star(canvas, rng, (x, y), 5, 0.14, 0.06, (0.38, 0.50, 0.18), 0.7)
    if rng.random() < 0.35:
        leaf(canvas, rng, (x, y), (x + rng.uniform(0.45, 0.65), y - rng.uniform(0.25, 0.5)), 0.16)


def lemon(canvas: Canvas, rng: np.random.Generator, skin: Colour, second: Colour, nipple: float) -> None:
    y = heights()
    belly = rng.uniform(0.60, 0.68) * np.sqrt(np.clip(1 - (y / 0.88) ** 2, 0, 1))
    ends = nipple * np.sqrt(np.clip(1 - y**2, 0, 1))
    body = turned_body(canvas, ((belly**2.2 + ends**2.2) ** (1 / 2.2)).astype(np.float32))
    colour = mix(near(skin, rng, 0.04), near(second, rng, 0.03), 0.5 + 0.6 * canvas.noise(rng, 4) + 0.5 * step(np.abs(canvas.y), 0.7, 1.0))
    colour = mix(colour, second, 0.35 * step(canvas.noise(rng, 80), 0.0, 0.9))
    canvas.shade(colour, dimpled(canvas, rng, body, 80, 0.11), 0.40, 25)
    knob = ball(canvas, 0, -0.97, 0.075, 0.7)
    canvas.shade(near((0.50, 0.50, 0.20), rng), knob, 0.1)


def cut_disc(canvas: Canvas, surface: Surface, colour: Floats) -> None:
    """Draw a cut face: flat, so the light is the same everywhere."""
    none = np.zeros_like(surface.cover)
    canvas.shade(colour, Surface(surface.cover, none, none + np.float32(-0.1), none + np.float32(0.99)), 0.05, 20, 0.5)


def kiwi(canvas: Canvas, rng: np.random.Generator) -> None:
    if rng.random() < 0.55:  # a whole one behind it
        x, y = rng.choice([-0.5, 0.5]), -0.42
        back = dimpled(canvas, rng, ball(canvas, x, y, 0.66, 0.82), 60, 0.35)
        fuzz = mix(near((0.47, 0.34, 0.17), rng), (0.33, 0.22, 0.10), 0.5 + canvas.noise(rng, 70))
        canvas.shade(fuzz, back, 0.05)
    y0 = 0.22
    face = ball(canvas, 0, y0, 0.76, rng.uniform(0.88, 1.0))
    rim = Surface(face.cover, face.nx, face.ny, face.nz)
    canvas.shade(near((0.45, 0.31, 0.15), rng), rim, 0.05)
    angle = np.arctan2(canvas.x, canvas.y - y0)
    far = np.hypot(face.nx, face.ny) + 0.02 * canvas.noise(rng, 12)
    rays = 0.5 + 0.5 * np.sin(angle * 34 + 2 * canvas.noise(rng, 6))
    green = near((0.48, 0.68, 0.12), rng, 0.04)
    colour = mix(green, (0.66, 0.80, 0.28), 0.6 * rays * step(far, 0.95, 0.5))
    colour = mix(colour, (0.33, 0.52, 0.08), step(far, 0.72, 0.95))
    colour = mix(colour, (0.93, 0.93, 0.74), step(far + 0.03 * np.sin(angle * 17), 0.34, 0.22))
    count = 26
    turns = angle * (count / (2 * np.pi)) + rng.uniform()
    number = np.round(turns)
    ring = 0.47 + 0.055 * np.cos(number * 2.3)
    seed = np.hypot((turns - number) * 1.05, (far - ring) * 6.5)
    colour = mix(colour, (0.07, 0.05, 0.04), step(seed, 0.42, 0.28))
    inner = Surface(canvas.inside((0.94 - far) * 0.72), face.nx, face.ny, face.nz)
    cut_disc(canvas, inner, colour)


def pear_widths(neck: float, belly: float) -> Floats:
    y = heights()
    widths: Floats = np.sqrt(np.clip(1 - y**2, 0, 1)) ** 0.9 * (neck + (belly - neck) * step(y, -0.75, 0.55))
    return widths.astype(np.float32)


def pear(canvas: Canvas, rng: np.random.Generator) -> None:
    body = turned_body(canvas, pear_widths(rng.uniform(0.30, 0.40), rng.uniform(0.74, 0.84)))
    ripe = rng.uniform(0, 1)
    colour = mix(near((0.58, 0.68, 0.22), rng, 0.03), near((0.87, 0.80, 0.30), rng, 0.03), ripe + 0.3 * canvas.noise(rng, 4))
    blush = rng.uniform(0, 0.7) * step(canvas.x + 0.4 * canvas.noise(rng, 4), 0.0, 0.7)
    colour = mix(colour, (0.78, 0.36, 0.16), blush)
    colour = mix(colour, (0.42, 0.36, 0.14), 0.55 * speckles(canvas, rng, 65, 0.14))
    canvas.shade(colour, body, 0.30, 25)
    end = stalk(canvas, rng, 0, -0.95, 0.42, 0.045)
    if rng.random() < 0.4:
        leaf(canvas, rng, (end[0] * 0.3, -1.02), (0.6, -1.15), 0.15)


def cherry(canvas: Canvas, rng: np.random.Generator) -> None:
    top = (rng.uniform(-0.1, 0.25), -1.0)
    places = [(-0.44, 0.50, 0.44), (0.44, 0.42 + rng.uniform(-0.1, 0.15), 0.44)]
    if rng.random() < 0.4:
        leaf(canvas, rng, top, (top[0] + rng.uniform(0.55, 0.75), -0.72), 0.19)
    skin = near((0.62, 0.04, 0.09), rng, 0.05)
    for x, y, radius in places:
        at = angles()
        part = canvas.window(x, y, radius * 1.15)
        moved = Canvas(
            part.x - np.float32(x), part.y - np.float32(y), part.rgb, part.alpha, part.pixel, part.light, part.angle, part.centre
        )
        outline = radius * (1 - 0.13 * bump(np.abs(at), 0, 0.35) - 0.03 * bump(np.abs(at), np.pi, 0.5))
        body = round_body(moved, outline.astype(np.float32))
        colour = mix(skin, (0.35, 0.0, 0.05), 0.5 + 0.5 * part.noise(rng, 3))
        part.shade(colour, body, 0.75, 55)
        hollow = ball(part, x, y - radius * 0.80, radius * 0.32, 0.45)
        part.paint((0.20, 0.0, 0.02), hollow.cover * hollow.nz * 0.8 * body.cover)
        twig, way = blade(canvas, (x, y - radius * 0.80), top, 0.030, 0.14 if x > 0 else -0.14, (0.02, 0.02))
        canvas.shade(mix((0.42, 0.50, 0.18), (0.38, 0.27, 0.12), way), twig, 0.1)
    knob = ball(canvas, top[0], top[1], 0.06)
    canvas.shade((0.40, 0.28, 0.13), knob, 0.1)


def avocado(canvas: Canvas, rng: np.random.Generator) -> None:
    widths = pear_widths(rng.uniform(0.42, 0.50), 0.76)
    skin = turned_body(canvas, widths)
    canvas.shade(near((0.16, 0.22, 0.10), rng, 0.03), dimpled(canvas, rng, skin, 50, 0.3), 0.2)
    flesh = turned_body(canvas, np.clip(widths - np.float32(0.055), 0, None))
    depth = np.clip(np.sqrt(np.clip(1 - flesh.nz**2, 0, 1)), 0, 1)
    colour = mix(near((0.94, 0.90, 0.55), rng, 0.03), (0.62, 0.75, 0.28), step(depth, 0.55, 1.0) * 0.95)
    inside = Surface(flesh.cover * canvas.inside(np.float32(0.945) - np.abs(canvas.y)), *flesh[1:])
    cut_disc(canvas, inside, mix(colour, (0.80, 0.80, 0.40), 0.4 * canvas.noise(rng, 8)))
    y = 0.32
    hole = ball(canvas, 0, y, 0.40, 1.06)
    canvas.paint((0.70, 0.62, 0.30), hole.cover)
    stone = ball(canvas, 0.01, y, 0.365, 1.06)
    brown = mix(near((0.50, 0.29, 0.14), rng), (0.34, 0.18, 0.08), 0.5 + canvas.noise(rng, 12, (2, 1)))
    canvas.shade(brown, stone, 0.40, 30)


def raspberry(canvas: Canvas, rng: np.random.Generator) -> None:
    star(canvas, rng, (0, -0.72), 6, 0.42, 0.09, (0.42, 0.58, 0.24), 0.5)
    skin = near((0.80, 0.10, 0.22), rng, 0.04)
    places = []
    for row, y in enumerate(np.linspace(-0.62, 0.82, 8)):
        width = 0.66 * np.sqrt(max(0.05, 1 - ((y + 0.35) / 1.35) ** 2))
        for turned in np.arange(-2, 3) + 0.5 * (row % 2):
            around = turned * 0.58 + rng.normal(0, 0.05)
            if abs(around) < 1.5:
                places.append((np.cos(around), width * np.sin(around) * 1.0, y + rng.normal(0, 0.015)))
    places.sort()
    body = ball(canvas, 0, 0.02, 0.60, 1.38)
    canvas.shade(mix(skin, (0.2, 0, 0.05), 0.5), body, 0.0)
    berries(canvas, rng, [(x, y, 0.175) for _, x, y in places], skin, 0.06, 0.5)


def blueberry(canvas: Canvas, rng: np.random.Generator) -> None:
    spots = [(-0.45, -0.38), (0.47, -0.30), (0.0, 0.42), (-0.80, 0.40), (0.82, 0.42)][: int(rng.integers(3, 6))]
    skin = near((0.20, 0.25, 0.47), rng, 0.03)
    if rng.random() < 0.35:
        leaf(canvas, rng, (0.1, -0.4), (0.9, -0.95), 0.2)
    for x, y in spots:
        radius = rng.uniform(0.44, 0.52)
        berries(canvas, rng, [(x, y, radius)], skin, 0.28, 0.12)
        at, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.1, 0.35)
        cx, cy = x + away * np.cos(at), y + away * np.sin(at)
        part = canvas.window(cx, cy, 0.3)
        angle = np.arctan2(part.x - cx, part.y - cy)
        far = np.hypot(part.x - cx, part.y - cy) / np.float32(radius)
        edge = 0.34 + 0.10 * np.cos(angle * 5 + at)
        part.paint((0.42, 0.47, 0.66), part.inside((edge - far) * radius) * 0.9)
        part.paint((0.07, 0.08, 0.17), part.inside((edge - 0.09 - far) * radius))
        part.paint((0.22, 0.23, 0.36), part.inside((0.13 - far) * radius) * 0.8)


def carambola(canvas: Canvas, rng: np.random.Generator) -> None:
    at = angles()
    point = np.abs(((at / (2 * np.pi) * 5) % 1) - 0.5) * 2  # 1 at the five tips
    outline = (0.44 + 0.54 * point**1.25 * (1 - 0.10 * point**8)).astype(np.float32)
    body = round_body(canvas, outline)
    far = np.hypot(body.nx, body.ny)
    yellow = near((0.93, 0.84, 0.25), rng, 0.04)
    colour = mix(yellow, (0.97, 0.94, 0.60), step(far, 0.8, 0.3) * 0.8)
    colour = mix(colour, near((0.72, 0.70, 0.12), rng), step(far, 0.88, 0.96))
    around = np.abs((((np.arctan2(canvas.x, -canvas.y) / (2 * np.pi) * 5) % 1) - 0.5) * 2)
    colour = mix(colour, (0.80, 0.72, 0.16), 0.8 * step(np.abs(around - 1.0), 0.10, 0.02) * step(far, 0.15, 0.3) * step(far, 0.85, 0.6))
    radius = np.hypot(canvas.x, canvas.y)
    seed = np.hypot((radius - 0.22) * 8, np.minimum(around, 1) * 2.4)
    colour = mix(colour, (0.50, 0.32, 0.10), step(seed, 0.62, 0.42))
    colour = mix(colour, yellow, 0.5 * step(canvas.noise(rng, 24), 0.2, 0.9))
    below = Canvas(canvas.x, canvas.y - np.float32(0.09), canvas.rgb, canvas.alpha, canvas.pixel, canvas.light, canvas.angle, canvas.centre)
    side = round_body(below, outline)
    canvas.shade(mix(yellow, (0.55, 0.50, 0.08), 0.8), side, 0.2)
    cut_disc(canvas, body, colour)


def tomato(canvas: Canvas, rng: np.random.Generator) -> None:
    at = angles()
    lobes = 0.015 * np.cos(at * rng.choice([4, 5, 6]) + rng.uniform(0, 6))
    outline = (0.93 - 0.09 * np.abs(np.cos(at)) ** 2 + lobes - 0.06 * bump(np.abs(at), 0, 0.35)).astype(np.float32)
    body = round_body(canvas, outline)
    colour = mix(near((0.87, 0.14, 0.07), rng, 0.04), (0.93, 0.36, 0.10), 0.7 * step(canvas.y + 0.2 * canvas.noise(rng, 3), -0.35, -0.85))
    ribs = 0.10 * np.sin(np.arctan2(canvas.x, canvas.y + 0.75) * 7)
    canvas.shade(colour, tilted(body, ribs, np.zeros_like(ribs)), 0.70, 60)
    hollow = ball(canvas, 0, -0.60, 0.34, 0.5)
    canvas.paint((0.55, 0.10, 0.03), hollow.cover * hollow.nz * 0.5)
    star(canvas, rng, (0, -0.62), 5, 0.55, 0.075, (0.26, 0.50, 0.15), 0.5)
    stalk(canvas, rng, 0, -0.60, 0.30, 0.04, (0.32, 0.50, 0.18))


def stone_fruit(canvas: Canvas, rng: np.random.Generator, skin: Colour, second: Colour, blush: float, fuzz: float, wide: float) -> None:
    """Draw a peach or a plum: a cleft from the stalk down one side."""
    at = angles()
    outline = 0.92 - 0.08 * bump(np.abs(at), 0, 0.35) + 0.03 * bump(np.abs(at), np.pi, 0.3)
    outline = outline / np.sqrt((np.sin(at) / wide) ** 2 + np.cos(at) ** 2)
    body = round_body(canvas, outline.astype(np.float32))
    side = canvas.x * np.cos(rng.uniform(-1, 1)) + canvas.y * 0.4
    colour = mix(near(skin, rng), near(second, rng), blush * step(side + 0.45 * canvas.noise(rng, 5), -0.45, 0.55))
    colour = mix(colour, (0.90, 0.84, 0.86), fuzz * (0.6 + 0.5 * canvas.noise(rng, 6)))
    lean = rng.uniform(0.15, 0.38) * rng.choice([-1, 1])
    line = canvas.x - np.float32(lean) * np.cos(canvas.y * np.float32(1.5)) * wide
    cleft = bump(line, 0, 0.045)
    colour = mix(colour, (0.25, 0.06, 0.06), 0.55 * cleft)
    canvas.shade(colour, tilted(body, 1.1 * np.sign(line) * bump(line, 0, 0.10) * -1, np.zeros_like(line)), 0.28 - fuzz * 0.4, 18)
    hollow = ball(canvas, 0, -0.76, 0.26, 0.4)
    canvas.paint(mix(near(second, rng), (0.1, 0.04, 0.04), 0.6), hollow.cover * hollow.nz * 0.7 * body.cover)
    stalk(canvas, rng, 0, -0.74, 0.30, 0.04)
    if rng.random() < 0.55:
        leaf(canvas, rng, (0.02, -0.82), (rng.choice([-1, 1]) * rng.uniform(0.55, 0.75), -1.0), 0.14)


def mango(canvas: Canvas, rng: np.random.Generator) -> None:
    at = angles()
    outline = 0.80 + 0.16 * np.cos(2 * at - 0.5) + 0.07 * np.cos(at - 0.8) + 0.035 * np.cos(3 * at + 0.6)
    body = round_body(canvas, outline.astype(np.float32))
    along = canvas.y * 0.8 + canvas.x * rng.uniform(0.2, 0.7) + 0.35 * canvas.noise(rng, 4)
    colour = mix(near((0.82, 0.22, 0.14), rng), near((0.97, 0.68, 0.16), rng), step(along, -0.6, 0.05))
    colour = mix(colour, near((0.45, 0.62, 0.20), rng), rng.uniform(0.5, 1) * step(along, 0.1, 0.85))
    colour = mix(colour, (0.97, 0.85, 0.55), 0.55 * speckles(canvas, rng, 55, 0.08))
    canvas.shade(colour, body, 0.38, 28)
    stalk(canvas, rng, 0.1, -0.95, 0.22, 0.05)


def pomegranate(canvas: Canvas, rng: np.random.Generator) -> None:
    at = angles()
    for side in (-0.13, 0.13, -0.05, 0.05):
        end = (side * 2.0 + rng.normal(0, 0.02), -1.06 + abs(side) * 0.5 + rng.normal(0, 0.02))
        surface, way = blade(canvas, (side, -0.66), end, 0.10, 0, (0.15, 0.7))
        canvas.shade(mix(near((0.78, 0.22, 0.18), rng), (0.66, 0.46, 0.24), way), surface, 0.2)
    outline = 0.84 + 0.014 * np.cos(at * 6 + rng.uniform(0, 6)) - 0.03 * np.cos(at)
    body = turned = round_body(canvas, outline.astype(np.float32))
    colour = mix(near((0.75, 0.12, 0.15), rng, 0.04), (0.90, 0.50, 0.26), 0.5 * step(canvas.noise(rng, 5), -0.1, 0.9))
    colour = mix(colour, (0.45, 0.20, 0.10), 0.5 * speckles(canvas, rng, 40, 0.10))
    facets = 0.16 * np.sin(np.arctan2(canvas.x, canvas.y + 1.1) * 9)
    canvas.shade(colour, tilted(turned, facets, np.zeros_like(facets)), 0.40, 25)
    neck, _ = blade(canvas, (0, -0.70), (0, -0.90), 0.16, 0, (0.02, 0.02))
    canvas.shade(near((0.74, 0.20, 0.17), rng), Surface(neck.cover * (1 - 0.0 * body.cover), *neck[1:]), 0.2)
    for side in (-0.11, 0.0, 0.11):
        end = (side * 2.3 + rng.normal(0, 0.02), -1.02 + abs(side) * 0.6)
        surface, way = blade(canvas, (side, -0.80), end, 0.07, 0, (0.15, 0.7))
        canvas.shade(mix(near((0.80, 0.26, 0.20), rng), (0.70, 0.50, 0.28), way), surface, 0.2)


def papaya(canvas: Canvas, rng: np.random.Generator) -> None:
    widths = pear_widths(rng.uniform(0.36, 0.44), 0.62)
    skin = turned_body(canvas, widths)
    canvas.shade(mix(near((0.55, 0.60, 0.20), rng), (0.90, 0.66, 0.18), 0.5 + canvas.noise(rng, 4)), skin, 0.2)
    flesh = turned_body(canvas, np.clip(widths - np.float32(0.05), 0, None))
    colour = mix(near((0.96, 0.48, 0.20), rng, 0.03), (0.98, 0.68, 0.34), 0.4 + 0.6 * canvas.noise(rng, 7))
    cut_disc(canvas, Surface(flesh.cover * canvas.inside(np.float32(0.95) - np.abs(canvas.y)), *flesh[1:]), colour)
    hollow, _ = blade(canvas, (0, -0.55), (0, 0.80), 0.27, 0, (0.9, 0.5))
    canvas.paint(mix((0.80, 0.32, 0.12), (0.93, 0.52, 0.24), step(hollow.nz, 0.9, 0.3)), hollow.cover)
    seeds = []
    for y in np.linspace(-0.25, 0.68, 11):
        reach = 0.21 * np.sqrt(max(0.0, 1 - ((y - 0.28) / 0.62) ** 2))
        seeds += [
            (x + rng.normal(0, 0.02), y + rng.normal(0, 0.03), rng.uniform(0.045, 0.062)) for x in np.arange(-reach, reach + 0.01, 0.095)
        ]
    berries(canvas, rng, seeds, (0.10, 0.09, 0.08), 0.0, 0.6)


def coconut(canvas: Canvas, rng: np.random.Generator) -> None:
    if rng.random() < 0.6:
        x = rng.choice([-0.48, 0.48])
        hair = canvas.noise(rng, 60, (1, 0.25))
        back = tilted(ball(canvas, x, -0.36, 0.66), 0.4 * hair, np.zeros_like(hair))
        canvas.shade(mix(near((0.42, 0.29, 0.16), rng), (0.62, 0.46, 0.28), 0.3 + hair), back, 0.05)
        for ex, ey in ((-0.10, -0.62), (0.12, -0.62), (0.01, -0.44)):
            eye = ball(canvas, x + ex, ey, 0.075)
            canvas.paint((0.13, 0.08, 0.05), eye.cover * 0.9)
    shell = ball(canvas, 0, 0.20, 0.78, 0.94)
    hair = canvas.noise(rng, 60)
    canvas.shade(mix(near((0.36, 0.23, 0.12), rng), (0.52, 0.36, 0.20), hair), tilted(shell, 0.3 * hair, 0.3 * hair), 0.05)
    far = np.hypot(shell.nx, shell.ny) + 0.012 * canvas.noise(rng, 14)
    white = Surface(canvas.inside((0.91 - far) * 0.75), *shell[1:])
    cut_disc(canvas, white, mix((0.97, 0.96, 0.92), (0.90, 0.87, 0.80), 0.5 + 0.5 * canvas.noise(rng, 9)))
    bowl = Surface(canvas.inside((0.66 - far) * 0.75), -shell.nx, -shell.ny, shell.nz)
    canvas.shade(near((0.90, 0.89, 0.85), rng, 0.02), bowl, 0.10, 15, 0.35)


DRAWINGS: dict[str, Draw] = {
    "Apple Red 1": partial(apple, skin=(0.74, 0.08, 0.10), second=(0.88, 0.68, 0.26), streaks=0.22, blush=0.05),
    "Banana": banana,
    "Grape Blue": partial(grapes, skin=(0.25, 0.14, 0.38), bloom=0.18),
    "Orange": orange,
    "Pineapple": pineapple,
    "Strawberry": strawberry,
    "Watermelon": watermelon,
    "Kiwi": kiwi,
    "Lemon": partial(lemon, skin=(0.98, 0.86, 0.18), second=(0.90, 0.74, 0.10), nipple=0.17),
    "Pear": pear,
    "Cherry 1": cherry,
    "Avocado": avocado,
    "Raspberry": raspberry,
    "Blueberry": blueberry,
    "Carambula": carambola,
    "Tomato 1": tomato,
    "Peach": partial(stone_fruit, skin=(0.97, 0.70, 0.36), second=(0.84, 0.24, 0.20), blush=0.85, fuzz=0.10, wide=1.02),
    "Plum": partial(stone_fruit, skin=(0.30, 0.12, 0.34), second=(0.22, 0.06, 0.20), blush=0.7, fuzz=0.22, wide=0.84),
    "Mango": mango,
    "Pomegranate": pomegranate,
    "Papaya": papaya,
    "Cocos": coconut,
    "Grape White": partial(grapes, skin=(0.68, 0.74, 0.34), bloom=0.06),
    "Apple Granny Smith": partial(apple, skin=(0.47, 0.68, 0.20), second=(0.68, 0.78, 0.36), streaks=0.10, blush=0.15),
    "Limes": partial(lemon, skin=(0.36, 0.60, 0.14), second=(0.22, 0.44, 0.08), nipple=0.11),
}
