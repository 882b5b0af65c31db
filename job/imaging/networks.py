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
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from job.contract.errors import ModelError, SetupError
from job.contract.params import KERAS_PREFIX, UNTRAINED, Params, application
from job.imaging.engines import KerasApplication, KerasWeights, LiteRtApplication
from job.imaging.engines import KerasNetwork as KerasNetwork
from job.imaging.engines import LiteRtNetwork as LiteRtNetwork
from job.imaging.engines import MeanColour as MeanColour
from job.imaging.engines import Network as Network
from job.imaging.engines import scale as scale
from job.imaging.keras_to_litert import UNPROVEN, UNWRITABLE
from job.imaging.proof import OTHER_WEIGHTS, known_answers, verify_network
from job.imaging.proof import Features as Features
from job.imaging.proof import Pixels as Pixels

PREPROCESSING = "decode jpeg at 1/1 to 1/8 to keep 3x224, upright, sRGB over white, bicubic 224, x/127.5-1"
FULL = "-full"  # ends the fingerprint of features from photos decoded in full


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
        if application(self.name):
            return {"litert": LiteRtApplication, "tensorflow": KerasApplication}[self.engine]
        return {"litert": LiteRtNetwork, "tensorflow": KerasNetwork}[self.engine]


def load_model(params: Params) -> Model:
    """
    Load the model of the run and verify it by the known answers.

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
    if application(params.model):
        return application_model(params, weights)
    if params.engine == "litert":
        payload: Any = litert_flatbuffer(weights, Path(params.cache or weights.parent))
    else:
        payload = keras_weights(weights)
    model = Model(params.model, params.engine, fingerprint(params.model, params.full_decode), payload, params.full_decode)
    verify_network(model.network(payload), f"weights `{weights}`")
    return model


def application_model(params: Params, weights: Path) -> Model:
    """
    Load a network of Keras Applications. It has no stored answers: its conversion compared LiteRT with Keras.

    Raises:
        ModelError: as `litert_flatbuffer`.
    """
    name, stored = params.model.removeprefix(KERAS_PREFIX), application_fingerprint(params.model, weights)
    marked = f"{stored}{FULL * params.full_decode}"
    if params.engine == "tensorflow":
        from job.imaging.keras_to_litert import keras_application

        arrays = arrays_of(lambda: keras_application(name, str(weights)), weights)
        return Model(params.model, params.engine, marked, KerasWeights(name, arrays), params.full_decode)
    cached = Path(params.cache or weights.parent) / "models" / f"{stored}.float32.tflite"
    return Model(params.model, params.engine, marked, convert_once(cached, weights, name), params.full_decode)


def application_fingerprint(model: str, weights: Path) -> str:
    """
    Return the fingerprint of a network of Keras Applications: its name, the preprocessing and the content of its file.

    Two files of the same weights have two fingerprints, unlike those of `fingerprint`.
    """
    parts = [model.encode(), PREPROCESSING.encode(), b"float32", file_digest(weights).encode()]
    return f"{model.replace(':', '_')}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}"


def fingerprint_of(params: Params) -> str:
    """Return the fingerprint of a run's model, before it is loaded. That of `keras:` without its file matches no features."""
    if not application(params.model):
        return fingerprint(params.model, params.full_decode)
    if params.weights is None:
        return f"{params.model.replace(':', '_')}-unknown"
    return f"{application_fingerprint(params.model, Path(params.weights))}{FULL * params.full_decode}"


def file_digest(weights: Path) -> str:
    """
    Return the SHA-256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read `{weights}`: {error.strerror}", "make the file readable, or give another with --weights") from error


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
    return convert_once(cache / "models" / f"mobilenet_v2-{file_digest(weights)[:16]}.float32.tflite", weights)


def convert_once(cached: Path, weights: Path | None, name: str | None = None) -> bytes:
    """
    Return the content of `cached`, converting `weights` (None: untrained) first if it does not exist.

    `name`: of a network of Keras Applications.

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
        command = [
            sys.executable,
            "-m",
            "job.imaging.keras_to_litert",
            str(cached),
            *([str(weights)] if weights else []),
            *([name] if name else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
            if done.returncode == UNWRITABLE:
                raise cache_error(cached, reason)
            if weights is None:
                raise ModelError(
                    f"TensorFlow cannot convert `{UNTRAINED}`: {reason}", "run `uv tool install --reinstall '.[job]'` in the checkout"
                )
            if done.returncode == UNPROVEN:
                raise ModelError(f"`{name}` by LiteRT differs from Keras with `{weights}`: {reason}", "use --engine tensorflow")
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

    return arrays_of(lambda: keras_mobilenet_v2(str(weights)), weights)


def arrays_of(build: Callable[[], Any], weights: Path) -> list[npt.NDArray[np.float32]]:
    """Return `get_weights()` of a Keras model with `weights`. Raises ModelError as `litert_flatbuffer`."""
    try:
        arrays: list[npt.NDArray[np.float32]] = build().get_weights()
    except (ValueError, OSError) as error:
        raise ModelError(f"Keras cannot load `{weights}`: {error}", OTHER_WEIGHTS) from error
    return arrays


def fingerprint(model: str, full_decode: bool = False) -> str:
    """
    Return the fingerprint of the function: network, preprocessing, precision and the known answers.

    The stored answers are hashed, not the computed ones: rounding the latter would give two CPUs two fingerprints.
    """
    if model == "mean_colour":  # no weights to verify
        return f"mean_colour-v2{FULL * full_decode}"
    parts = [model.encode(), PREPROCESSING.encode(), b"float32", known_answers(model).tobytes()]
    return f"{model}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}{FULL * full_decode}"


_networks: dict[str, Network] = {}  # one per worker process and model: an interpreter costs 10 ms, TensorFlow 10 s


def worker_network(model: Model) -> Network:
    """Return this process's network for `model`, built at the first call."""
    key = f"{model.engine}/{model.fingerprint}"
    if key not in _networks:
        _networks[key] = model.network(model.payload)
    return _networks[key]
