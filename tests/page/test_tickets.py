"""Tickets in line, canceled, run again, erased, and kept over a reload."""

from playwright.sync_api import expect

from tests.page.conftest import OpenPage
from tests.page.stub import Stub
from tests.page.test_predict import predict


def only_id(stub: Stub) -> str:
    """The id of the one job there is."""
    (job_id,) = stub.jobs
    return job_id


def test_a_ticket_advances_in_line_to_its_answer(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    place = page.locator(".place")
    expect(place).to_contain_text("Next in line, a moment")
    expect(page.locator("[aria-current]")).to_have_text("In line")
    stub.release()
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    expect(place).to_be_hidden()


def test_the_place_in_line_counts_down(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("Next in line")
    predict(page, "healthy")
    second = page.get_by_role("article", name="healthy.jpg").locator(".place")
    expect(second).to_contain_text("1 photo before yours, a moment")
    job_id = list(stub.jobs)[1]
    stub.move(job_id, 7, 300.0)
    expect(second).to_contain_text("7 photos before yours, about 5\u00a0min")
    stub.move(job_id, 0, 20.0)
    expect(second).to_contain_text("Next in line, about 20\u00a0s", timeout=15_000)


def test_a_ticket_can_leave_the_line_and_come_back(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    page.get_by_role("button", name="Leave the line: rust.jpg").click()
    expect(page.locator(".problem")).to_contain_text("You left the line")
    stub.hold = False
    page.get_by_role("button", name="Run again: rust.jpg").click()
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    assert stub.jobs[only_id(stub)]["run"] == 2


def test_leaving_too_late_is_said_and_the_answer_comes(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("Next in line")
    stub.jobs[only_id(stub)]["status"] = "running"
    page.get_by_role("button", name="Leave the line: rust.jpg").click()
    expect(page.locator(".problem")).to_contain_text("Too late for that")
    stub.jobs[only_id(stub)]["status"] = "queued"
    stub.release()
    expect(page.locator(".diagnosis")).to_have_text("Rust")
    expect(page.locator(".problem")).to_be_hidden()


def test_a_failed_job_says_why(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".place")).to_contain_text("Next in line")
    error = {"code": "model-fault", "title": "t", "detail": "The model's outputs are not finite numbers."}
    stub.jobs[only_id(stub)].update(status="failed", error=error, version=3)
    expect(page.locator(".problem")).to_contain_text("The model gave no usable answer for this photo.")
    expect(page.locator(".problem")).to_contain_text("not finite numbers")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()


def test_unfinished_tickets_are_watched_again_after_a_reload(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".number")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article", name="rust.jpg").locator(".place")).to_contain_text("Next in line")
    stub.release()
    expect(page.locator(".diagnosis")).to_have_text("Rust")


def test_finished_tickets_are_listed_and_opened_again(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_be_visible()
    expect(page.locator("#earlier")).to_be_hidden()
    page.reload()
    page.get_by_role("button", name="Open the ticket of rust.jpg").click()
    card = page.get_by_role("article", name="rust.jpg")
    expect(card.locator(".diagnosis")).to_have_text("Rust")
    expect(card).to_be_focused()
    expect(page.locator("#earlier")).to_be_hidden()


def test_what_the_browser_keeps_holds_no_photo_and_no_key(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_be_visible()
    kept = page.evaluate("JSON.parse(localStorage.getItem('turno.tickets'))")
    job_id = only_id(stub)
    assert kept == [{"id": job_id, "name": "rust.jpg", "at": "2026-11-22T02:00:00.000Z", "open": False}]
    assert page.evaluate("Object.keys(localStorage)") == ["turno.tickets"]


def test_erased_and_unknown_tickets_say_so(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    predict(page, "rust", "healthy")
    expect(page.locator(".diagnosis")).to_have_count(2)
    rust, healthy = sorted(stub.jobs, key=lambda job_id: stub.jobs[job_id]["filename"], reverse=True)
    page.reload()
    del stub.jobs[healthy]
    stub.erased.add(rust)
    page.get_by_role("button", name="Open the ticket of rust.jpg").click()
    page.get_by_role("button", name="Open the ticket of healthy.jpg").click()
    rows = page.locator("#earlier-list")
    expect(rows).to_contain_text("This ticket's photo and answer have been erased.")
    expect(rows).to_contain_text("The server does not know this ticket.")
    page.get_by_role("button", name="Remove rust.jpg from this list").click()
    expect(rows.locator("li")).to_have_count(1)


def test_erasing_asks_once_more_and_erases_on_the_server(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_be_visible()
    job_id = only_id(stub)
    page.get_by_role("button", name="Erase: rust.jpg").click()
    assert stub.erased == set()
    page.get_by_role("button", name="Erase for good?: rust.jpg").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#tickets-title")).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("rust.jpg: photo and answer erased.")
    assert stub.erased == {job_id}
    page.reload()
    expect(page.locator("#earlier")).to_be_hidden()


def test_an_earlier_ticket_is_erased_from_the_list(open_page: OpenPage, stub: Stub) -> None:
    page = open_page()
    predict(page, "rust")
    expect(page.locator(".diagnosis")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Erase: rust.jpg").click()
    page.get_by_role("button", name="Erase for good?: rust.jpg").click()
    expect(page.locator("#earlier")).to_be_hidden()
    assert len(stub.erased) == 1


def test_a_ticket_put_away_moves_to_the_list(open_page: OpenPage) -> None:
    page = open_page()
    predict(page, "rust")
    page.get_by_role("button", name="Put this ticket away: rust.jpg").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#earlier-list li")).to_have_count(1)
    page.get_by_role("button", name="Clear list").click()
    expect(page.locator("#earlier")).to_be_hidden()
