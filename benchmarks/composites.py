"""
Fruits of Fruits-360 laid on other backgrounds, and pictures without any fruit: made by formula, the same ones every time. No photo
that an accuracy is reported on is among them: rules are chosen on these.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SIZES = ((480, 640), (640, 480), (560, 560))
Floats = npt.NDArray[np.float64]


def composites(folder: Path, per_label: int = 2, seed: int = 7) -> Iterator[tuple[str, Image.Image]]:
    """(label, RGB) of `per_label` images of each sub-folder of `folder`: other place, size, light, and a shadow."""
    random = np.random.default_rng(seed)
    for label in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = sorted(label.glob("*.jpg"))
        for path in images[:: max(1, len(images) // per_label)][:per_label]:
            with Image.open(path) as image:
                yield label.name, lay(image.convert("RGB"), random)


def no_fruits(count: int, seed: int = 11) -> Iterator[tuple[str, Image.Image]]:
    """(kind, RGB): tables and cloths without a fruit, drawings of plain shapes, noise, pages of text."""
    random = np.random.default_rng(seed)
    makers = {"background": lambda: background(560, 480, random), "drawing": lambda: drawing(random), "noise": lambda: noise(random)}
    makers["text"] = lambda: text(random)
    for number in range(count):
        kind = list(makers)[number % len(makers)]
        yield kind, makers[kind]()


def lay(fruit: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = SIZES[random.integers(len(SIZES))]
    mask = cut_out(fruit)
    side = int(min(width, height) * random.uniform(0.35, 0.85))
    left, top = (int(np.clip((length - side) / 2 + random.normal(0, 0.08) * length, 0, length - side)) for length in (width, height))
    fruit, mask = fruit.resize((side, side), Image.Resampling.BICUBIC), mask.resize((side, side), Image.Resampling.BICUBIC)
    shadow = Image.new("L", (width, height), 0)
    shadow.paste(mask.point([int(value * 0.45) for value in range(256)]), (left + side // 25, top + side // 18))
    table = background(width, height, random)
    table = Image.composite(Image.new("RGB", table.size, (15, 12, 10)), table, shadow.filter(ImageFilter.GaussianBlur(side / 25)))
    light = random.uniform(0.75, 1.15) * np.array([1.0, random.uniform(0.92, 1.05), random.uniform(0.8, 1.1)])
    table.paste(to_image(np.asarray(fruit) * light), (left, top), mask)
    return table


def cut_out(fruit: Image.Image) -> Image.Image:
    """(L) 255 where the fruit is: all but the white that reaches the corner."""
    white = np.asarray(fruit).min(axis=2) > 235
    sheet = Image.fromarray(np.pad(white, 1, constant_values=True).astype(np.uint8)).copy()
    ImageDraw.floodfill(sheet, (0, 0), 2)
    inside = np.asarray(sheet)[1:-1, 1:-1] != 2
    return Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(3))


def background(width: int, height: int, random: np.random.Generator) -> Image.Image:
    """A plain table, or one with wood's streaks or cloth's blotches; the light falls from one side."""
    colour = random.uniform(40, 235, 3) * np.array([1, random.uniform(0.75, 1), random.uniform(0.55, 1)])
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
    slope = random.normal(0, 0.25, 2)
    pixels: Floats = (1 + slope[0] * x + slope[1] * y)[..., np.newaxis] * colour
    grain = ((height // 4, 8), (16, 16), None)[random.integers(3)]
    if grain is not None:
        coarse = random.normal(0, 1, grain)
        coarse = (coarse - coarse.min()) / np.ptp(coarse)
        fine = Image.fromarray((coarse * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        pixels *= (0.7 + 0.6 * np.asarray(fine) / 255)[..., np.newaxis]
    return to_image(pixels + random.normal(0, 5, (height, width, 1)))


def drawing(random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (500, 500), colour_of(random))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(1, 6)):
        corners = [int(value) for value in np.sort(random.integers(0, 500, (2, 2)), axis=0).ravel()]
        (draw.ellipse, draw.rectangle)[random.integers(2)](corners, fill=colour_of(random))
    return image


def noise(random: np.random.Generator) -> Image.Image:
    return to_image(random.uniform(0, 255, (300, 300, 3)))


def text(random: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (500, 700), "white")
    words = ["".join(chr(97 + letter) for letter in random.integers(0, 26, random.integers(2, 9))) for _ in range(300)]
    for line in range(30):
        ImageDraw.Draw(page).text((40, 30 + 21 * line), " ".join(words[line * 10 : line * 10 + 9]), fill="black")
    return page


def colour_of(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in random.integers(0, 256, 3))


def to_image(pixels: Floats) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
