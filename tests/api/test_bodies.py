"""JSON that comes with a request is read within limits: of size, of time, and of what it may say."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from api import bodies
from tests.api.hooks import URL, register
from tests.api.service import KEY, Exchange, Service, assert_problem

_JSON = {"X-API-Key": KEY, "Content-Type": "application/json"}
_MOST_BYTES = 16_384


def _padded(size_bytes: int) -> bytes:
    body = json.dumps({"url": URL}).encode()
    return body + b" " * (size_bytes - len(body))


def _nothing_registered(service: Service) -> bool:
    return bool(service.client.get("/v1/webhooks").json() == {"webhooks": []})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_16_kb_is_refused_however_it_comes(chunked: bool, hooked: Service) -> None:
    def send(body: bytes) -> int:
        content = iter([body[:100], body[100:]]) if chunked else body
        answer = hooked.client.post("/v1/webhooks", content=content, headers=_JSON)
        assert ("content-length" in answer.request.headers) is not chunked
        if answer.status_code != 201:
            assert_problem(answer, 413, "upload-too-large")
            assert answer.headers["Connection"] == "close"
        return int(answer.status_code)

    assert send(_padded(_MOST_BYTES + 1)) == 413
    assert send(_padded(5_000_000)) == 413
    assert _nothing_registered(hooked)
    assert send(_padded(_MOST_BYTES)) == 201


async def _for_ever() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.01)
        yield b" " * 1000


async def _dripping() -> AsyncIterator[bytes]:
    yield b'{"url": "'
    while True:
        await asyncio.sleep(0.01)
        yield b"a"


def _exchange(service: Service, chunks: AsyncIterator[bytes], *, breaks_off: bool = False) -> Exchange:
    exchange = Exchange(service.app, breaks_off=breaks_off)
    assert service.client.portal
    service.client.portal.call(exchange.run, "/v1/webhooks", _JSON, chunks)
    return exchange


def test_no_more_is_read_of_a_body_than_tells_that_it_is_too_large(hooked: Service) -> None:
    exchange = _exchange(hooked, _for_ever())
    assert (exchange.status, exchange.problem()["code"]) == (413, "upload-too-large")
    assert _MOST_BYTES < exchange.read_bytes <= _MOST_BYTES + 1000


def test_a_body_that_does_not_come_to_an_end_is_given_up(hooked: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_MOST_SECONDS", 0.3)
    exchange = _exchange(hooked, _dripping())
    assert (exchange.status, exchange.problem()["code"]) == (408, "upload-too-slow")
    assert exchange.headers["connection"] == "close"
    assert _nothing_registered(hooked)


async def _half() -> AsyncIterator[bytes]:
    yield b'{"url": '


def test_a_body_that_breaks_off_is_no_fault_of_the_service(hooked: Service) -> None:
    exchange = _exchange(hooked, _half(), breaks_off=True)
    assert (exchange.status, exchange.problem()["code"]) == (400, "malformed-request")
    assert _nothing_registered(hooked)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("{", "JSON"),
        ("", "since"),
        ("null", "object"),
        ("{}", "since"),
        ('{"since": 5}', "since"),
        ('{"since": "1790000000"}', "since"),
        ('{"since": "2026-11-22"}', "since"),
        ('{"since": "2026-11-22T08:00:00"}', "timezone"),
        ('{"since": "2026-11-22T08:00:00Z", "until": "soon"}', "until"),
        ('{"since": "2026-11-22T08:00:00Z", "state": "lost"}', "state"),
        ('{"since": "2026-11-22T08:00:00Z", "untill": null}', "untill"),
        ('{"since": "\\ud800"}', "JSON"),
        ("[" * 8000, "JSON"),
    ],
)
def test_a_body_that_says_something_else_is_refused_by_name(body: str, named: str, hooked: Service) -> None:
    webhook = register(hooked)
    answer = hooked.client.post(f"/v1/webhooks/{webhook['id']}/redeliver", content=body, headers=_JSON)
    problem = assert_problem(answer, 400, "malformed-request")
    assert named in problem["detail"]
    assert len(problem["detail"]) <= 1001


def test_a_refusal_of_many_things_at_once_stays_short(hooked: Service) -> None:
    answer = hooked.client.post("/v1/webhooks", json={"url": URL, **{f"x{number}": 1 for number in range(1000)}})
    assert len(assert_problem(answer, 400, "malformed-request")["detail"]) <= 1001
