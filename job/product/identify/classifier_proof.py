"""
Prove the classifier by what it computes: every class on the known pictures, every feature by sums over the classes.

`python -m job.product.identify.classifier_proof WEIGHTS` writes the known answers again, from a file with int8 weights.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from job.contract.errors import ModelError
from job.imaging.proof import known_answers

Array = npt.NDArray[np.float32]

FILE = "known_classifier.npz"
BIAS_TOLERANCE = 1e-4  # int8 files keep the float32 biases
# The known answers come from weights rounded to int8. Rounding errors are uniform in a step and independent, so that a sum of them has
# the standard deviation step / sqrt(12) * norm of the other factor. One of 18,000 sums is beyond 7 of those once in 20 million files.
DEVIATIONS = 7.0


def read_keras(weights: Path) -> tuple[Array, Array]:
    """
    Return kernel (1280, 1000) and bias (1000,), found by their shapes: Keras names the layer `predictions` or `Logits`.

    Raises:
        ModelError: there are none.
    """
    import h5py  # type: ignore[import-untyped] # read once: later the small file in the cache

    found: dict[tuple[int, ...], Array] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.shape in ((1280, 1000), (1000,)):
            found[item.shape] = item[()]

    try:
        with h5py.File(weights) as file:
            file.visititems(visit)
        return found[1280, 1000], found[1000,]
    except (OSError, KeyError) as error:
        raise ModelError(f"`{weights}` does not hold MobileNetV2 with its classifier", "delete it and run the command again") from error


def products(kernel: Array) -> tuple[Array, Array]:
    """Return what kernel (1280, 1000) gives: (pictures, 1000) of the known pictures, (8, 1280) sums over the classes with random signs."""
    signs = np.where(np.random.RandomState(0).random_sample((8, 1000)) < 0.5, -1, 1).astype(np.float32)
    return known_answers("mobilenet_v2") @ kernel, signs @ kernel.T


@cache
def _known() -> dict[str, Array]:
    with np.load(BytesIO(files("job.product.identify").joinpath(FILE).read_bytes())) as arrays:
        return dict(arrays)


def ratios(kernel: Array, bias: Array) -> tuple[Array, Array, Array]:
    """
    Return the differences to the known answers, divided by what is allowed: up to 1 is the official classifier.

    Of the bias (1000,), by picture and class (pictures, 1000), by sum and feature (8, 1280): each column is of one class or feature alone.
    """
    known = _known()
    deviation = known["step"] / np.sqrt(12)
    norms = np.linalg.norm(known_answers("mobilenet_v2"), axis=1, keepdims=True)
    by_class, by_feature = products(kernel)
    return (
        np.abs(bias - known["bias"]) / BIAS_TOLERANCE,
        np.abs(by_class - known["by_class"]) / (DEVIATIONS * norms * deviation),
        np.abs(by_feature - known["by_feature"]) / (DEVIATIONS * np.linalg.norm(deviation)),
    )


def verify_classifier(kernel: Array, bias: Array, what: str) -> None:
    """
    Compare a classifier with the known answers: all 1,000 classes and all 1,280 features.

    Raises:
        ModelError: it is another one, or a damaged one.
    """
    largest = float(np.max([ratio.max() for ratio in ratios(kernel, bias)]))
    if not largest <= 1:  # NaN is refused too
        raise ModelError(
            f"{what} does not hold MobileNetV2's ImageNet classifier: the known answers differ by `{largest:.2g}` times what is allowed",
            "use the official Keras file: delete this one and run the command again",
        )


if __name__ == "__main__":
    kernel, bias = read_keras(Path(sys.argv[1]))
    by_class, by_feature = products(kernel)
    step = np.abs(kernel).max(axis=0) / 127
    np.savez(Path(__file__).with_name(FILE), bias=bias, step=step, by_class=by_class, by_feature=by_feature)
