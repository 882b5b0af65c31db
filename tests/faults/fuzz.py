"""
`python -m tests.faults.fuzz --seconds 600 --seed 1 --corpus FOLDER`: the decoder, fed with mutations of FOLDER's files. Nothing but pixels
or a DecodeError may come of any. Exit 0 and the number of executions as the last line; else the file that did it is left behind.

With atheris (coverage of Pillow's Python guides it: https://github.com/google/atheris) where it is installed, else mutations by a seed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

SIZE_PX = 32
MAX_FILE_BYTES = 1 << 16
MAX_SECONDS = 60  # of one file


def try_decode(content: bytes) -> None:
    """Raises whatever is neither pixels nor a DecodeError."""
    from job.contract.errors import DecodeError
    from job.imaging.decode import decode_image

    try:
        pixels = decode_image(content, SIZE_PX).pixels
    except DecodeError:
        return
    assert pixels.shape == (SIZE_PX, SIZE_PX, 3)


def by_atheris(seconds: int, seed: int, corpus: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["PIL", "job.imaging.decode"]):
        import PIL.Image

        import job.imaging.decode  # noqa: F401
    PIL.Image.init()
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MAX_FILE_BYTES}", f"-timeout={MAX_SECONDS}", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], try_decode)
    atheris.Fuzz()  # ends the process, and says how many it did


def by_seed(seconds: int, seed: int, corpus: Path) -> None:
    chance, files = random.Random(seed), [path.read_bytes() for path in sorted(corpus.iterdir())]
    ends, executions = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        content = mutated(chance, files)
        try:
            try_decode(content)
        except BaseException:
            Path(f"crash-{hashlib.sha256(content).hexdigest()[:16]}").write_bytes(content)
            raise
        executions += 1
    sys.stdout.write(f"Done {executions} runs\n")


def mutated(chance: random.Random, files: list[bytes]) -> bytes:
    content = bytearray(chance.choice(files))
    for _ in range(1 << chance.randrange(6)):
        if not content:
            break
        chance.choice(MUTATIONS)(chance, content)
    return bytes(content[:MAX_FILE_BYTES])


def change_bits(chance: random.Random, content: bytearray) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def change_header(chance: random.Random, content: bytearray) -> None:
    content[chance.randrange(min(len(content), 256))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))


def change_block(chance: random.Random, content: bytearray) -> None:
    at, length = chance.randrange(len(content)), chance.randint(1, 64)
    content[at : at + length] = chance.choice((chance.randbytes(length), b"", content[at : at + length] * 2))


def cut(chance: random.Random, content: bytearray) -> None:
    del content[chance.randrange(len(content)) :]


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (change_bits, change_bits, change_header, change_block, cut)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, required=True)
    given = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        by_seed(given.seconds, given.seed, given.corpus)
    else:
        by_atheris(given.seconds, given.seed, given.corpus)


if __name__ == "__main__":
    main()
