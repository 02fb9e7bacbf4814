"""Languages, keyboard, screen reader, contrast, phones, and the headers that keep the page alone with its server."""

import json
import re
from email.message import Message
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from api.routes.page import STATIC_DIR
from shared import errors
from tests.page.conftest import OpenPage
from tests.page.stub import KEY, Refusal, Stub
from tests.page.test_predict import choose, predict

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}

# The contrast of every visible text with the nearest opaque background behind it (WCAG 2.2, 1.4.3), photos apart.
CONTRAST = """() => {
    const channels = (color) => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const color = channels(getComputedStyle(element).backgroundColor);
            if (color[3] === 255) return color;
        }
        return [255, 255, 255, 255];
    };
    const faults = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest("#tray-list, .unseen, .skip, noscript")) continue;
        const [one, other] = [light(channels(getComputedStyle(element).color)), light(behind(element))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) faults.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
    }
    return faults;
}"""


def texts(page: Page, language: str) -> dict[str, str]:
    """The sentences of one language, as the page's own module gives them."""
    answer = page.evaluate(f"import('/static/js/texts.{language}.js').then((module) => module.{language})")
    return dict(answer)


def test_both_languages_have_every_sentence_and_every_placeholder(open_page: OpenPage) -> None:
    page = open_page()
    english, spanish = texts(page, "en"), texts(page, "es")
    assert list(english) == list(spanish)
    for key, sentence in english.items():
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", spanish[key])), key


def test_every_key_that_the_page_asks_for_exists(open_page: OpenPage) -> None:
    english = texts(open_page(), "en")
    asked = set(re.findall(r'data-t(?:-label)?="([^"]+)"', (STATIC_DIR / "index.html").read_text(encoding="utf-8")))
    for script in (STATIC_DIR / "js").glob("*.js"):
        asked |= set(re.findall(r'\bt\("([\w.-]+)"', script.read_text(encoding="utf-8")))
    assert asked - set(english) == set()


def test_every_error_of_the_service_has_its_sentence(open_page: OpenPage) -> None:
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    assert "quota-exceeded" in codes
    assert {f"problem.{code}" for code in codes} - set(texts(open_page(), "en")) == set()


def test_the_browser_s_language_is_spoken(open_page: OpenPage) -> None:
    page = open_page(locale="es-CO")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_have_text("Roya")
    expect(page.locator(".advice")).to_contain_text("agrónomo")
    expect(page.locator(".bars")).to_contain_text("No es una hoja")


def test_the_language_switch_changes_what_is_shown_and_is_remembered(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    page.get_by_role("button", name="Español").click()
    expect(page.locator(".diagnosis")).to_have_text("Roya")
    expect(page.locator("#choose")).to_have_text("Elegir fotos")
    expect(page.get_by_role("button", name="Español")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator("#headline")).to_have_text("Una foto, un turno, una respuesta.")


def test_the_keyboard_alone_reaches_a_diagnosis(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    rust = page.locator("[data-example=rust]")
    for _ in range(12):
        page.keyboard.press("Tab")
        if rust.evaluate("(element) => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#predict")).to_be_visible()
    while not page.locator("#predict").evaluate("(element) => element === document.activeElement"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#tickets-title")).to_be_focused()
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Put this ticket away: rust.jpg")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_key_dialog_is_left_with_escape(open_page: OpenPage, stub: Stub) -> None:
    stub.key = KEY
    page = open_page()
    page.get_by_role("button", name="Key").press("Enter")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Key")).to_be_focused()


def test_a_screen_reader_hears_ends_and_problems(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    announcer = page.get_by_role("log")
    expect(announcer).to_have_attribute("aria-live", "polite")
    predict(page, "rust")
    expect(announcer).to_contain_text("rust.jpg: Rust, 93% probability.")
    stub.refusals.append(Refusal("POST", 422, "image-undecodable"))
    predict(page, "healthy")
    expect(announcer).to_contain_text("healthy.jpg: The photo is damaged or incomplete.")


def test_everything_that_can_be_pressed_has_a_name(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_be_visible()
    choose(page, "healthy")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, a, summary')].filter((e) => e.checkVisibility()"
        " && !(e.getAttribute('aria-label') ?? e.textContent).trim()).map((e) => e.outerHTML)"
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["diagnosed", "uncertain", "not_recognised"])
def test_every_text_has_enough_contrast(open_page: OpenPage, stub: Stub, scheme: str, kind: str) -> None:
    stub.kind = kind
    stub.checks["worker"] = "not yet"
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    predict(page, "rust", "healthy")
    expect(page.locator(".diagnosis")).to_have_count(2)
    stub.refusals.append(Refusal("POST", 422, "image-undecodable", "small print"))
    predict(page, "powdery-mildew")
    expect(page.locator(".problem:visible")).to_have_count(1)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_a_phone_shows_everything_without_sideways_scrolling(open_page: OpenPage, stub: Stub, locale: str) -> None:
    stub.key = KEY
    page = open_page(**PHONE, locale=locale)
    page.evaluate(f"sessionStorage.setItem('turno.key', {json.dumps(KEY)})")
    page.reload()
    predict(page, "powdery-mildew")
    expect(page.locator(".diagnosis")).to_be_visible()
    page.locator("summary").click()
    choose(page, "rust")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    small = page.evaluate(
        "[...document.querySelectorAll('button, summary')].filter((e) => e.checkVisibility())"
        ".filter((e) => Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width) < 44)"
        ".map((e) => e.outerHTML)"
    )
    assert small == []


def test_a_phone_offers_its_camera(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    expect(page.locator("#shot")).to_have_attribute("capture", "environment")
    expect(open_page().get_by_role("button", name="Take a photo")).to_be_hidden()


def headers_of(url: str) -> Message:
    """The headers of a successful GET."""
    with urlopen(url) as response:
        assert response.status == 200
        return cast("Message", response.headers)


def test_the_page_and_its_files_carry_their_headers(stub: Stub) -> None:
    page = headers_of(f"{stub.url}/")
    assert page["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:;")
    assert "unsafe" not in page["content-security-policy"]
    assert page["referrer-policy"] == "no-referrer"
    for headers in (page, headers_of(f"{stub.url}/static/js/app.js"), headers_of(f"{stub.url}/static/style.css")):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"
    with pytest.raises(HTTPError, match="404"):
        headers_of(f"{stub.url}/static/%2e%2e/routes/page.py")


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    html = (STATIC_DIR / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://(?!www\.w3\.org)", html)
    for script in (STATIC_DIR / "js").glob("*.js"):
        source = script.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|https?://", source), script


def test_the_page_s_files_are_small() -> None:
    for file in [*STATIC_DIR.glob("*.*"), *(STATIC_DIR / "js").iterdir()]:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 250, file


@pytest.mark.parametrize("photo", sorted((STATIC_DIR / "examples").glob("*.jpg")), ids=lambda photo: photo.name)
def test_each_example_is_small_and_credited(photo: Path) -> None:
    assert photo.stat().st_size <= 40_000
    assert f"`{photo.name}`" in (STATIC_DIR / "examples" / "CREDITS.md").read_text(encoding="utf-8")
