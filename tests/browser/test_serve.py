"""The page in a real browser, phone and desktop: a photo in, the fruit out, in both languages, with and without JavaScript."""

import pytest
from playwright.sync_api import expect

from tests.browser.servers import serving, shown
from tests.e2e.conftest import GALLERY, UNTRAINED


@pytest.fixture(scope="module")
def url(sample, cache, short_jvm, tmp_path_factory):
    """A server on 200 photos of ten fruits, with the untrained network."""
    folders, root = [sample / "Training" / label for label in GALLERY], tmp_path_factory.mktemp("serve")
    with serving(root, folders, UNTRAINED, [], {"FRUITS_CACHE": str(cache), **short_jvm}) as url:
        yield url


@pytest.fixture(scope="module")
def apple(sample):
    """A photo of the gallery: the untrained network does not know every other one."""
    return sample / "Training" / "Apple Granny Smith" / "generated_1_4.jpg"


def test_a_photo_goes_in_and_the_fruit_comes_out(page, url, apple, serious, screenshot):
    page.goto(url)
    assert serious(page) == []
    page.set_input_files("#file", apple)
    expect(page.locator("h1")).to_have_text("Apple")

    expect(page.locator(".answer")).to_contain_text("Malus domestica")
    expect(page.locator(".alike li").first).to_contain_text("Apple Granny Smith")
    shown(page)
    assert serious(page) == []
    screenshot(page, "serve-answer")


def test_the_start_page_shows_what_is_known_here(page, url, screenshot):
    page.goto(url)
    shown(page)

    expect(page.locator(".known h2")).to_contain_text("200 known photos of 10 kinds")
    assert page.locator(".known img").count() == 10
    screenshot(page, "serve-start")


def test_in_french_and_in_the_dark(page, url, apple, serious, screenshot):
    page.emulate_media(color_scheme="dark")
    page.goto(url)
    page.get_by_role("link", name="Français").click()
    expect(page.locator("h1")).to_have_text("Quel est ce fruit ?")
    page.set_input_files("#file", apple)
    expect(page.locator("h1")).to_have_text("Pomme")

    expect(page.locator(".answer")).to_contain_text("d’août à avril")
    shown(page)
    assert serious(page) == []
    screenshot(page, "serve-answer-fr-dark")


def test_nothing_is_wider_than_the_screen(page, url, apple):
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_input_files("#file", apple)
    expect(page.locator(".answer")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_file_that_is_no_picture_is_said_kindly(page, url, tmp_path, serious, screenshot):
    note = tmp_path / "note.jpg"
    note.write_text("no picture")
    page.goto(url)
    page.set_input_files("#file", note)

    expect(page.locator("h1")).to_have_text("This file cannot be read")
    assert serious(page) == []
    screenshot(page, "serve-unreadable")


def test_a_photo_too_large_is_refused_before_it_is_sent(page, url, tmp_path, serious, screenshot):
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(25_000_001))
    page.goto(url)
    sent = []
    page.on("request", lambda request: sent.append(request.method))
    page.set_input_files("#file", large)

    expect(page.get_by_role("alert")).to_have_text("The photo is too large: at most 25 MB.")
    assert "POST" not in sent
    assert serious(page) == []
    screenshot(page, "serve-too-large")


def test_a_photo_may_be_dropped_or_pasted(page, url, apple):
    """What a browser does at a drop and a paste, with the events' own data."""
    made = """([name, content]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(content)], "apple.jpg", { type: "image/jpeg" }));
        const event = name === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                                      : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for name in ("drop", "paste"):
        page.goto(url)
        page.evaluate(made, [name, list(apple.read_bytes())])
        expect(page.locator("h1")).to_have_text("Apple")


def test_the_keyboard_reaches_everything(page, url):
    page.goto(url)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))

    assert {"English", "Français", "file"} <= set(reached)


def test_after_going_back_the_page_takes_another_photo(page, url, apple):
    page.goto(url)
    page.set_input_files("#file", apple)
    expect(page.locator(".answer")).to_be_visible()
    page.go_back()

    expect(page.locator("form.working")).to_have_count(0)
    page.set_input_files("#file", apple)
    expect(page.locator(".answer")).to_be_visible()


def test_without_javascript_the_form_has_a_button(plain, url, apple, screenshot):
    plain.goto(url)
    screenshot(plain, "serve-start-plain")
    plain.set_input_files("#file", apple)
    plain.get_by_role("button", name="Which fruit is it?").click()

    expect(plain.locator("h1")).to_have_text("Apple")
    expect(plain.locator(".answer img")).to_be_visible()
    screenshot(plain, "serve-answer-plain")


def test_without_javascript_a_photo_too_large_is_said_on_the_page(plain, url, tmp_path):
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(40_000_000))
    plain.goto(f"{url}/?lang=fr")
    plain.set_input_files("#file", large)
    plain.locator("form button").click()

    expect(plain.locator(".error")).to_have_text("La photo est trop lourde : 25 Mo maximum.")


def test_without_javascript_and_without_a_photo_the_page_says_so(plain, url):
    plain.goto(url)
    plain.locator("form button").click()

    expect(plain.locator(".error")).to_have_text("No photo was sent. Choose one first.")
