"""What the tests of weights and of the sample share."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASSETS = Path(os.environ["FRUITS_ASSETS"]).resolve()


def silent(done: int, total: int | None) -> None:
    pass


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """The kernel refuses to let a file grow beyond it, as a full disk does. Python ignores the signal that comes along."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
