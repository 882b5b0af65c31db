"""
Classify features with the ImageNet layer that belongs to the network. No training, no second network.

It has seen fruit in kitchens, hands and markets, where Fruits-360 has white paper; but it knows twelve of our groups, and must name
one of its thousand classes whatever it sees: a grapefruit is a lemon to it. So it is heard as a second opinion, beside the neighbours.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from job.contract.atomic_write import atomic_write
from job.contract.errors import ModelError
from job.imaging.networks import cache_error
from job.product.identify.classifier_proof import read_keras, verify_classifier

CLASSES = {  # number in ILSVRC 2012 to our group; https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json
    938: "Cauliflower",
    943: "Cucumber",
    945: "Pepper",
    948: "Apple",  # Granny Smith
    949: "Strawberry",
    950: "Orange",
    951: "Lemon",
    952: "Fig",
    953: "Pineapple",
    954: "Banana",
    957: "Pomegranate",
    987: "Corn",
    998: "Corn",  # ear
}
GROUPS = tuple(sorted(set(CLASSES.values())))


class ImageNetClassifier:
    """The last layer of MobileNetV2 on ImageNet: `kernel` (1280, 1000), `bias` (1000,)."""

    def __init__(self, kernel: npt.NDArray[np.float16], bias: npt.NDArray[np.float32]) -> None:
        self._kernel, self._bias = kernel.astype(np.float32), bias

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map features (m, 1280) float32 to probabilities (m, 1000) float32; each row sums to 1."""
        logits = features @ self._kernel + self._bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def groups(self, features: npt.NDArray[np.float32]) -> dict[str, float]:
        """
        Return the probability of each of GROUPS, averaged over the m views of one photo, largest first.

        `features`: (m, 1280) float32.
        """
        mean = self.probabilities(features).mean(axis=0)
        found = dict.fromkeys(GROUPS, 0.0)
        for number, group in CLASSES.items():
            found[group] += float(mean[number])
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def load_classifier(weights: Path, cache: Path) -> ImageNetClassifier:
    """
    Load and verify the classifier from `weights` (Keras's HDF5 file with its top, 14 MB).

    It is cached in `cache` as 2.5 MB of float16.

    Raises:
        ModelError: `weights` is another kind of file, or has another classifier.
        SetupError: the cache folder cannot be written.
    """
    try:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ModelError(f"cannot read `{weights}`: {error.strerror}", "make the file readable") from error
    cached = cache / "models" / f"imagenet_head-{digest}.npz"
    if not cached.is_file():
        kernel, bias = read_keras(weights)
        content = io.BytesIO()
        np.savez(content, kernel=kernel.astype(np.float16), bias=bias)
        try:
            with atomic_write(str(cached)) as file:
                file.write(content.getvalue())
        except OSError as error:
            raise cache_error(cached, error.strerror) from error
    with np.load(cached) as arrays:
        kernel, bias = arrays["kernel"], arrays["bias"]
    verify_classifier(kernel.astype(np.float32), bias, f"`{weights}`")
    return ImageNetClassifier(kernel, bias)
