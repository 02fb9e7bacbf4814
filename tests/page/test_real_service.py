"""The page with the whole service behind it: real API, Redis, worker and model."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import StackFactory, shared_stack
from tests.page.conftest import EXAMPLES as PHOTOS
from tests.page.conftest import OpenPage
from tests.page.stub import KEY
from tests.stack import Stack
from tests.waiting import wait_for

EXAMPLES = {"healthy": "healthy", "powdery-mildew": "powdery_mildew", "rust": "rust"}


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One that asks for no key and takes the examples at most, for tests of which each says what runs of it."""
    with shared_stack(request, UPLOAD_MAX_BYTES="100000") as stack:
        yield stack


@pytest.fixture
def without_a_worker(service: Stack) -> Stack:
    service.have("redis", "api", "courier")
    wait_for(lambda: not service.ready(), "a worker of before to be forgotten")
    return service


@pytest.mark.timeout(240)
def test_what_is_no_image_is_refused_in_plain_words(
    without_a_worker: Stack, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(without_a_worker.url)
    refused = {
        "cut.jpg": (b"\xff\xd8\xff\xe0" + b"0" * 500, "damaged or incomplete"),
        "text.png": (b"no image at all", "Only PNG and JPEG"),
        "huge.jpg": (b"\xff\xd8\xff\xe0" + b"0" * 20_000_000, "too large"),
    }
    for name, (content, _) in refused.items():
        (tmp_path / name).write_bytes(content)
    page.locator("#files").set_input_files([tmp_path / name for name in refused])
    page.locator("#predict").click()
    for name, (_, sentence) in refused.items():
        expect(page.get_by_role("article", name=name).locator(".problem")).to_contain_text(sentence, timeout=20_000)


@pytest.mark.timeout(240)
def test_photos_in_line_are_watched_over_a_reload_and_canceled_together(
    without_a_worker: Stack, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(without_a_worker.url)
    photos = [PHOTOS / f"{example}.jpg" for example in EXAMPLES]
    (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:5_000])
    page.locator("#files").set_input_files([*photos, tmp_path / "cut.jpg"])
    page.locator("#predict").click()
    expect(page.locator(".sending-sentence")).to_contain_text("1 of 4 done")
    expect(page.get_by_role("article", name="cut.jpg").locator(".problem")).to_contain_text("damaged or incomplete")
    page.reload()
    expect(page.locator(".sending-sentence")).to_contain_text("1 of 4 done")
    expect(page.locator(".card .place")).to_contain_text(["In line", "1 photo before yours", "2 photos before yours"])
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator(".problem:visible")).to_have_text(["You left the line; this photo was not judged."] * 3)
    expect(page.locator(".sending-sentence")).to_have_text("Answered: 0 of 4 photos.")


@pytest.mark.timeout(240)
def test_photos_sent_before_a_worker_is_there_are_answered_once_it_is(
    without_a_worker: Stack, open_page: OpenPage
) -> None:
    stack = without_a_worker
    page = open_page(stack.url)
    expect(page.locator("#banner")).to_contain_text("The model is being prepared.")
    page.locator("[data-example=rust]").click()
    page.locator("#predict").click()
    expect(page.locator(".place")).to_contain_text("In line. The model is being prepared.")
    stack.start("worker")
    expect(page.locator(".diagnosis")).to_be_visible(timeout=60_000)
    expect(page.locator("#banner")).to_be_hidden(timeout=15_000)


@pytest.mark.timeout(240)
def test_each_example_is_diagnosed_rightly(service: Stack) -> None:
    stack = service.have()
    for example, label in EXAMPLES.items():
        photo = (PHOTOS / f"{example}.jpg").read_bytes()
        verdict = stack.ended(stack.submit(photo)["id"])["result"]["verdict"]
        assert (example, verdict["kind"], verdict["class"]) == (example, "diagnosed", label)


@pytest.mark.timeout(240)
def test_photos_go_with_a_key_and_are_answered_reopened_and_erased(
    make_stack: StackFactory, open_page: OpenPage
) -> None:
    stack = make_stack(API_KEY=KEY).start()
    page = open_page(stack.url)
    for example in EXAMPLES:
        page.locator(f"[data-example={example}]").click()
    expect(page.locator("#tray-list li")).to_have_count(3)
    page.locator("#predict").click()
    page.get_by_label("API key").fill("wrong" * 8)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This key was not accepted.")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    for example in EXAMPLES:
        card = page.get_by_role("article", name=f"{example}.jpg")
        expect(card.locator(".diagnosis")).to_be_visible(timeout=30_000)
        expect(card.locator(".bars tr")).to_have_count(5)
        expect(card.locator(".bars")).to_contain_text("Not a leaf")
    expect(page.locator(".sending-sentence")).to_have_text("All 3 photos are answered.")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Results as CSV").click()
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["filename"], row["predicted_class"]) for row in rows] == [
        (f"{example}.jpg", label) for example, label in EXAMPLES.items()
    ]
    page.reload()
    page.get_by_role("button", name="Open the ticket of rust.jpg").click()
    card = page.get_by_role("article", name="rust.jpg")
    card.get_by_role("button", name="Erase: rust.jpg").click()
    card.get_by_role("button", name="Erase for good?: rust.jpg").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#earlier-list li")).to_have_count(2)
