"""The client against a server that fails in every way: what is repeated, what is not, and what is said."""

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.photos import jpeg
from tests.turno.faulty_server import TICKET, Answer, Asked, Drop, FaultyServer, problem
from turno.client import JobFailed, NotTurno, Refused, TimedOut, Turno, Unreachable

QUEUED = {**TICKET, "status": "queued", "result": None, "version": 1}
FAILED = {**TICKET, "status": "failed", "result": None, "error": {"code": "worker-lost", "detail": "Gone.", "x": 1}}
SOON = {"Retry_After": "0"}
KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"


@pytest.fixture
def turno(server: FaultyServer) -> Iterator[Turno]:
    with Turno(server.url, KEY, timeout_seconds=5, retry_seconds=20) as turno:
        yield turno


FAULTS = [
    problem(503, "queue-full", **SOON),
    problem(429, "rate-exceeded", **SOON),
    Answer(502, text="<html>"),
    Answer(504, text=""),
    Drop(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["503", "429", "502", "504", "dropped"])
def test_an_upload_that_fails_for_now_is_sent_again_whole_and_under_the_same_key(
    server: FaultyServer, turno: Turno, tmp_path: Path, fault: Answer | Drop
) -> None:
    photo = tmp_path / "leaf.jpg"
    photo.write_bytes(jpeg())
    server.answer(fault, fault, Answer(202, TICKET))
    assert turno.submit(photo).id == TICKET["id"]
    assert len(server.asked) == 3
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    assert all(photo.read_bytes() in asked.body for asked in server.asked)
    assert all(asked.headers["content-length"] == str(len(asked.body)) for asked in server.asked)


def test_an_open_file_is_sent_from_where_it_stands_each_time(server: FaultyServer, turno: Turno) -> None:
    file = io.BytesIO(b"before" + jpeg())
    file.seek(6)
    server.answer(Drop(), Answer(202, TICKET))
    turno.submit(file)
    for asked in server.asked:
        assert jpeg() in asked.body
        assert b"before" not in asked.body


def test_two_submissions_have_two_keys(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(202, TICKET))
    turno.submit(jpeg())
    turno.submit(jpeg())
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 2


def test_what_was_asked_for_stands_in_the_form_before_the_file(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(202, TICKET))
    turno.submit(
        jpeg(), priority="batch", deadline_seconds=60, metadata={"tree": 7}, keep="nothing", idempotency_key="mine"
    )
    (asked,) = server.asked
    fields, _, _ = asked.body.partition(jpeg())
    for name, value in {
        "priority": "batch",
        "deadline_seconds": "60",
        "metadata": '{"tree": 7}',
        "keep": "nothing",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in fields
    assert asked.headers["idempotency-key"] == "mine"
    assert asked.headers["x-api-key"] == KEY


def test_an_own_id_is_put(server: FaultyServer, turno: Turno) -> None:
    server.answer(Drop(), Answer(202, TICKET))
    turno.submit(jpeg(), client_id="tree-7")
    assert [(asked.method, asked.path) for asked in server.asked] == [("PUT", "/v1/jobs/tree-7")] * 2


def test_retry_after_is_honoured(server: FaultyServer, turno: Turno) -> None:
    server.answer(problem(429, "rate-exceeded", Retry_After="1"), Answer(200, TICKET))
    begun = time.monotonic()
    turno.get("x")
    assert time.monotonic() - begun >= 1


def test_a_retry_after_beyond_our_patience_is_told_at_once(server: FaultyServer, turno: Turno) -> None:
    server.answer(problem(429, "quota-exceeded", Retry_After="3600"))
    with pytest.raises(Refused) as refusal:
        turno.submit(jpeg())
    assert len(server.asked) == 1
    assert refusal.value.retry_after_seconds == 3600


def test_patience_ends(server: FaultyServer) -> None:
    server.answer(Drop())
    with Turno(server.url, retry_seconds=0.5) as turno, pytest.raises(Unreachable, match="broke the connection"):
        turno.get("x")
    assert len(server.asked) > 1


@pytest.mark.parametrize("fault", [Drop(), problem(503, "store-unavailable", **SOON), Answer(502, text="")])
def test_a_retry_that_may_have_arrived_is_never_sent_twice(
    server: FaultyServer, turno: Turno, fault: Answer | Drop
) -> None:
    server.answer(fault, Answer(202, TICKET))
    with pytest.raises((Unreachable, Refused)):
        turno.retry("x")
    assert len(server.asked) == 1


def test_a_503_with_a_job_behind_it_is_not_repeated(server: FaultyServer, turno: Turno) -> None:
    server.answer(problem(503, "predict-timeout", Location="/v1/jobs/x", **SOON), Answer(200, TICKET))
    with pytest.raises(Refused):
        turno.get("x")
    assert len(server.asked) == 1


def test_a_refusal_tells_code_detail_and_request_id(server: FaultyServer, turno: Turno) -> None:
    server.answer(problem(415, "image-type-refused"))
    with pytest.raises(Refused) as refusal:
        turno.submit(b"GIF89a")
    told = refusal.value
    assert (told.status, told.code, told.detail, told.request_id) == (
        415,
        "image-type-refused",
        "Said image-type-refused.",
        "r1",
    )
    assert len(server.asked) == 1


def test_the_key_goes_to_no_other_address(server: FaultyServer, turno: Turno) -> None:
    with FaultyServer().running() as other:
        other.answer(Answer(200, TICKET))
        server.answer(Answer(307, headers={"Location": f"{other.url}/v1/jobs/x"}))
        with pytest.raises(NotTurno, match="redirects to"):
            turno.get("x")
        server.answer(
            Answer(200, {"jobs": [TICKET], "next": f"{other.url}/v1/jobs?cursor=c"}),
            Answer(200, {"jobs": [TICKET], "next": None}),
        )
        assert len(list(turno.jobs(status="succeeded"))) == 2
        assert server.asked[-1].path == "/v1/jobs?cursor=c"
        assert other.asked == []


@pytest.mark.parametrize(
    "answer", [Answer(200, text=""), Answer(200, text="<html>hello"), Answer(200, {"id": "x"}), Answer(200, ["x"])]
)
def test_an_answer_that_is_not_turnos_is_no_ticket(server: FaultyServer, turno: Turno, answer: Answer) -> None:
    server.answer(answer)
    with pytest.raises(NotTurno):
        turno.submit(jpeg())


def test_nobody_there_is_said_in_a_sentence() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{probe.getsockname()[1]}"
        with Turno(url, retry_seconds=0) as turno, pytest.raises(Unreachable, match="cannot be reached") as error:
            turno.models()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(("url", "key"), [("localhost:8000", None), ("ftp://host", None), ("http://host", "schlüssel")])
def test_what_cannot_be_an_address_or_a_key_is_refused_before_anything_is_sent(url: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=r"not an address|no key of Turno"):
        Turno(url, key)


def test_a_result_is_waited_for(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(200, QUEUED, {"Retry-After": "1"}), Answer(200, TICKET))
    begun = time.monotonic()
    result = turno.result("x")
    assert time.monotonic() - begun >= 1  # the first answer had not waited: it is asked again when it said
    assert (result.predicted_class, result.probabilities) == ("rust", {"healthy": 0.1, "rust": 0.9})
    assert result.verdict is not None
    assert result.verdict.label == "rust"
    assert server.asked[0].headers["prefer"] == "wait=30"


def test_a_job_without_a_result_is_an_error_with_its_code(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(200, FAILED))
    with pytest.raises(JobFailed, match=r"Gone\.") as error:
        turno.result("x")
    assert error.value.code == "worker-lost"
    server.answer(Answer(200, {**FAILED, "status": "canceled", "error": None}))
    with pytest.raises(JobFailed) as error:
        turno.result("x")
    assert error.value.code == "canceled"


def test_waiting_ends_in_time_with_the_ticket_at_hand(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(200, QUEUED, {"Retry-After": "30"}))
    with pytest.raises(TimedOut) as error:
        turno.wait("x", timeout_seconds=0.3)
    assert error.value.job.id == TICKET["id"]


def test_a_cancellation_whose_answer_was_lost_is_no_error(server: FaultyServer, turno: Turno) -> None:
    server.answer(Drop(), problem(409, "move-refused"), Answer(200, {**FAILED, "status": "canceled"}))
    assert turno.cancel("x").status == "canceled"
    server.answer(problem(409, "move-refused"), Answer(200, TICKET))
    with pytest.raises(Refused):
        turno.cancel("x")


def test_an_erasure_whose_answer_was_lost_is_no_error(server: FaultyServer, turno: Turno) -> None:
    def gone(asked: Asked) -> Answer:
        return problem(410, "job-erased")

    server.answer(Drop(), gone)
    turno.erase("x")
    assert [asked.method for asked in server.asked] == ["DELETE", "DELETE"]


def test_who_is_to_be_told_stands_in_the_form(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(202, TICKET))
    turno.submit(jpeg(), webhook_url="https://example.org/turno", webhook_events=["job.started", "job.failed"])
    turno.submit(jpeg(), webhook_url="https://example.org/turno")
    told, told_of_the_end = (asked.body.partition(jpeg())[0] for asked in server.asked)
    assert b'name="webhook_url"\r\n\r\nhttps://example.org/turno\r\n' in told
    assert b'name="webhook_events"\r\n\r\njob.started,job.failed\r\n' in told
    assert b'name="webhook_url"' in told_of_the_end
    assert b"webhook_events" not in told_of_the_end


def test_a_webhooks_secret_is_fetched(server: FaultyServer, turno: Turno) -> None:
    server.answer(Answer(200, {"secret": "whsec_1"}))
    assert turno.webhook_secret() == "whsec_1"
    turno.webhook_secret("a/b")
    assert [asked.path for asked in server.asked] == ["/v1/webhooks/default/secret", "/v1/webhooks/a%2Fb/secret"]
    server.answer(Answer(200, {"hello": "world"}))
    with pytest.raises(NotTurno):
        turno.webhook_secret()
