"""
Prove a network by what it computes on pictures made by formula.

Together the pictures excite each of the 1,280 features of MobileNetV2, so that a file with one damaged channel is refused:
docs/decisions/0030-proof-of-weights.md. Nothing here reads a file besides the stored answers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
import numpy.typing as npt

from job.contract.errors import ModelError
from job.contract.params import UNTRAINED

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

SEEDS = (24, 72, 141, 501, 652, 665, 695, 2947, 3197, 1879, 1172, 2697, 1167, 1297, 2855, 1869)  # chosen in decision 30
TOLERANCE = 1e-3  # of a feature; another CPU differs by 1e-5, one damaged channel by 5e-3 and more
OTHER_WEIGHTS = "omit --weights, or delete the downloaded file and run the command again, to use the official Keras file"


@cache
def known_pictures(size_px: int = 224) -> tuple[Pixels, ...]:
    """Return the pictures, each (size_px, size_px, 3) uint8."""
    return tuple(draw_picture(seed, size_px) for seed in SEEDS)


def draw_picture(seed: int, size_px: int) -> Pixels:
    """
    Draw a picture with the same bytes on every machine: shapes with plain, striped and shaded paint over each other.

    It takes only what IEEE 754 and NumPy's RandomState define to the last bit: no sine, no power.
    """
    random = np.random.RandomState(seed)
    place: Array = np.arange(size_px) / size_px
    picture = _paint(random, place, place[:, np.newaxis])
    for _ in range(2 + int(random.random_sample() * 24)):
        across, down, width, height, kind, shade = random.random_sample(6)
        width, height = 0.03 + 0.45 * width * width, 0.03 + 0.3 * height
        columns, rows = (slice(*np.searchsorted(place, (c - r, c + r))) for c, r in ((across, width), (down, height)))
        x, y = place[columns], place[rows, np.newaxis]
        u, v = np.abs(x - across) / width, np.abs(y - down) / height
        square = u * u + v * v
        outlines = ((0.4, square < 1), (0.6, np.maximum(u, v) < 1), (0.8, np.abs(square - 0.7) < 0.3), (1, u + v < 1))
        inside = next(outline for below, outline in outlines if kind < below)
        shaded = _paint(random, x, y) * (1 - shade * np.minimum(square, 1))[..., np.newaxis]
        picture[rows, columns] = np.where(inside[..., np.newaxis], shaded, picture[rows, columns])
    pixels: Pixels = np.minimum(np.floor(picture * 256), 255).astype(np.uint8)
    return pixels


def _paint(random: np.random.RandomState, x: Array, y: Array) -> Array:
    """Return colours for columns `x` (w,) and rows `y` (h, 1): (h, w, 3), plain or from one colour to another."""
    one, other = random.random_sample((2, 3))
    kind = random.random_sample()
    mixed: Array = np.zeros((len(y), len(x)))
    if 0.4 <= kind < 0.8:
        a, b, c = np.floor(random.random_sample(3) * 25) - 12
        wave = a * x + b * y + c * x * y / 2
        mixed = np.abs(wave - np.floor(wave) - 0.5) * 2
    elif kind >= 0.8:
        mixed = x * random.random_sample() + y * (1 - random.random_sample())
    colours: Array = one + (other - one) * mixed[..., np.newaxis]
    return colours


@cache
def known_answers(model: str) -> Features:
    """Return the features of `known_pictures()` by `model`, (pictures, dim) float32, computed once with Keras."""
    content = files("job.imaging").joinpath("known_answers", f"{model}.npy").read_bytes()
    answers: Features = np.load(BytesIO(content))
    return answers


def difference(network: Callable[[Pixels], Features], model: str) -> float:
    """Return the largest difference between what `network` computes and the known answers of `model`."""
    answers = np.stack([network(picture) for picture in known_pictures()])
    return float(np.abs(answers - known_answers(model)).max())


def verify_network(network: Callable[[Pixels], Features], what: str, model: str = "mobilenet_v2") -> None:
    """
    Compare what `network` computes with the known answers of `model`.

    Raises:
        ModelError: it computes something else, as random weights, another checkpoint or one damaged channel do.
    """
    found = difference(network, model)
    if found <= TOLERANCE:  # NaN is refused too
        return
    if model == UNTRAINED:
        raise ModelError(
            f"{what} does not give its known answers: they differ by `{found:.3g}`, allowed is {TOLERANCE:g}",
            "delete `models/` in the cache folder and run the command again",
        )
    raise ModelError(
        f"{what} are not MobileNetV2's ImageNet weights: the known answers differ by `{found:.3g}`, allowed is {TOLERANCE:g}", OTHER_WEIGHTS
    )
