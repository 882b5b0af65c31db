"""Draw one photo: a fruit somewhere on a background, as a JPEG file."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image

from cli.photos.drawn.canvas import Canvas, Colour, Floats, blurred, mix
from cli.photos.drawn.fruits import DRAWINGS, near

SHAPES = ((1, 1), (1, 1), (4, 3), (3, 4), (3, 2), (2, 3))  # width to height
SHORTER_SIDE_PX = (120, 220)
PLAIN: tuple[Colour, ...] = ((0.97, 0.97, 0.96), (0.93, 0.90, 0.84), (0.84, 0.88, 0.92), (0.88, 0.91, 0.86), (0.78, 0.76, 0.74))
DARK: tuple[Colour, ...] = ((0.22, 0.24, 0.27), (0.26, 0.33, 0.36))
# Stored pixels must be turned so that the decoder's turn makes them upright: orientations as cameras write them.
STORED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def photo(kind: str, rng: np.random.Generator) -> bytes:
    """Return a JPEG file of `kind`, a key of DRAWINGS. One in five is stored turned, with its EXIF orientation."""
    image = upright(kind, rng)
    orientation = int(rng.choice(list(STORED))) if rng.random() < 0.2 else 1
    return as_jpeg(image, orientation, quality=int(rng.integers(84, 94)))


def upright(kind: str, rng: np.random.Generator) -> Image.Image:
    """Draw the photo upright."""
    short = int(rng.integers(*SHORTER_SIDE_PX))
    across, down = SHAPES[rng.integers(len(SHAPES))]
    width, height = round(short * across / min(across, down)), round(short * down / min(across, down))
    canvas = _canvas(rng, width, height)
    behind = _background(canvas, rng)
    DRAWINGS[kind](canvas, rng)
    picture = _with_shadow(canvas, behind, rng)
    picture += rng.normal(0, 0.008, picture.shape[:2])[..., None]  # the sensor
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def as_jpeg(image: Image.Image, orientation: int, quality: int) -> bytes:
    """Encode the upright `image` as a camera stores it that was held in `orientation`."""
    exif = Image.Exif()
    if orientation in STORED:
        image = image.transpose(STORED[orientation])
        exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def _canvas(rng: np.random.Generator, width: int, height: int) -> Canvas:
    short = min(width, height)
    turned = rng.uniform(-np.pi, np.pi) if rng.random() < 0.2 else rng.normal(0, 0.30)
    pixel = 2.0 / (short * rng.uniform(0.62, 0.78))
    room = 0.06 * short
    centre = (width / 2 + rng.uniform(-room, room), height / 2 + rng.uniform(-room, room))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = (columns + 0.5 - centre[0]) * pixel, (rows + 0.5 - centre[1]) * pixel
    cos, sin = np.cos(turned), np.sin(turned)
    from_side, from_above = rng.uniform(-0.6, 0.3), rng.uniform(-0.75, -0.35)
    light = np.array([from_side, from_above, 0.75])
    light /= np.linalg.norm(light)
    return Canvas(
        x=(dx * cos + dy * sin).astype(np.float32),
        y=(dy * cos - dx * sin).astype(np.float32),
        rgb=np.zeros((height, width, 3), np.float32),
        alpha=np.zeros((height, width), np.float32),
        pixel=pixel,
        light=(float(light[0] * cos + light[1] * sin), float(light[1] * cos - light[0] * sin), float(light[2])),
        angle=float(turned),
        centre=centre,
    )


def _background(canvas: Canvas, rng: np.random.Generator) -> Floats:
    height, width = canvas.alpha.shape
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    draw = rng.random()
    if draw < 0.2:
        colour = _boards(canvas, rng, rows + 0 * columns)
    elif draw < 0.3:
        colour = mix(
            near(DARK[rng.integers(len(DARK))], rng, 0.03),
            (0.10, 0.11, 0.12),
            0.5 + 0.2 * canvas.noise(rng, 6) + 0.1 * canvas.noise(rng, 90),
        )
    else:
        plain = near(PLAIN[rng.integers(len(PLAIN))], rng, 0.02)
        colour = mix(plain, (1, 1, 1), 0.15 * canvas.noise(rng, 4) + np.zeros_like(canvas.alpha))
    slope = rng.uniform(-0.10, 0.10) * (columns - 0.5) + rng.uniform(0, 0.16) * (0.5 - rows)
    corner = 0.12 * ((columns - 0.5) ** 2 + (rows - 0.5) ** 2)
    lit: Floats = np.clip(colour * (1 + slope - corner)[..., None], 0, 1)
    return lit


def _boards(canvas: Canvas, rng: np.random.Generator, rows: Floats) -> Floats:
    """Draw wood: grain along the boards, a dark line between two of them."""
    wood = near((0.70, 0.52, 0.34), rng, 0.07)
    grain = canvas.noise(rng, 60, (0.08, 1)) * 0.5 + canvas.noise(rng, 18, (0.15, 1)) * 0.5
    colour = mix(wood, (0.42, 0.28, 0.16), 0.35 + 0.5 * grain)
    board = rows * rng.uniform(2.5, 4.5) + rng.uniform()
    gap = np.abs(board - np.round(board))
    return mix(colour, (0.16, 0.10, 0.06), np.clip(1 - gap * 30, 0, 1) * 0.8)


def _with_shadow(canvas: Canvas, behind: Floats, rng: np.random.Generator) -> Floats:
    """Put the fruit on its background, which it darkens on the side away from the light."""
    cos, sin = np.cos(canvas.angle), np.sin(canvas.angle)
    lx, ly, _ = canvas.light
    side, down = lx * cos - ly * sin, lx * sin + ly * cos  # the light in the picture's own axes
    away = rng.uniform(0.15, 0.3) / canvas.pixel
    shift = (round(-down * away), round(-side * away))
    soft = blurred(np.roll(canvas.alpha, shift, (0, 1)), rng.uniform(0.05, 0.14) / canvas.pixel)
    near_it = blurred(canvas.alpha, 0.04 / canvas.pixel)
    dark = np.clip(rng.uniform(0.35, 0.6) * soft + 0.2 * near_it, 0, 1)
    picture: Floats = canvas.rgb + behind * ((1 - dark) * (1 - canvas.alpha))[..., None]
    return picture
