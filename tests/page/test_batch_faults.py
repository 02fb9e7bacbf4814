"""Several photos chosen at once, and some or all of them do not arrive."""

from pathlib import Path

from playwright.sync_api import expect

from tests.page.conftest import EXAMPLES, OpenPage
from tests.page.stub import Refusal, Stub
from tests.page.test_batches import BATCHES, answered, predict_files, sentence
from tests.page.test_predict import predict


def test_a_file_that_is_refused_says_so_on_its_own_card(open_page: OpenPage, stub: Stub, tmp_path: Path) -> None:
    page = open_page()
    predict_files(page, tmp_path, "rust.jpg", "cut.jpg", "healthy.jpg")
    problem = page.get_by_role("article", name="cut.jpg").locator(".problem")
    expect(problem).to_contain_text("The photo is damaged or incomplete.")
    expect(problem).to_contain_text("cut.jpg is cut off.")
    expect(sentence(page)).to_have_text("Answered: 2 of 3 photos.")
    expect(page.get_by_role("article", name="healthy.jpg").locator(".diagnosis")).to_have_text("Healthy")
    expect(page.get_by_role("button", name="Send the rest again")).to_be_hidden()


def test_when_no_file_is_any_good_each_card_says_why(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    predict_files(page, tmp_path, "cut-1.jpg", "cut-2.jpg")
    for name in ("cut-1.jpg", "cut-2.jpg"):
        expect(page.get_by_role("article", name=name).locator(".problem")).to_contain_text(f"{name} is cut off.")
    expect(sentence(page)).to_have_text("Answered: 0 of 2 photos.")


def test_a_lost_answer_does_not_make_two_batches(open_page: OpenPage, stub: Stub) -> None:
    stub.lose_answers = 1
    page = open_page()
    predict(page, "rust", "healthy")
    expect(sentence(page)).to_contain_text("Trying again in 1\u00a0s.")
    expect(answered(page)).to_have_count(2)
    first, second = stub.posts(BATCHES)
    assert first["idempotency-key"] == second["idempotency-key"]
    assert len(stub.jobs) == 2


def test_a_request_that_is_too_large_for_a_proxy_goes_in_halves(
    open_page: OpenPage, stub: Stub, tmp_path: Path
) -> None:
    stub.most_batch_bytes = 3_000
    page = open_page()
    predict_files(page, tmp_path, *(f"rust-{index}.jpg" for index in range(12)))
    expect(sentence(page)).to_have_text("All 12 photos are answered.")
    expect(answered(page)).to_have_count(12)
    assert [batch["total"] for batch in stub.batches.values()] == [3, 3, 3, 3]


def test_a_batch_that_failed_as_a_whole_is_sent_again_as_a_whole(open_page: OpenPage, stub: Stub) -> None:
    stub.refusals.append(Refusal("POST", 500, "internal-error", "In the server's words."))
    page = open_page()
    predict(page, "rust", "healthy", "powdery-mildew")
    expect(page.locator(".sending .fault")).to_contain_text("Something went wrong inside the service.")
    page.get_by_role("button", name="Put this ticket away: rust.jpg").click()
    page.get_by_role("button", name="Send the rest again").click()
    expect(sentence(page)).to_have_text("All 2 photos are answered.")
    assert {job["filename"] for job in stub.jobs.values()} == {"healthy.jpg", "powdery-mildew.jpg"}
    assert len({headers["idempotency-key"] for headers in stub.posts(BATCHES)}) == 2


def test_a_file_that_vanished_stays_out_and_the_others_go(open_page: OpenPage, stub: Stub, tmp_path: Path) -> None:
    page = open_page()
    for name in ("rust", "healthy", "powdery-mildew"):
        (tmp_path / f"{name}.jpg").write_bytes((EXAMPLES / f"{name}.jpg").read_bytes())
    page.locator("#files").set_input_files(sorted(tmp_path.glob("*.jpg")))
    (tmp_path / "rust.jpg").unlink()
    page.locator("#predict").click()
    expect(answered(page)).to_have_count(2)
    expect(page.get_by_role("article", name="rust.jpg").locator(".problem")).to_contain_text("Choose it again.")
    expect(sentence(page)).to_have_text("Answered: 2 of 3 photos.")


def test_an_erased_batch_says_so_on_each_card(open_page: OpenPage, stub: Stub) -> None:
    stub.hold = True
    page = open_page()
    predict(page, "rust", "healthy")
    expect(sentence(page)).to_contain_text("0 of 2 done")
    stub.erased.update(stub.jobs)
    stub.jobs.clear()
    stub.batches.clear()
    expect(page.locator(".problem:visible")).to_contain_text(["This ticket's photo and answer have been erased."] * 2)
