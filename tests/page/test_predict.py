"""From a photo to its diagnosis, as a person does it."""

import base64

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import EXAMPLES, OpenPage
from tests.page.stub import Stub


def choose(page: Page, *names: str) -> None:
    """Choose bundled photos through the file dialog's input."""
    page.locator("#files").set_input_files([EXAMPLES / f"{name}.jpg" for name in names])


def predict(page: Page, *names: str) -> None:
    """Choose and send."""
    choose(page, *names)
    page.locator("#predict").click()


def test_a_chosen_photo_is_shown_then_diagnosed(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "rust")
    expect(page.locator("#tray-list img")).to_be_visible()
    page.get_by_role("button", name="Predict").click()
    card = page.get_by_role("article", name="rust.jpg")
    expect(card.locator(".diagnosis")).to_have_text("Rust")
    expect(card.locator(".probability")).to_contain_text("93%")
    expect(card.locator(".own")).to_have_text(
        "The model's own confidence: 97%. A diagnosis needs a probability of 70%."
    )
    expect(card.locator(".advice")).to_contain_text("have an agronomist confirm it")
    expect(card.locator(".bars tr")).to_have_count(5)
    expect(card.locator(".bars tr").first).to_have_text("Rust93%")
    expect(card.locator("img")).to_be_visible()
    expect(page.locator("#tray")).to_be_hidden()


def test_the_bars_are_as_long_as_the_probabilities(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    track = page.locator(".best .track").bounding_box()
    bar = page.locator(".best .track span").bounding_box()
    assert track is not None
    assert bar is not None
    assert bar["width"] / track["width"] == pytest.approx(0.93, abs=0.01)


@pytest.mark.parametrize("example", ["healthy", "powdery-mildew", "rust"])
def test_an_example_goes_the_same_way_as_any_photo(open_page: OpenPage, stub: Stub, example: str) -> None:
    page = open_page()
    page.locator(f"[data-example={example}]").click()
    page.locator("#predict").click()
    expect(page.locator(".diagnosis")).to_have_count(1)
    assert [job["filename"] for job in stub.jobs.values()] == [f"{example}.jpg"]


def test_photos_may_be_dropped_anywhere(open_page: OpenPage) -> None:
    page = open_page()
    data = base64.b64encode((EXAMPLES / "rust.jpg").read_bytes()).decode()
    page.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
            dataTransfer.items.add(new File(["a"], "notes.txt", { type: "text/plain" }));
            document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer, bubbles: true }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        data,
    )
    expect(page.locator("#tray-list li")).to_have_text(["dropped.jpg×"])
    expect(page.locator("#refused")).to_have_text("notes.txt was left out: only PNG and JPEG photos are taken.")


def test_a_photo_can_be_left_out_again(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "rust", "healthy")
    expect(page.locator("#predict")).to_have_text("Predict 2 photos")
    page.get_by_role("button", name="Remove rust.jpg").click()
    expect(page.locator("#tray-list li")).to_have_count(1)
    expect(page.get_by_role("button", name="Remove healthy.jpg")).to_be_focused()
    expect(page.locator("#predict")).to_have_text("Predict")


def test_an_uncertain_answer_says_what_to_do(open_page: OpenPage, stub: Stub) -> None:
    stub.kind = "uncertain"
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".kind")).to_have_text("Not sure enough")
    expect(page.locator(".diagnosis")).to_have_text("Perhaps Rust")
    expect(page.locator(".advice")).to_contain_text("52% is less than the 70% it needs")


def test_hints_about_the_photo_stand_beside_the_answer_in_the_readers_language(open_page: OpenPage, stub: Stub) -> None:
    stub.hints = [
        {"code": "too_small", "value": 120, "limit": 180, "text": "as sent"},
        {"code": "from_the_future", "value": 1, "limit": 2, "text": "The photo is upside down."},
    ]
    page = open_page()
    predict(page, "rust")
    hints = page.locator(".hints li")
    expect(hints).to_contain_text(["120 pixels on its shorter side and the model looks at 180", "upside down"])
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    page.locator("[data-language=es]").click()
    expect(hints.first).to_contain_text("lado corto de la foto tiene 120 píxeles y el modelo mira 180")


def test_an_answer_that_may_be_none_of_the_models_business_says_so(open_page: OpenPage, stub: Stub) -> None:
    stub.kind = "uncertain"
    stub.verdict = {
        "reason_code": "perhaps_not_recognised",
        "not_recognised_probability": 0.42,
        "not_recognised_threshold": 0.6,
    }
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".hints")).to_be_hidden()
    expect(page.locator(".advice")).to_contain_text("a probability of 42%, and 60% would settle it")


def test_a_model_without_translations_shows_readable_names_and_a_general_line(open_page: OpenPage, stub: Stub) -> None:
    stub.bare_labels = True
    page = open_page()
    predict(page, "powdery-mildew")
    expect(page.locator(".diagnosis")).to_have_text("Powdery mildew")
    expect(page.locator(".advice")).to_contain_text("The model is sure enough to name this class")


def test_the_receipt_names_model_engine_and_times(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    page.get_by_text("Receipt").click()
    receipt = page.locator(".receipt dl")
    for text in (
        "leaf-health 2.0.0",
        "sha256 6f1d6f1d6f1d…",
        "openvino, f32",
        "differs by 0.0000012 at most, on 10 images",
        "44\u00a0ms",
    ):
        expect(receipt).to_contain_text(text)
