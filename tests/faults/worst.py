"""
`python -m tests.faults.worst`: what the worst images that are not refused cost, one process each. Processor time and peak memory as a
table: docs/decisions/0016-bounds-of-one-image.md has it.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from job.contract.errors import DecodeError
from job.imaging.bounded_decode import MEMORY_BYTES, SECONDS
from job.imaging.decode import MAX_SCANNED_PIXELS, decode_image
from tests.faults.hostile_files import scan_bomb
from tests.unit.job import hostile

LIMIT_BYTES = MEMORY_BYTES  # of resident memory, the interpreter's own 100 MB included
LIMIT_SECONDS = SECONDS
WIDTH, HEIGHT = 9_459, 9_459  # 89,472,681 pixels; MAX_PIXELS is 89,478,485


HEADER = "| image of 89 million pixels | file, MB | processor time, s | peak memory, MB | refused |\n|" + " --- |" * 5 + "\n"


class Measured(NamedTuple):
    name: str
    file_bytes: int
    seconds: float  # of processor time
    peak_bytes: int  # resident
    refused: str  # why; "": it was decoded


def noise(mode: str) -> Image.Image:
    """Incompressible: the most work for a decoder."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, bands), np.uint8)
    return Image.fromarray(pixels if bands > 1 else pixels[..., 0], mode)


def saved(mode: str, kind: str, **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        noise(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


def turned() -> bytes:
    exif = Image.Exif()
    exif[hostile.ORIENTATION] = 6
    return exif.tobytes()


WORST: dict[str, Callable[[], bytes]] = {
    "JPEG, progressive": saved("RGB", "JPEG", progressive=True, quality=50),
    "JPEG, progressive, 4:4:4, turned by EXIF": saved("RGB", "JPEG", progressive=True, quality=50, subsampling=0, exif=turned()),
    "JPEG, CMYK": saved("CMYK", "JPEG", quality=30),
    "JPEG, as many scans as are allowed": lambda: scan_bomb(WIDTH, HEIGHT, MAX_SCANNED_PIXELS // (WIDTH * HEIGHT) - 1),
    "PNG, grey and alpha": saved("LA", "PNG", compress_level=1),
    "GIF": saved("P", "GIF"),
    "WebP, lossy": saved("RGB", "WEBP", quality=1, method=0),
    "TIFF, LZW": saved("RGB", "TIFF", compression="tiff_lzw"),
}


def measure(name: str) -> Measured:
    """In a separate process, that makes nothing but reads the file: making it costs memory too."""
    content = WORST[name]()
    child = subprocess.run([sys.executable, "-m", "tests.faults.worst", "-"], input=content, capture_output=True, check=True)
    return Measured(name, *json.loads(child.stdout))


def decode_stdin() -> tuple[int, float, int, str]:
    content = sys.stdin.buffer.read()
    refused, began = "", time.process_time()
    try:
        decode_image(content, 224)
    except DecodeError as error:
        refused = str(error)
    return len(content), time.process_time() - began, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, refused


def main() -> None:
    sys.stdout.write(HEADER)
    for name in WORST:
        _, size, seconds, peak, refused = measure(name)
        sys.stdout.write(f"| {name} | {size / 1e6:.1f} | {seconds:.1f} | {peak / 1e6:.0f} | {refused} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.stdout.write(json.dumps(decode_stdin()))
    else:
        main()
