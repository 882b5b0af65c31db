"""
Take the pictures of the home page: the report of a run, and the page of `fruitsctl serve` on a phone, in English and in French.

`python docs/site/pictures.py`, by hand after a change of these pages. The photos are generated: no picture shows a photo of somebody else.
It needs the weights and Chromium (tests/browser/chromium.sh).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ASSETS = Path(__file__).parents[1] / "assets"
FRUITSCTL = [sys.executable, "-m", "cli"]
SAMPLE = ["--generated", "--images", "500", "--classes", "25"]
UNKNOWN = ["--generated", "--images", "25", "--classes", "25", "--seed", "1"]  # photos that the gallery does not have
LABEL = "Banana"
COLOURS = 128


def main() -> None:
    """Make a run and take all pictures of it."""
    chromium = os.environ.get("FRUITS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        fruitsctl("sample", root / "photos", *SAMPLE)
        fruitsctl("sample", root / "others", *UNKNOWN)
        fruitsctl("run", root / "photos", root / "out", "--local")
        report = next((root / "out" / "runs").glob("*/report.html"))
        photo = next((root / "others" / LABEL).iterdir())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with served(root / "out") as address:
            save(map_of(browser, report), "report.png")
            for language, name in (("en", "phone.png"), ("fr", "phone.fr.png")):
                save(phone(browser, address, photo, language), name)


def fruitsctl(*words: object) -> None:
    """Run one command of the CLI; its messages are shown."""
    subprocess.run([*FRUITSCTL, *map(str, words)], check=True)


@contextmanager
def served(output: Path) -> Iterator[str]:
    """Serve OUTPUT and yield the address of its page."""
    with subprocess.Popen([*FRUITSCTL, "serve", "--output", output, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGTERM)


def map_of(browser: Browser, report: Path) -> bytes:
    """Return a PNG of the map of all photos in a report."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(report.as_uri(), wait_until="networkidle")
        page.add_style_tag(content="header, nav { position: static !important }")  # the bar of links would cover a part
        section = page.locator("section:has(#map), section#map")
        section.locator("canvas, svg").first.wait_for()
        return section.screenshot()


def phone(browser: Browser, address: str, photo: Path, language: str) -> bytes:
    """Return a PNG of the answer to `photo` at the size of a phone."""
    with browser.new_context(viewport={"width": 390, "height": 760}, locale=language, has_touch=True, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(address)
        page.set_input_files("#file", photo)
        page.locator(".answer").wait_for()
        page.wait_for_load_state("networkidle")
        return page.screenshot()


def save(png: bytes, name: str) -> None:
    """Write a PNG with few colours into docs/assets/."""
    Image.open(BytesIO(png)).convert("RGB").quantize(COLOURS).save(ASSETS / name, optimize=True)


if __name__ == "__main__":
    main()
