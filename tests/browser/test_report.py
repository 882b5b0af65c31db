"""The report in a real browser: drawn, read by axe, moved by mouse, keyboard and touch, in the dark, on paper."""

import numpy as np
import pytest

from job.product.report import report
from job.product.thumbnails import find_unchanged_since
from job.storage.folders import open_folder
from tests.unit.job.product.run_files import copy_photos, write_run

LABELS = ["Apple Granny Smith", "Apple Red 1", "Banana", "Cherry 1", "Kiwi", "Lemon", "Orange", "Pear", "Plum", "Tomato 1"]
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def reports(sample, cache, tmp_path_factory):
    """name -> path of a report: one with everything, one of three images, one of a hostile label."""

    def build(name, photos, scores, **more):
        root = roots[name]
        manifest = write_run(root / "out", root / "photos", [uri for uri, _ in photos], [label for _, label in photos], scores, **more)
        manifest.params["cache"] = str(cache)
        html, _ = report.build(open_folder(f"file://{root}/out"), manifest, find_unchanged_since(4_000_000_000))
        path = root / "report.html"
        path.write_text(html)
        return path

    roots = {name: tmp_path_factory.mktemp(name) for name in ("full", "three", "hostile")}
    rng = np.random.default_rng(1)
    photos = copy_photos(sample, roots["full"] / "photos", LABELS, each=8)[: 8 * len(LABELS) - 5]  # not all alike
    centres = {label: rng.normal(size=6) * 4 for label in LABELS}
    cut = roots["full"] / "photos" / "Kiwi" / "cut.jpg"
    cut.write_bytes(next((sample / "Test" / "Kiwi").iterdir()).read_bytes()[:2500])
    rejects = [(f"file://{cut}", "decode", "truncated"), (f"file://{roots['full']}/photos/mail.jpg", "list", "permission denied")]
    scores = [centres[label] + rng.normal(size=6) * 2 for _, label in photos]
    few = copy_photos(sample, roots["three"] / "photos", ["Kiwi", "Lemon", "Plum"], each=1)
    return {
        "full": build("full", photos, scores, rejects=rejects, notes=["2 features are constant"], cores=2),
        "three": build("three", few, [[1, 0.5], [0, 1], [-1, -1.5]]),
        "hostile": build("hostile", [(f"file:///a'\"&<b>{i}", HOSTILE) for i in range(4)], [[i, i % 2] for i in range(4)]),
    }


@pytest.fixture
def show(page, reports):
    def go(name="full"):
        page.goto(f"file://{reports[name]}")
        page.wait_for_selector("html[data-ready]")
        return page

    return go


def drawn(page):
    return page.evaluate("""[...document.querySelectorAll('#map .mark-symbol path')].map(path => path.getAttribute('transform'))""")


def test_it_is_drawn_fits_the_screen_and_axe_finds_nothing_serious(show, serious, screenshot):
    page = show()

    for chart in ("labels", "scree", "map", "accuracy", "stages"):
        assert page.locator(f"#{chart} svg").bounding_box()["width"] > 250
    assert len(drawn(page)) == 75
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert serious(page) == []
    screenshot(page, "report")


def test_dark_by_the_system_and_by_the_button(show, serious, screenshot):
    page = show()
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert serious(page) == []
    screenshot(page, "report-dark")

    page.click("#theme")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 252, 250)"
    assert page.get_attribute("#theme", "aria-pressed") == "false"


def test_paper_is_white_and_without_controls(show, screenshot):
    page = show()
    page.emulate_media(color_scheme="dark", media="print")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert not page.locator("#choices").is_visible()
    screenshot(page, "report-print")


def test_labels_are_chosen_and_found_by_keyboard(show):
    page = show()
    assert page.locator("#legend li").count() == 8

    page.click("#none-button")
    assert page.locator("#legend li").count() == 0
    assert page.locator("#gallery-note").inner_text() == "Select a label to see its photos."
    page.fill("#find", "kiw")
    assert page.locator("#choices label:visible").all_inner_texts() == ["Kiwi"]
    page.locator("#choices input:visible").focus()
    page.keyboard.press("Space")

    assert page.locator("#legend li").all_inner_texts() == ["Kiwi"]
    assert page.locator("#gallery button").count() == 8
    page.locator("#gallery button").first.focus()
    assert "Kiwi" in page.locator("#tip").inner_text()
    assert page.locator("#gallery button").first.get_attribute("aria-label").startswith("Kiwi, Kiwi/")


def test_the_map_zooms_and_shows_other_components(show):
    page = show()
    whole = drawn(page)

    page.click("#in-button")
    closer = drawn(page)
    page.click("#all-button")
    assert closer != whole
    assert drawn(page) == whole
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    assert drawn(page) != whole
    page.click("#all-button")
    page.select_option("#across", "2")
    assert drawn(page) != whole


def test_a_mark_tells_its_photo(show):
    page = show()
    mark = page.locator("#map .mark-symbol path").last
    mark.scroll_into_view_if_needed()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # scrolling takes a tip away
    mark.hover(force=True)

    assert page.locator("#tip").is_visible()
    assert any(label in page.locator("#tip").inner_text() for label in LABELS)


def test_three_images_have_a_page(show, serious, screenshot):
    page = show("three")

    assert len(drawn(page)) == 3
    assert serious(page) == []
    screenshot(page, "report-three")


def test_a_hostile_label_does_nothing(show, serious):
    page = show("hostile")
    page.locator("#gallery button").first.focus()

    assert page.title() == "Run 20260102T030405Z-abcd · fruitsctl"
    assert HOSTILE in page.locator("#tip").inner_text()
    assert serious(page) == []
