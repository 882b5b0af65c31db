"""Compute features, one image at a time: a converted network by LiteRT, the same network by Keras, or the mean colour."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from job.imaging.proof import Features, Pixels


class Network(Protocol):
    """One image at a time; not safe for several threads."""

    size_px: int
    dim: int

    def __call__(self, pixels: Pixels) -> Features:
        """Compute the features of one image: (size_px, size_px, 3) uint8 to (dim,) float32."""
        ...


class LiteRtNetwork:
    """A converted Keras network on XNNPACK. `flatbuffer` arrives by broadcast."""

    size_px, dim = 224, 1280  # https://keras.io/api/applications/mobilenet/

    def __init__(self, flatbuffer: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter  # absent where only the CLI is installed

        self._interpreter = Interpreter(model_content=flatbuffer, num_threads=1)  # Spark owns the parallelism
        self._interpreter.allocate_tensors()
        given, result = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._input, self._output = given["index"], result["index"]
        self.size_px, self.dim = int(given["shape"][1]), int(result["shape"][1])
        self._scaled = np.empty((1, self.size_px, self.size_px, 3), np.float32)

    def __call__(self, pixels: Pixels) -> Features:
        self.prepare(pixels, self._scaled[0])
        self._interpreter.set_tensor(self._input, self._scaled)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)[0]
        return features

    def prepare(self, pixels: Pixels, out: npt.NDArray[np.float32]) -> None:
        """Write into `out` what the graph takes."""
        scale(pixels, out)


class LiteRtApplication(LiteRtNetwork):
    """A network of Keras Applications: its graph takes pixels as they are."""

    def prepare(self, pixels: Pixels, out: npt.NDArray[np.float32]) -> None:
        """Write `pixels` as they are."""
        np.copyto(out, pixels)


class KerasNetwork:
    """The reference: `model.get_weights()` by broadcast, set into a network built without any. Workers import TensorFlow here."""

    size_px, dim = 224, 1280

    def __init__(self, weights: list[npt.NDArray[np.float32]]) -> None:
        from job.imaging.keras_to_litert import keras_mobilenet_v2

        self._network = keras_mobilenet_v2(None)
        self._network.set_weights(weights)

    def __call__(self, pixels: Pixels) -> Features:
        scaled = np.empty((1, self.size_px, self.size_px, 3), np.float32)
        features: Features = np.asarray(self._network(scale(pixels, scaled[0])[np.newaxis], training=False))[0]
        return features


class KerasWeights(NamedTuple):
    """A network of Keras Applications, by its name and `get_weights()`."""

    name: str  # `EfficientNetB0`
    arrays: list[npt.NDArray[np.float32]]


class KerasApplication:
    """The reference of a network of Keras Applications, as `KerasNetwork`."""

    def __init__(self, weights: KerasWeights) -> None:
        from job.imaging.keras_to_litert import keras_application

        self._network = keras_application(weights.name, None)
        self._network.set_weights(weights.arrays)
        self.size_px, self.dim = int(self._network.input_shape[1]), int(self._network.output_shape[1])

    def __call__(self, pixels: Pixels) -> Features:
        features: Features = np.asarray(self._network(pixels.astype(np.float32)[np.newaxis], training=False))[0]
        return features


class MeanColour:
    """Mean red, green and blue, 0..1. No weights: replaces a network in tests and smoke runs."""

    size_px, dim = 32, 3

    def __init__(self, _: None = None) -> None:
        pass

    def __call__(self, pixels: Pixels) -> Features:
        features: Features = (pixels.mean(axis=(0, 1), dtype=np.float64) / 255).astype(np.float32)
        return features


def scale(pixels: Pixels, out: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale 0..255 uint8 to -1..1 float32, into `out` of the same shape, as keras.applications.mobilenet_v2.preprocess_input."""
    np.divide(pixels, np.float32(127.5), out=out, dtype=np.float32)
    return np.subtract(out, np.float32(1), out=out)
