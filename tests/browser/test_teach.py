"""Teaching on the page, phone and desktop: after an answer, with consent, with and without JavaScript."""

import itertools
import re

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import SIZES
from tests.browser.servers import serving, shown
from tests.e2e.conftest import GALLERY
from tests.unit.job.hostile import fruit, heic_of

COLOURS = {"phone": (10, 10, 250), "desktop": (250, 10, 250)}  # of photos unlike all of the run


@pytest.fixture(scope="module")
def url(sample, cache, short_jvm, tmp_path_factory):
    """A server that takes photos, on the mean colours of 200 photos of ten fruits."""
    folders, root = [sample / "Training" / label for label in GALLERY], tmp_path_factory.mktemp("teach")
    run = ("--model=mean_colour", "--components=3")
    with serving(root, folders, run, ["--teach"], {"FRUITS_CACHE": str(cache), **short_jvm}) as url:
        yield url


@pytest.fixture
def heic(tmp_path, size):
    """A photo of this size of screen, as an iPhone sends it."""
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(heic_of(Image.new("RGB", (640, 480), COLOURS[size])))
    return path


@pytest.fixture
def apple(sample):
    return sample / "Training" / "Apple Granny Smith" / "generated_1_4.jpg"


def open_form(page):
    """The form is open below an unknown fruit, closed below a name."""
    expect(page.locator("details.teach")).to_be_visible()
    if not page.locator("details.teach").evaluate("form => form.open"):
        page.locator("details.teach summary").click()


def test_a_photo_that_was_sent_is_taught_without_choosing_it_again(page, url, heic, size, serious, screenshot):
    label = f"Quince {size}"
    page.goto(f"{url}/?lang=en")
    expect(page.locator("footer")).to_have_text("Your photo is processed in memory. It is stored only if you agree to teach it.")
    screenshot(page, "serve-teach-start")
    page.set_input_files("#file", heic)
    open_form(page)
    expect(page.locator("#same")).to_be_hidden()
    page.get_by_label("What is it?").fill(label)
    page.get_by_label(re.compile("I agree that this server stores the photo")).check()
    shown(page)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "serve-teach-form")
    page.get_by_role("button", name="Teach it").click()

    expect(page.locator("h1")).to_have_text(f"Learned: {label}")
    address, command = page.locator(".taught code").all_inner_texts()
    assert re.fullmatch(rf"/.*/photos/{label}/taught-[0-9a-f]{{16}}\.heic", address)
    assert command == f"fruitsctl forget '{address}' --output {address.partition('/photos/')[0]}/out"
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "serve-taught")

    page.set_input_files("#file", heic)
    expect(page.locator("article.answer h1")).to_have_text(label)


@pytest.fixture
def unlike(url, tmp_path):
    """A photo of one colour that the server does not know, whichever that is."""
    for number, colour in enumerate(itertools.product((0, 90, 180, 255), repeat=3)):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (80, 60), colour).save(path)
        if httpx.post(f"{url}/identify", files={"photo": path.read_bytes()}).json()["status"] == "unknown":
            return path
    return pytest.fail("every colour has a name")


def test_below_an_unknown_fruit_the_form_is_open_and_below_a_name_it_is_closed(page, url, apple, unlike, screenshot):
    page.goto(f"{url}/?lang=en")
    page.set_input_files("#file", unlike)
    expect(page.locator("h1")).to_have_text("Unknown fruit")
    expect(page.get_by_label("What is it?")).to_be_visible()
    shown(page)
    screenshot(page, "serve-teach-unknown")
    page.set_input_files("#file", apple)
    expect(page.locator("h1")).to_have_text("Apple")
    expect(page.get_by_label("What is it?")).to_be_hidden()
    expect(page.get_by_text("Wrong? Teach it")).to_be_visible()


def test_nothing_is_sent_without_consent(page, url, apple):
    sent = []
    page.goto(f"{url}/?lang=en")
    page.set_input_files("#file", apple)
    open_form(page)
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_label("What is it?").fill("Plum")
    page.get_by_role("button", name="Teach it").click()

    expect(page.locator("#consent:invalid")).to_be_visible()
    assert "POST" not in sent


def test_the_form_offers_the_fruits_that_are_known_in_the_visitor_s_language(page, url, apple, screenshot):
    page.goto(f"{url}/?lang=fr")
    page.set_input_files("#file", apple)
    expect(page.locator("article.answer")).to_be_visible()
    open_form(page)

    offered = page.locator("#names option").evaluate_all("options => options.map((option) => option.value)")
    assert {"Banane", "Citron", "Fraise", "Pomme"} <= set(offered)
    shown(page)
    screenshot(page, "serve-teach-form-fr")


def test_the_heading_has_the_focus_and_back_leads_to_the_start(page, url, apple):
    page.goto(f"{url}/?lang=en")
    page.set_input_files("#file", apple)
    expect(page.locator("article.answer h1")).to_be_focused()
    page.go_back()

    expect(page.locator("h1")).to_have_text("Which fruit is this?")
    page.set_input_files("#file", apple)
    expect(page.locator("article.answer")).to_be_visible()


def test_a_second_photo_replaces_the_first_in_the_form(page, url, apple, heic):
    page.goto(f"{url}/?lang=en")
    for photo in (heic, apple):
        page.set_input_files("#file", photo)
        expect(page.locator("#same")).to_have_js_property(
            "value", f"C:\\fakepath\\{photo.name}"
        )  # https://html.spec.whatwg.org/#fakepath-srsly


def test_a_file_that_is_no_photo_is_not_offered_for_teaching(page, url, tmp_path):
    note = tmp_path / "note.jpg"
    note.write_text("no picture")
    page.goto(f"{url}/?lang=en")
    page.set_input_files("#file", note)

    expect(page.locator("h1")).to_have_text("This file cannot be read")
    expect(page.locator(".teach")).to_have_count(0)


def test_without_javascript_the_photo_is_chosen_again(plain, url, size, tmp_path, screenshot):
    photo = tmp_path / "photo.png"
    fruit(*{"phone": (60, 80), "desktop": (80, 60)}[size]).save(photo)
    plain.goto(f"{url}/?lang=en")
    plain.set_input_files("#file", photo)
    plain.get_by_role("button", name="Which fruit is it?").click()
    expect(plain.locator("details.teach")).to_be_visible()
    if plain.locator("details.teach[open]").count() == 0:
        plain.locator("details.teach summary").click()
    with Image.open(screenshot(plain, "serve-teach-form-plain")) as whole:
        assert whole.width == SIZES[size]["width"]  # nothing is wider than the screen
    plain.set_input_files("#same", photo)
    plain.get_by_label("What is it?").fill("Medlar")
    plain.get_by_label(re.compile("I agree")).check()
    plain.get_by_role("button", name="Teach it").click()

    expect(plain.locator("h1")).to_have_text("Learned: Medlar")
