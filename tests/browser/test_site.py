"""The site as a reader sees it, on a phone and on a desktop: nothing is asked of the network, nothing complains, everybody can use it."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.browser.conftest import SIZES

ROOT = Path(__file__).parents[2]
# One of each kind, for axe and for the eye; every other page is opened as well.
SHOWN = {
    "home": "index.html",
    "home-fr": "fr/index.html",
    "tutorial": "tutorial.html",
    "tutorial-fr": "fr/tutorial.html",
    "how-to-aws": "how-to/aws.html",
    "commands": "reference/commands.html",
    "files": "reference/files.html",
    "notebook": "notebooks/local.html",
    "step-by-step": "explanation/job-step-by-step.html",
    "bricks": "explanation/bricks.html",
    "broadcast-fr": "fr/explanation/broadcast.html",
    "project-8-fr": "fr/course/index.html",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(folder, address) of the site, built strictly."""
    folder = tmp_path_factory.mktemp("guide") / "site"
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def too_wide(page):
    """How far the page can be scrolled sideways, in pixels: tables and code scroll in themselves."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_usable_by_everybody(site, page, serious, screenshot, name):
    page.goto(f"{site[1]}/{SHOWN[name]}", wait_until="networkidle")

    screenshot(page, f"site-{name}")
    assert serious(page) == []
    assert too_wide(page) <= 0


def test_in_the_dark_it_is_as_usable(site, page, serious, screenshot):
    page.emulate_media(color_scheme="dark")
    for name in ("home", "tutorial", "commands", "bricks"):
        page.goto(f"{site[1]}/{SHOWN[name]}", wait_until="networkidle")
        screenshot(page, f"site-{name}-dark")
        assert serious(page) == []


@pytest.mark.parametrize("size", ["phone"], indirect=True)
def test_every_page_opens_without_a_complaint(site, page):
    """The fixture `page` fails at an error on the console and at a request to the network."""
    folder, address = site
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    wide = []
    for name in pages:
        page.goto(f"{address}/{name}", wait_until="load")
        wide += [name] if too_wide(page) > 0 else []

    assert len(pages) > 50
    assert wide == []


def test_from_the_disk_it_fits_the_screen_too_and_offers_no_search(site, browser, size):
    with browser.new_context(viewport=SIZES[size]) as context:  # not `page`: the theme complains that it finds no sitemap on a disk
        page = context.new_page()
        page.goto(f"{site[0].as_uri()}/tutorial.html")
        page.wait_for_selector(".md-search", state="hidden")
        page.hover(".md-select button")  # the menu of languages

        assert page.locator(".md-select__inner").is_visible()
        assert too_wide(page) <= 0
        assert [label.is_visible() for label in page.locator("header [for=__search]").all()] == [False] * 3


@pytest.mark.parametrize("size", ["desktop"], indirect=True)
def test_the_search_finds_a_page(site, page):
    page.goto(f"{site[1]}/index.html", wait_until="networkidle")
    page.keyboard.press("/")
    page.keyboard.type("broadcast")
    page.locator(".md-search-result__link").first.wait_for()

    assert page.locator(".md-search-result__link").count() >= 3


@pytest.mark.parametrize("size", ["phone"], indirect=True)
def test_the_same_page_is_one_step_away_in_the_other_language(site, page):
    page.goto(f"{site[1]}/tutorial.html", wait_until="networkidle")
    page.goto(page.locator(".md-select__link[hreflang=fr]").evaluate("link => link.href"), wait_until="networkidle")

    assert page.url.endswith("/fr/tutorial.html")
    assert page.locator("html").get_attribute("lang") == "fr"
    assert page.locator("h1").inner_text().startswith("Tutoriel")
