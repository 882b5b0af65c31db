"""
Load networks with their preprocessing, sizes and fingerprints: pixels to features.

`load_model` runs on the driver and verifies the weights; `worker_network` builds one in each Spark worker. Nothing here downloads.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from job.contract.errors import ModelError, SetupError
from job.contract.params import UNTRAINED, Params
from job.imaging.keras_to_litert import UNWRITABLE

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]

TOLERANCE = 1e-3  # of the known answer; another CPU's float32 kernels differ by 1e-5, other weights by 1e-1
OTHER_WEIGHTS = "omit --weights, or delete the downloaded file and run the command again, to use the official Keras file"
PREPROCESSING = "decode jpeg at 1/1 to 1/8 to keep 3x224, upright, sRGB over white, bicubic 224, x/127.5-1"


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
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._scaled = np.empty((1, self.size_px, self.size_px, 3), np.float32)

    def __call__(self, pixels: Pixels) -> Features:
        scale(pixels, self._scaled[0])
        self._interpreter.set_tensor(self._input, self._scaled)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)[0]
        return features


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


@dataclass(frozen=True)
class Model:
    """What the driver broadcasts: enough to build the network in a worker, without any file."""

    name: str
    engine: str
    fingerprint: str  # of the function, not of a file: equal fingerprints mean comparable features
    payload: Any  # LiteRT: flat buffer; TensorFlow: get_weights(); None without weights
    full_decode: bool = False

    @property
    def network(self) -> Callable[..., Network]:
        if self.name == "mean_colour":
            return MeanColour
        return {"litert": LiteRtNetwork, "tensorflow": KerasNetwork}[self.engine]

    @property
    def dim(self) -> int:
        return int(getattr(self.network, "dim"))  # noqa: B009 - a class attribute behind a Callable


def load_model(params: Params) -> Model:
    """
    Load the model of the run and verify it by the known answer.

    Raises:
        ModelError: weights are missing, of another network, or compute something else than MobileNetV2 on ImageNet.
    """
    if params.model == "mean_colour":
        return Model("mean_colour", params.engine, fingerprint("mean_colour", params.full_decode), None, params.full_decode)
    if params.model == UNTRAINED:
        return untrained_model(params)
    if params.weights is None:
        raise ModelError(f"model `{params.model}` needs weights", "give --weights=FILE.h5")
    weights = Path(params.weights)
    if not weights.is_file():
        raise ModelError(f"there are no weights at `{weights}`", "check the path, or omit --weights to use the official file")
    if params.engine == "litert":
        payload: Any = litert_flatbuffer(weights, Path(params.cache or weights.parent))
    else:
        payload = keras_weights(weights)
    model = Model(params.model, params.engine, fingerprint(params.model, params.full_decode), payload, params.full_decode)
    verify_network(model.network(payload), f"weights `{weights}`")
    return model


def untrained_model(params: Params) -> Model:
    """
    Load the untrained network and verify it as the trained one.

    Raises:
        ModelError: there is no cache folder for the converted network, or it computes something else here.
    """
    if params.engine == "tensorflow":
        from job.imaging.keras_to_litert import untrained_mobilenet_v2

        payload: Any = untrained_mobilenet_v2().get_weights()
    elif params.cache is None:
        raise ModelError(f"model `{UNTRAINED}` needs a cache folder", "give --cache=FOLDER")
    else:
        payload = untrained_flatbuffer(Path(params.cache))
    model = Model(UNTRAINED, params.engine, fingerprint(UNTRAINED, params.full_decode), payload, params.full_decode)
    verify_network(model.network(payload), f"model `{UNTRAINED}`", UNTRAINED)
    return model


def untrained_flatbuffer(cache: Path) -> bytes:
    """
    Return the untrained network as a float32 LiteRT flat buffer: converted once for each fingerprint, then read from `cache`.

    Raises:
        ModelError: TensorFlow cannot convert it.
    """
    return convert_once(cache / "models" / f"{fingerprint(UNTRAINED)}.float32.tflite", None)


def litert_flatbuffer(weights: Path, cache: Path) -> bytes:
    """
    Return `weights` (Keras HDF5) as a float32 LiteRT flat buffer: converted once, then read from `cache`.

    Raises:
        ModelError: Keras cannot load `weights` into MobileNetV2.
    """
    try:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ModelError(f"cannot read `{weights}`: {error.strerror}", "make the file readable, or give another with --weights") from error
    return convert_once(cache / "models" / f"mobilenet_v2-{digest}.float32.tflite", weights)


def convert_once(cached: Path, weights: Path | None) -> bytes:
    """
    Return the content of `cached`, converting `weights` (None: untrained) first if it does not exist.

    Raises:
        ModelError: as `litert_flatbuffer` and `untrained_flatbuffer`.
        SetupError: the cache folder cannot be written.
    """
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=cached.parent).close()  # find a read-only folder before seconds of work
        except OSError as error:
            raise cache_error(cached, error.strerror) from error
        command = [sys.executable, "-m", "job.imaging.keras_to_litert", str(cached), *([str(weights)] if weights else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
            if done.returncode == UNWRITABLE:
                raise cache_error(cached, reason)
            if weights is None:
                raise ModelError(
                    f"TensorFlow cannot convert `{UNTRAINED}`: {reason}", "run `uv tool install --reinstall '.[job]'` in the checkout"
                )
            raise ModelError(f"Keras cannot load `{weights}`: {reason}", OTHER_WEIGHTS)
    return cached.read_bytes()


def cache_error(cached: Path, reason: str | None) -> SetupError:
    """Return the error for a file of the cache folder that cannot be written."""
    return SetupError(f"cannot write `{cached}`: {reason}", "set FRUITS_CACHE to a writable folder with free space")


def keras_weights(weights: Path) -> list[npt.NDArray[np.float32]]:
    """
    Return the 260 arrays of `model.get_weights()`.

    Raises:
        ModelError: as `litert_flatbuffer`.
    """
    from job.imaging.keras_to_litert import keras_mobilenet_v2

    try:
        arrays: list[npt.NDArray[np.float32]] = keras_mobilenet_v2(str(weights)).get_weights()
    except (ValueError, OSError) as error:
        raise ModelError(f"Keras cannot load `{weights}`: {error}", OTHER_WEIGHTS) from error
    return arrays


def known_image(size_px: int = 224) -> Pixels:
    """Return a picture made by formula: three waves of different direction and length, so that no two channels are alike."""
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    waves = [np.sin(2 * np.pi * (a * x + b * y + 4 * x * y)) for a, b in ((2, 5), (7, 1), (3, -4))]
    pixels: Pixels = np.round(127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8)
    return pixels


@cache
def known_answer(model: str) -> Features:
    """Return the features of `known_image()` by `model`, (dim,) float32, computed once with Keras."""
    content = files("job.imaging").joinpath("known_answers", f"{model}.npy").read_bytes()
    answer: Features = np.load(BytesIO(content))
    return answer


def fingerprint(model: str, full_decode: bool = False) -> str:
    """
    Return the fingerprint of the function: network, preprocessing, precision and the known answer.

    The stored answer is hashed, not the computed one: rounding the latter would give two CPUs two fingerprints.
    """
    if model == "mean_colour":  # no weights to verify
        return "mean_colour-v2" + "-full" * full_decode
    parts = [model.encode(), PREPROCESSING.encode(), b"float32", known_answer(model).tobytes()]
    return f"{model}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}{'-full' * full_decode}"


def verify_network(network: Network, what: str, model: str = "mobilenet_v2") -> None:
    """
    Compare what `network` computes with the known answer of `model`.

    Raises:
        ModelError: it computes something else, as random weights or another checkpoint do.
    """
    difference = float(np.abs(network(known_image()) - known_answer(model)).max())
    if not difference <= TOLERANCE:  # NaN is refused too
        if model == UNTRAINED:
            raise ModelError(
                f"{what} does not give its known answer: it differs by `{difference:.3g}`, allowed is {TOLERANCE:g}",
                "delete `models/` in the cache folder and run the command again",
            )
        raise ModelError(
            f"{what} are not MobileNetV2's ImageNet weights: the known answer differs by `{difference:.3g}`, allowed is {TOLERANCE:g}",
            OTHER_WEIGHTS,
        )


_networks: dict[str, Network] = {}  # one per worker process and model: an interpreter costs 10 ms, TensorFlow 10 s


def worker_network(model: Model) -> Network:
    """Return this process's network for `model`, built at the first call."""
    key = f"{model.engine}/{model.fingerprint}"
    if key not in _networks:
        _networks[key] = model.network(model.payload)
    return _networks[key]
