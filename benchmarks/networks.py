"""
`python -m benchmarks.networks [NAME…]`: speed and size of the networks that `--model` takes, as Markdown on stdout.

Weights are drawn from a seed: speed and size do not depend on their values. One core, one picture at a time, without decoding.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.targets import markdown
from job.contract.params import APPLICATIONS, KERAS_PREFIX
from job.imaging.engines import LiteRtApplication, LiteRtNetwork
from job.imaging.networks import application_fingerprint, convert_once, untrained_flatbuffer
from job.imaging.proof import draw_picture

PICTURES = 20
# As `fruitsctl` has it, weights come from a file; a process of its own gives TensorFlow's memory back.
DRAWN = """
import sys, keras
name, size, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
keras.utils.set_random_seed(1)
network = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
network.save_weights(path)
"""


def drawn_weights(name: str, folder: Path) -> Path:
    """Return a file with weights from a seed, written once."""
    path = folder / f"{name}.weights.h5"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", DRAWN, name, str(APPLICATIONS[name].size_px), str(path)], check=True, capture_output=True)
    return path


def row(model: str, network: LiteRtNetwork, megabytes: float) -> list[str]:
    """Measure one network: the median of PICTURES pictures, in processor time of the one thread that computes them."""
    picture = draw_picture(0, network.size_px)
    seconds = []
    for _ in range(PICTURES):
        began = time.thread_time()
        network(picture)
        seconds.append(time.thread_time() - began)
    median = sorted(seconds)[PICTURES // 2]
    return [f"`{model}`", str(network.size_px), f"{network.dim:,}", f"{megabytes:.1f}", f"{median * 1000:.1f}", f"{1 / median:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.networks", description="measure speed and size of each network")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(APPLICATIONS)}; all without one")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-cache"), help="folder for weights and converted networks")
    args = parser.parse_args()
    flatbuffer = untrained_flatbuffer(args.cache)
    rows = [row("mobilenet_v2", LiteRtNetwork(flatbuffer), len(flatbuffer) / 1e6)]
    for name in args.names or APPLICATIONS:
        weights, model = drawn_weights(name, args.cache / "weights"), KERAS_PREFIX + name
        cached = args.cache / "models" / f"{application_fingerprint(model, weights)}.float32.tflite"
        flatbuffer = convert_once(cached, weights, name)
        rows.append(row(model, LiteRtApplication(flatbuffer), len(flatbuffer) / 1e6))
    header = ["model", "input, pixels", "features", "weights, MB", "ms per image", "images/s per core"]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
