"""One attempt: what is sent, and that no answer, and no lack of one, does more than end it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.hooks import Attempt
from tests.receiver import (
    Answer,
    End,
    Receiver,
    answer,
    dripping_body,
    dripping_headers,
    drop,
    endless_body,
    endless_continues,
    endless_headers,
    garbage,
    gzip_bomb,
    half_an_answer,
    hang,
    huge_headers,
    redirect,
    reset,
)
from tests.waiting import wait_for
from tests.worker.attempts import BODY, HEADERS, attempt, failure, sender

SECRET = "/secret-path?token=secret"
_OK = b"HTTP/1.1 200 OK\r\n"


def test_a_delivery_arrives_byte_for_byte() -> None:
    with Receiver() as receiver:
        made = attempt(receiver.url + "/a%20b/?x=1&y=%2F?")
    assert made.succeeded
    assert made.status == 200
    [received] = receiver.requests
    assert (received.method, received.target) == ("POST", "/hook/a%20b/?x=1&y=%2F?")
    assert received.body == BODY.encode()
    assert received.headers == {
        **HEADERS,
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY.encode())),
        "user-agent": "Turno/0.1.0",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_an_attempt_says_when_it_was_made_and_how_long_it_took() -> None:
    before = datetime.now(UTC)
    with Receiver() as receiver:
        receiver.answer_with(answer(204, after_seconds=0.2))
        made = attempt(receiver.url)
    assert before <= made.at <= receiver.requests[0].at
    assert made.at.utcoffset() == timedelta(0)
    assert made.latency_ms >= 200
    assert made == Attempt(made.at, made.latency_ms, 204)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with Receiver() as elsewhere, Receiver() as receiver:
        receiver.answer_with(redirect(elsewhere.url, status))
        made = attempt(receiver.url)
    assert (made.status, made.error, made.succeeded) == (status, "redirects are not followed", False)
    assert elsewhere.connections == 0


def test_a_refusal_is_told_with_its_body_and_its_wish() -> None:
    with Receiver() as receiver:
        receiver.answer_with(answer(503, b"closed for\nlunch", {"RETRY-after": "1800"}))
        made = attempt(receiver.url)
    assert made == Attempt(made.at, made.latency_ms, 503, "answered 503", "closed for lunch", 1800)


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (hang(), None, "no answer within 0.5 s"),
        (Answer(_OK, end=End.HANG), None, "no answer within 0.5 s"),
        (Answer(unasked=True, end=End.HANG), None, "no answer within 0.5 s"),
        (dripping_headers(), None, "no answer within 0.5 s"),
        (Answer(again=b"HTTP/1.1 100 Continue\r\n\r\n", every_seconds=0.05), None, "no answer within 0.5 s"),
        (dripping_body(), 200, "no complete answer within 0.5 s"),
        (dripping_body(500), 500, "no complete answer within 0.5 s"),
        (half_an_answer(), 200, "the answer is incomplete"),
        (Answer(_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 200, "the answer is incomplete"),
        (Answer(_OK + b"Content-Le"), None, "the connection was closed without an answer"),
        (drop(), None, "the connection was closed without an answer"),
        (reset(), None, "connection reset by peer"),
        (endless_headers(), None, "the answer's headers are too long"),
        (endless_continues(), None, "the answer's headers are too long"),
        (huge_headers(), None, "the answer's headers are too long"),
        (Answer(again=b"a" * 10_000), None, "the answer's headers are too long"),
        (garbage(), None, "the answer is not HTTP"),
        (Answer(b"HTTP/1.1 099 Low\r\n\r\n"), None, "the answer is not HTTP"),
        (Answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), None, "the answer is not HTTP"),
        (Answer(_OK + b"Content-Length: -1\r\n\r\n"), None, "the answer is not HTTP"),
        (Answer(_OK + b"No colon here\r\n\r\n"), None, "the answer is not HTTP"),
        (Answer(b"\x15\x03\x01\x00\x02\x02\x28", unasked=True, end=End.HANG), None, "the answer is not HTTP"),
        (Answer(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", unasked=True, end=End.HANG), 413, "answered 413"),
    ],
)
def test_no_answer_does_more_than_end_the_attempt(reply: Answer, status: int | None, error: str) -> None:
    with Receiver() as receiver:
        receiver.answer_with(reply)
        made = attempt(receiver.url + SECRET, most_seconds=0.5 if "0.5 s" in error else 5)
        wait_for(lambda: receiver.open_connections == 0, "the connection to be closed", 5)
    assert (made.status, made.error) == (status, error)
    assert not made.succeeded


@pytest.mark.parametrize(
    "reply", [endless_body(), Answer(_OK + b"\r\n", again=b"a" * 100_000), answer(body=b"a" * 10**7)]
)
def test_of_a_long_body_only_the_beginning_is_taken(reply: Answer) -> None:
    with Receiver() as receiver:
        receiver.answer_with(reply)
        made = attempt(receiver.url)
        wait_for(lambda: receiver.open_connections == 0, "the connection to be closed", 5)
    assert made == Attempt(made.at, made.latency_ms, 200, excerpt="a" * 500)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    with Receiver() as receiver:
        receiver.answer_with(Answer(b"HTTP/1.0 200 OK\r\n\r\nthanks"))
        made = attempt(receiver.url)
    assert (made.succeeded, made.excerpt) == (True, "thanks")


def test_nothing_is_unpacked() -> None:
    with Receiver() as receiver:
        receiver.answer_with(gzip_bomb())
        made = attempt(receiver.url)
    assert made.succeeded
    assert made.excerpt, "of what it unpacks to, zeros, nothing could be shown"


def test_interim_answers_are_passed_over() -> None:
    with Receiver() as receiver:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        receiver.answer_with(Answer(interim + b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"))
        assert attempt(receiver.url).status == 202


def test_attempts_share_neither_cookies_nor_connections() -> None:
    async def twice(url: str) -> None:
        one = sender()
        for _ in range(2):
            assert (await one.send(url, HEADERS, BODY, "a")).succeeded

    with Receiver() as receiver:
        receiver.answer_with(answer(headers={"Set-Cookie": "session=1; Path=/", "Connection": "keep-alive"}))
        asyncio.run(twice(receiver.url))
    first, second = receiver.requests
    assert "cookie" not in second.headers
    assert first.peer != second.peer
    assert receiver.connections == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_of_the_environment_takes_part(scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n", encoding="utf-8")
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        attempt(receiver.url.replace("http", scheme, 1), most_seconds=1)
    assert receiver.connections == 1
    assert proxy.connections == 0
    assert all("authorization" not in received.headers for received in receiver.requests)


def test_many_that_hang_do_not_hold_up_another() -> None:
    async def beside(hanging: str, healthy: str) -> None:
        one = sender(most_seconds=60)
        waiting = [asyncio.create_task(one.send(hanging, HEADERS, BODY, "a")) for _ in range(200)]
        await asyncio.sleep(0)
        assert (await one.send(healthy, HEADERS, BODY, "a")).succeeded
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*waiting, return_exceptions=True)
        )

    with Receiver() as dead, Receiver() as alive:
        dead.answer_with(hang())
        asyncio.run(beside(dead.url, alive.url))
        wait_for(lambda: dead.open_connections == 0, "canceled attempts to close their connections", 5)


def test_an_answer_that_cannot_be_read_is_kept_without_what_is_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: str) -> datetime:
        raise TypeError("what nobody foresaw")

    monkeypatch.setattr("worker.answer.parsedate_to_datetime", fails)
    with Receiver() as receiver:
        receiver.answer_with(answer(503, b"lunch", {"Retry-After": "soon"}))
        made = attempt(receiver.url)
    assert made == Attempt(made.at, made.latency_ms, 503, "answered 503")


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("", BODY),
        ("http://user:password@127.0.0.1/", BODY),
        ("http://127.1/", BODY),
        ("https://[::ffff:127.0.0.1]/", BODY),
        ("http://10.0.0.1/", BODY),
        ("http://127.0.0.1/", json.loads('"\\ud800"')),
    ],
)
def test_what_cannot_be_sent_is_told_and_not_raised(url: str, body: str) -> None:
    assert failure(url, body=body)
