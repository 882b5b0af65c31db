"""A real browser, headless: Debian's Chromium (tests/browser/chromium.sh) or the one that FRUITS_CHROMIUM names."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("FRUITS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no Chromium on this machine: run tests/browser/chromium.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["phone", "desktop"])
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, size: str) -> Iterator[Page]:
    """A page of the size `size` that fails its test at any error on its console and at any request that leaves the machine."""
    complaints: list[str] = []
    with browser.new_context(viewport=SIZES[size], has_touch=size == "phone", reduced_motion="reduce") as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _local(request.url) else None)
        yield page
    assert complaints == []


@pytest.fixture
def plain(browser: Browser, size: str) -> Iterator[Page]:
    """A page without JavaScript."""
    with browser.new_context(viewport=SIZES[size], has_touch=size == "phone", java_script_enabled=False) as context:
        yield context.new_page()


def _local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1", "http://localhost"))


@pytest.fixture
def serious() -> Callable[[Page], list[str]]:
    """What axe finds on a page that is serious or critical: rule and first element, one line each."""

    def run(page: Page) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in ("serious", "critical")]

    return run


@pytest.fixture
def screenshot(size: str, request: pytest.FixtureRequest) -> Callable[[Page, str], Path]:
    """Keeps a picture of the whole page as build/screenshots/<name>-<size>.png, for people to look at."""

    def take(page: Page, name: str) -> Path:
        target = request.config.rootpath / "build" / "screenshots" / f"{name}-{size}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=target, full_page=True)
        return target

    return take
