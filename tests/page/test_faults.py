"""Keys, refusals, a model in preparation, and a server that is gone: each said plainly."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.stub import KEY, Refusal, Stub
from tests.page.test_predict import predict

FINAL = [
    (400, "malformed-request", "The server did not understand what was sent."),
    (403, "host-refused", "answers only on its own machine"),
    (413, "upload-too-large", "too large for this service"),
    (415, "image-type-refused", "Only PNG and JPEG photos are taken."),
    (422, "image-undecodable", "The photo is damaged or incomplete."),
    (422, "image-too-many-pixels", "more pixels than this service reads"),
    (500, "internal-error", "Something went wrong inside the service."),
    (418, "never-heard-of", "The service refused this."),
]


def give(page: Page, key: str) -> None:
    """Type a key and send it off."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()


@pytest.mark.parametrize(("status", "code", "sentence"), FINAL, ids=[code for _, code, _ in FINAL])
def test_a_refusal_is_said_plainly_with_the_server_s_words_beside(
    open_page: OpenPage, stub: Stub, status: int, code: str, sentence: str
) -> None:
    stub.refusals.append(Refusal("POST", status, code, "In the server's words."))
    page = open_page()
    predict(page, "rust")
    problem = page.locator(".problem")
    expect(problem).to_contain_text(sentence)
    expect(problem).to_contain_text("In the server's words. · Request r-1")
    page.get_by_role("button", name="Try again: rust.jpg").click()
    expect(page.locator(".diagnosis")).to_have_text("Rust")


@pytest.mark.parametrize("code", ["store-unavailable", "storage-full"])
def test_what_may_pass_is_tried_again_when_the_server_says(open_page: OpenPage, stub: Stub, code: str) -> None:
    stub.refusals.append(Refusal("POST", 503, code, headers={"Retry-After": "2"}))
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("Trying again in 2\u00a0s.")
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    first, second = stub.posts()
    assert first["idempotency-key"] == second["idempotency-key"]


def test_a_server_that_goes_away_is_said_and_met_again(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("Next in line")
    stub.down = True
    page.reload()
    expect(page.locator("#banner")).to_have_text(
        "The server does not answer. Check your connection; this page keeps trying."
    )
    expect(page.locator(".place")).to_contain_text("Trying again in")
    stub.down = False
    stub.release()
    expect(page.locator(".diagnosis")).to_have_text("Rust", timeout=15_000)
    expect(page.locator("#banner")).to_be_hidden()


def test_no_network_is_said_and_the_upload_follows_when_it_is_back(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#state")).to_have_text("Ready")
    page.context.set_offline(True)
    expect(page.locator("#state")).to_have_text("Not reachable")
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("The server does not answer. Trying again in")
    page.context.set_offline(False)
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    expect(page.locator("#state")).to_have_text("Ready")


def test_while_the_model_is_prepared_photos_wait_in_line(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    stub.checks["worker"] = "no worker has loaded the model yet"
    page = open_page()
    expect(page.locator("#banner")).to_have_text(
        "The model is being prepared. You can send photos already: they wait in line."
    )
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("In line. The model is being prepared.")
    stub.checks["worker"] = "ok"
    stub.release()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(".diagnosis")).to_have_text("Rust")


def test_other_trouble_is_told_apart(open_page: OpenPage, stub: Stub) -> None:
    stub.checks["line"] = "Redis does not answer"
    page = open_page()
    expect(page.locator("#banner")).to_contain_text("The line is being restored.")
    stub.checks["database"] = "the database does not answer"
    expect(page.locator("#banner")).to_contain_text("cannot take photos right now")


def test_the_key_is_asked_for_once_and_a_wrong_one_is_said(open_page: OpenPage, stub: Stub) -> None:
    stub.key = KEY
    page = open_page()
    expect(page.get_by_role("dialog")).to_be_hidden()
    predict(page, "rust", "healthy")
    dialog = page.get_by_role("dialog", name="This service needs a key")
    expect(page.get_by_label("API key")).to_be_focused()
    give(page, "not-the-key")
    expect(dialog.get_by_role("alert")).to_contain_text("This key was not accepted.")
    give(page, "clé")
    expect(dialog.get_by_role("alert")).to_contain_text("This key was not accepted.")
    give(page, f" {KEY} ")
    expect(dialog).to_be_hidden()
    expect(page.locator(".diagnosis")).to_have_count(2)
    assert page.evaluate("Object.entries(sessionStorage)") == [["turno.key", KEY]]
    assert KEY not in page.evaluate("JSON.stringify(localStorage)")
    page.reload()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_have_count(1)
    expect(dialog).to_be_hidden()


def test_without_a_key_the_photo_waits_for_another_try(open_page: OpenPage, stub: Stub) -> None:
    stub.key = KEY
    page = open_page()
    predict(page, "rust")
    page.get_by_role("button", name="Not now").click()
    expect(page.locator(".problem")).to_contain_text("A valid key is needed.")
    page.get_by_role("button", name="Try again: rust.jpg").click()
    give(page, KEY)
    expect(page.locator(".diagnosis")).to_have_text("Rust")


def test_a_key_that_was_revoked_is_said(open_page: OpenPage, stub: Stub) -> None:
    stub.key = KEY
    page = open_page()
    page.get_by_role("button", name="Key").click()
    give(page, KEY)
    expect(page.get_by_role("dialog")).to_be_hidden()
    stub.key = KEY[::-1]
    predict(page, "rust")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text(
        "The key you used before is not accepted any more."
    )
    give(page, KEY[::-1])
    expect(page.locator(".diagnosis")).to_have_text("Rust")
