"""Several photos chosen at once: one request, one line that says how far they are, a card for each."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import OpenPage
from tests.page.stub import KEY, Stub, finish
from tests.page.test_everyone import PHONE
from tests.page.test_predict import choose, predict
from tests.photos import jpeg
from tests.waiting import wait_for

BATCHES = "/v1/batches"


def predict_files(page: Page, folder: Path, *names: str) -> None:
    """Choose and send files of these names, each another picture."""
    for index, name in enumerate(names):
        (folder / name).write_bytes(jpeg(color=(index % 256, 140, 40)))
    page.locator("#files").set_input_files([folder / name for name in names])
    page.locator("#predict").click()


def sentence(page: Page) -> Locator:
    """The line above the cards."""
    return page.locator(".sending-sentence")


def answered(page: Page) -> Locator:
    """The cards with an answer."""
    return page.locator(".card[data-phase=succeeded]")


def test_several_photos_go_in_one_request_and_are_asked_after_together(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    predict(page, "rust", "healthy", "powdery-mildew")
    for name, diagnosis in (("rust", "Rust"), ("healthy", "Healthy"), ("powdery-mildew", "Powdery mildew")):
        expect(page.get_by_role("article", name=f"{name}.jpg").locator(".diagnosis")).to_have_text(diagnosis)
    expect(sentence(page)).to_have_text("All 3 photos are answered.")
    assert len(stub.posts(BATCHES)) == 1
    assert len(stub.posts(BATCHES)[0]["idempotency-key"]) == 32
    assert stub.posts() == []
    assert [path for _, path, _ in stub.seen if path.startswith("/v1/jobs/")] == []


def test_many_photos_go_in_batches_of_a_hundred_one_after_the_other(
    open_page: OpenPage, stub: Stub, tmp_path: Path
) -> None:
    stub.upload_seconds = 0.2
    page = open_page()
    predict_files(page, tmp_path, *(f"rust-{index}.jpg" for index in range(230)))
    expect(sentence(page)).to_have_text("All 230 photos are answered.", timeout=30_000)
    expect(answered(page)).to_have_count(230)
    assert [batch["total"] for batch in stub.batches.values()] == [100, 100, 30]
    assert len({headers["idempotency-key"] for headers in stub.posts(BATCHES)}) == 3
    assert stub.most_uploading == 1
    assert [job["filename"] for job in stub.jobs.values()] == [f"rust-{index}.jpg" for index in range(230)]
    assert page.locator(".card-head h3").all_text_contents() == [f"rust-{index}.jpg" for index in range(230)]
    assert sum(method == "GET" and path == "/v1/jobs" for method, path, _ in stub.seen) == 3


def test_large_photos_go_in_batches_that_proxies_let_through(open_page: OpenPage, stub: Stub, tmp_path: Path) -> None:
    page = open_page()
    for index in range(5):
        (tmp_path / f"rust-{index}.jpg").write_bytes(jpeg() + bytes(30_000_000))
    page.locator("#files").set_input_files(sorted(tmp_path.glob("*.jpg")))
    page.locator("#predict").click()
    expect(sentence(page)).to_have_text("All 5 photos are answered.", timeout=60_000)
    assert [batch["total"] for batch in stub.batches.values()] == [3, 2]


def test_the_line_counts_what_is_done_and_the_cards_follow(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust", "healthy", "powdery-mildew")
    expect(sentence(page)).to_have_text("0 of 3 done, about 20\u00a0s left")
    expect(page.get_by_role("article", name="healthy.jpg").locator(".place")).to_contain_text("1 photo before yours")
    finish(next(iter(stub.jobs.values())), stub)
    stub.eta_seconds = 1
    expect(sentence(page)).to_have_text("1 of 3 done, a moment left")
    expect(page.get_by_role("progressbar", name="1 of 3 done")).to_have_attribute("value", "1")
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    stub.release()
    expect(sentence(page)).to_have_text("All 3 photos are answered.")
    expect(answered(page)).to_have_count(3)


def test_a_place_in_line_moves_though_nothing_of_the_batch_has_ended(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust", "healthy")
    place = page.get_by_role("article", name="healthy.jpg").locator(".place")
    expect(place).to_contain_text("1 photo before yours")
    stub.move(list(stub.jobs)[1], 7, 300.0)
    expect(place).to_contain_text("7 photos before yours, about 5\u00a0min")


def test_it_is_asked_again_when_the_server_says(open_page: OpenPage, stub: Stub) -> None:
    stub.hold, stub.retry_after_seconds = True, 3
    page = open_page()
    predict(page, "rust", "healthy")
    wait_for(lambda: len(stub.looks) >= 3, "three questions")
    assert stub.looks[1] - stub.looks[0] >= 2.9
    assert stub.looks[2] - stub.looks[1] >= 2.9


def test_all_can_be_canceled_at_once(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust", "healthy", "powdery-mildew")
    expect(sentence(page)).to_contain_text("0 of 3 done")
    finish(next(iter(stub.jobs.values())), stub)
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator(".problem:visible")).to_have_text(["You left the line; this photo was not judged."] * 2)
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    expect(sentence(page)).to_have_text("Answered: 1 of 3 photos.")
    expect(page.locator(".sending")).to_be_focused()
    page.get_by_role("button", name="Put this line away").click()
    expect(page.locator(".sending")).to_have_count(0)
    expect(page.locator("#tickets-title")).to_be_focused()


def test_what_is_not_sent_yet_is_not_sent_any_more(open_page: OpenPage, stub: Stub) -> None:
    stub.upload_seconds = 600
    page = open_page()
    predict(page, "rust", "healthy")
    wait_for(lambda: stub.uploading == 1, "an upload")
    expect(sentence(page)).to_have_text("Sending 2 photos")
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator(".problem:visible")).to_have_text(["This photo was not sent."] * 2)
    assert stub.jobs == {}
    stub.upload_seconds = 0
    page.get_by_role("button", name="Try again: rust.jpg").click()
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    assert len(stub.jobs) == 1
    predict(page, "healthy", "powdery-mildew")  # they need not wait for the upload that was broken off
    expect(answered(page)).to_have_count(3)


def test_a_batch_is_watched_again_after_a_reload(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust", "healthy", "powdery-mildew")
    expect(sentence(page)).to_contain_text("0 of 3 done")
    finish(next(iter(stub.jobs.values())), stub)
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    page.reload()
    expect(sentence(page)).to_contain_text("1 of 3 done")
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("#earlier-list li")).to_have_count(1)
    stub.release()
    expect(sentence(page)).to_have_text("All 3 photos are answered.")
    expect(answered(page)).to_have_count(2)
    assert [path for _, path, _ in stub.seen if path.startswith("/v1/jobs/")] == []
    page.reload()
    expect(page.locator("#earlier-list li")).to_have_count(3)
    expect(page.locator(".sending")).to_have_count(0)


@pytest.mark.parametrize("count", [3, 120])
def test_results_are_saved_as_files_with_the_key(open_page: OpenPage, stub: Stub, tmp_path: Path, count: int) -> None:
    stub.key = KEY
    page = open_page()
    page.evaluate(f"sessionStorage.setItem('turno.key', {json.dumps(KEY)})")
    page.reload()
    names = [f"rust, {index}.jpg" for index in range(count)]
    predict_files(page, tmp_path, *names)
    expect(sentence(page)).to_have_text(f"All {count} photos are answered.")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Results as JSON").click()
    assert saved.value.suggested_filename.endswith(".json")
    results = json.loads(saved.value.path().read_text(encoding="utf-8"))["results"]
    assert [(row["index"], row["filename"]) for row in results] == list(enumerate(names))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Results as CSV").click()
    assert saved.value.suggested_filename.startswith("turno-2")
    lines = saved.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("index,filename")
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(count))


def test_a_screen_reader_hears_the_line_and_not_every_card(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust", "healthy")
    announcer = page.get_by_role("log")
    expect(announcer).to_contain_text("All 2 photos are answered.")
    expect(announcer).not_to_contain_text("probability")


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_a_phone_shows_the_line_in_the_reader_s_language(open_page: OpenPage, stub: Stub, locale: str) -> None:
    stub.hold = True
    page = open_page(**PHONE, locale=locale)
    predict(page, "rust", "healthy")
    spanish = locale.startswith("es")
    expect(sentence(page)).to_contain_text("0 de 2 listas, todavía unos 20" if spanish else "0 of 2 done, about 20")
    stub.release()
    expect(sentence(page)).to_have_text("Las 2 fotos tienen respuesta." if spanish else "All 2 photos are answered.")
    choose(page, "rust")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    small = page.evaluate(
        "[...document.querySelectorAll('.sending button')].filter((e) => e.checkVisibility())"
        ".filter((e) => Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width) < 44)"
        ".map((e) => e.outerHTML)"
    )
    assert small == []
