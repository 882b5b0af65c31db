"""
`fruitsctl serve` under load: many clients at once. In: an OUTPUT and a folder of photos. Out: errors, photos/s, p50, p95 and p99 on stdout.

    python -m benchmarks.serve --output OUT --photos FOLDER

The clients run on the same machine as the server, and send the next photo as soon as the last one is answered: people are
slower. The first photo of each client is not counted: threads build their networks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

CLIENTS = 50
PHOTOS_EACH = 10


@dataclass(frozen=True)
class Load:
    """Seconds are from the first byte sent to the last one received."""

    clients: int
    photos: int
    errors: int
    photos_per_second: float
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    alone_seconds: float  # the median for one client alone


def ask(url: str, content: bytes) -> float | None:
    """Seconds, or None if the server did not answer with 200."""
    request = urllib.request.Request(f"{url}/identify", content, {"Content-Type": "image/jpeg"})
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
    except (urllib.error.URLError, ConnectionError):
        return None
    return time.perf_counter() - began


def load(url: str, photos: Sequence[bytes], clients: int = CLIENTS, each: int = PHOTOS_EACH) -> Load:
    """`clients` at once against the server at `url`, each with `each` of `photos`."""
    began: list[float] = []
    start = threading.Barrier(clients, lambda: began.append(time.perf_counter()))

    def client(number: int) -> list[float | None]:
        ask(url, photos[number % len(photos)])
        start.wait()
        return [ask(url, photos[(number * each + i) % len(photos)]) for i in range(each)]

    alone = quantile([seconds for content in photos[:20] if (seconds := ask(url, content)) is not None], 0.5)
    with ThreadPoolExecutor(clients) as pool:
        found = [seconds for one in pool.map(client, range(clients)) for seconds in one]
    total = time.perf_counter() - began[0]
    answered = [seconds for seconds in found if seconds is not None]
    p50, p95, p99 = (quantile(answered, share) for share in (0.5, 0.95, 0.99))
    return Load(clients, len(found), len(found) - len(answered), len(answered) / total, p50, p95, p99, alone)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that is not below `share` of them; NaN without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def serve_and_load(output: str, photos: Sequence[bytes], clients: int, each: int) -> Load:
    """A separate server, without a limit per address."""
    words = ["serve", "--output", output, "--port", "0", "--photos-per-minute", "0", "--seconds", "120", "--json"]
    with subprocess.Popen([sys.executable, "-m", "cli", *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            return load(json.loads(server.stdout.readline())["url"], photos, clients, each)
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve", description="fruitsctl serve with many clients at once")
    parser.add_argument("--output", required=True, help="OUTPUT with a published run")
    parser.add_argument("--photos", type=Path, required=True, help="folder of JPEGs to send")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--each", type=int, default=PHOTOS_EACH, help="photos per client")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    args = parser.parse_args()

    photos = [path.read_bytes() for path in sorted(args.photos.rglob("*.jpg"))]
    if not photos:
        parser.error(f"there are no *.jpg below {args.photos}")
    found = serve_and_load(args.output, photos, args.clients, args.each)
    if args.json:
        print(json.dumps(asdict(found)))
    else:
        print(f"{found.clients} clients, {found.photos} photos: {found.errors} errors, {found.photos_per_second:.0f} photos/s")
        print(f"seconds: p50 {found.p50_seconds:.2f}, p95 {found.p95_seconds:.2f}, p99 {found.p99_seconds:.2f}")
        print(f"one client alone, p50: {found.alone_seconds:.3f} s")


if __name__ == "__main__":
    main()
