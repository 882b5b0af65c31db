"""A run of its own and `fruitsctl serve` on it, for tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page


@contextmanager
def serving(root: Path, folders: Iterable[Path], run: Iterable[str], serve: Iterable[str], variables: dict[str, str]) -> Iterator[str]:
    """Copy `folders` to `root`, run and serve with these options; yield the address."""
    for folder in folders:
        shutil.copytree(folder, root / "photos" / folder.name)
    program, environment = [sys.executable, "-m", "cli"], {**os.environ, **variables}
    words = ["run", root / "photos", root / "out", "--local", *run]
    done = subprocess.run([*program, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    words = ["serve", "--output", root / "out", "--port", "0", "--photos-per-minute", "0", "--seconds", "120", "--json", *serve]
    with subprocess.Popen([*program, *words], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGTERM)


def shown(page: Page) -> None:
    """Every picture has arrived: those further down come when they are scrolled to."""
    for picture in page.locator("img[loading=lazy]").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('img[loading=lazy]')].every((image) => image.complete && image.naturalWidth)")
    page.evaluate("scrollTo(0, 0)")
