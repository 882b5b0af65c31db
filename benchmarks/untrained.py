"""
`python -m benchmarks.untrained`: compare features of the untrained network with mean colour and with the trained network.

For each photo, the nearest other photo by cosine either has the same label or not. Prints the share that has, as Markdown on stdout.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.targets import markdown
from job.imaging.decode import decode_image
from job.imaging.networks import LiteRtNetwork, litert_flatbuffer, untrained_flatbuffer

Floats = npt.NDArray[np.float32]


def evenly(paths: list[Path], count: int) -> list[Path]:
    """Return `count` of `paths`, evenly spaced, with the first and the last."""
    return [paths[number] for number in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))]


def same_label(features: Floats, labels: list[str]) -> float:
    """Return the share of rows of `features` (N, dim) whose nearest other row by cosine has the same label."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    names = np.array(labels)
    return float((names[cosines.argmax(axis=1)] == names).mean())


def embedded(flatbuffer: bytes, pixels: list[npt.NDArray[np.uint8]]) -> Floats:
    """Return the features of each photo, (N, 1280)."""
    network = LiteRtNetwork(flatbuffer)
    return np.stack([network(one) for one in pixels])


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.untrained", description="measure how much untrained features distinguish photos")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="as `python -m benchmarks` has it")
    parser.add_argument("--photos", type=int, default=600, help="photos of the sample's Training, evenly spaced")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-cache"), help="folder for the converted networks")
    args = parser.parse_args()
    if args.assets is None:
        parser.error("give --assets, or set FRUITS_ASSETS")
    paths = evenly(sorted((args.assets / "fruits-360-sample" / "Training").glob("*/*.jpg")), args.photos)
    labels = [path.parent.name for path in paths]
    pixels = [decode_image(path.read_bytes(), LiteRtNetwork.size_px).pixels for path in paths]
    weights = next((args.assets / "weights").glob("*no_top*.h5"))
    found = {
        "mean colour": np.stack([one.mean(axis=(0, 1)) for one in pixels]).astype(np.float32),
        "untrained network": embedded(untrained_flatbuffer(args.cache), pixels),
        "trained network": embedded(litert_flatbuffer(weights, args.cache), pixels),
    }
    print(f"{len(paths)} photos of {len(set(labels))} labels\n")
    rows = [(name, f"{same_label(features, labels):.0%}") for name, features in found.items()]
    print(markdown(("features", "nearest photo has the same label"), rows))


if __name__ == "__main__":
    main()
