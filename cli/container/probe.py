"""
Report on the Python of an image as one JSON object on stdout. Runs inside the image from stdin, for `image check`.

Never imports anything of `cli`; standard library at the top, so that a broken image still answers.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = (
    "tensorflow",
    "ai_edge_litert",
    "pyarrow",
    "boto3",
    "PIL",
    "numpy",
    "pandas",
    "typer",
    "pyspark",
    "job.__main__",
    "cli.commands.app",
)


def machine_of(program: str) -> str:
    """
    Return Docker's name of the processor of an ELF file: bytes 18 and 19.

    https://man7.org/linux/man-pages/man5/elf.5.html
    """
    with open(program, "rb") as file:
        number = struct.unpack_from("<H", file.read(20), 18)[0]
    return {62: "amd64", 183: "arm64"}.get(number, str(number))


def imported(name: str) -> str:
    """Return where the module was imported from, or why it cannot be."""
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - native libraries raise anything; the answer is the reason
        return f"error: {type(error).__name__}: {error}"
    return str(getattr(module, "__file__", None) or next(iter(module.__path__)))


def value_or_error(measure: Callable[[], Any]) -> Any:
    """Return the result of `measure`, or `error: …` if it raises."""
    try:
        return measure()
    except BaseException as error:  # noqa: BLE001 - as above
        return f"error: {type(error).__name__}: {error}"


def embedded() -> dict[str, Any]:
    """Embed the known pictures with each model of the image, through file and decoder; with the trained one also given photos."""
    import io

    import numpy as np
    from PIL import Image

    from job.contract.params import UNTRAINED
    from job.imaging.decode import decode_image
    from job.imaging.networks import LiteRtNetwork, fingerprint
    from job.imaging.proof import Features, Pixels, difference

    def baked(model: str) -> LiteRtNetwork:
        (flatbuffer,) = Path(os.environ["FRUITS_CACHE"], "models").glob(f"{model}-*.tflite")
        return LiteRtNetwork(flatbuffer.read_bytes())

    def through_a_file(network: LiteRtNetwork) -> Callable[[Pixels], Features]:
        def embed(pixels: Pixels) -> Features:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            return network(decode_image(file.getvalue(), network.size_px).pixels)

        return embed

    network = baked("mobilenet_v2")
    photos = [
        network(decode_image(path.read_bytes(), network.size_px).pixels) for path in sorted(Path("/photos").rglob("*")) if path.is_file()
    ]
    return {
        "fingerprint": fingerprint("mobilenet_v2"),
        "difference": max(difference(through_a_file(baked(model)), model) for model in ("mobilenet_v2", UNTRAINED)),
        "photos": len(photos),
        "finite": all(bool(np.isfinite(photo).all() and photo.any()) for photo in photos),
    }


def main() -> None:
    """Print the report."""
    facts: dict[str, Any] = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "user": os.getuid(),
        "machine": value_or_error(lambda: machine_of(os.path.realpath(sys.executable))),
        "modules": {name: imported(name) for name in MODULES},
        "spark": value_or_error(lambda: importlib.import_module("pyspark").__version__),
        "model": value_or_error(embedded),
    }
    print("\n" + json.dumps(facts))


main()
