"""The images to measure on: the sample, or some of it, under one or several names. In: a folder of labels below folders. Out: copies."""

from __future__ import annotations

import shutil
from pathlib import Path


def copy_images(source: Path, target: Path, copies: int, images_per_folder: int | None = None) -> int:
    """
    Copy the JPEGs below `source` to `target/1`, `target/2`, ... and give how many there are then.

    Copies and not links: each image is its own file for the page cache, and a listing that follows no links finds it.
    `images_per_folder` takes the first few, by name, of each folder.
    """
    folders = sorted({path.parent for path in source.rglob("*.jpg")})
    if not folders:
        raise FileNotFoundError(f"there are no JPEGs below `{source}`")
    count = 0
    for name in range(1, copies + 1):
        for folder in folders:
            into = target / str(name) / folder.relative_to(source)
            into.mkdir(parents=True)
            for path in sorted(folder.glob("*.jpg"))[:images_per_folder]:
                shutil.copyfile(path, into / path.name)
                count += 1
    return count
