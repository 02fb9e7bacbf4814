"""Where webhooks may go is asked before anything is stored: of the address itself, then of the resolver."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.shared.hostile_urls import HOSTILE
from tests.shared.keys import make_key
from tests.shared.resolvers import Resolver
from tests.waiting import wait_for

Send = Callable[..., httpx.Response]

_URL = "https://hooks.example.com/turno?token=abc"
_PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
# longer ones are refused as fields and bodies, before anybody looks at them
_URLS = [url for urls in HOSTILE.values() for url in urls if url and len(url) < 4000]
_ONE_OF_EACH_KIND = [_URLS[0], *(urls[-1] for urls in HOSTILE.values() if urls[-1] in _URLS)]
_TRY_AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def _form(service: Service, url: str, **headers: str) -> httpx.Response:
    files, fields = {"file": ("a.jpg", jpeg())}, {"webhook_url": url}
    answer: httpx.Response = service.client.post("/v1/jobs", files=files, data=fields, headers=headers)
    return answer


def _query(service: Service, url: str, **headers: str) -> httpx.Response:
    files, said = {"file": ("a.jpg", jpeg())}, {"webhook_url": url}
    answer: httpx.Response = service.client.post("/v1/jobs", files=files, params=said, headers=headers)
    return answer


def _raw(service: Service, url: str, **headers: str) -> httpx.Response:
    answer: httpx.Response = service.client.post(
        "/v1/jobs", content=jpeg(), params={"webhook_url": url}, headers={"Content-Type": "image/jpeg", **headers}
    )
    return answer


def _put(service: Service, url: str, **headers: str) -> httpx.Response:
    files, fields = {"file": ("a.jpg", jpeg())}, {"webhook_url": url}
    answer: httpx.Response = service.client.put("/v1/jobs/leaf-7", files=files, data=fields, headers=headers)
    return answer


def _batch(service: Service, url: str, **headers: str) -> httpx.Response:
    files = [("files", ("a.jpg", jpeg())), ("files", ("b.jpg", jpeg()))]
    answer: httpx.Response = service.client.post("/v1/batches", files=files, data={"webhook_url": url}, headers=headers)
    return answer


def _predict(service: Service, url: str, **headers: str) -> httpx.Response:
    files, fields = {"file": ("a.jpg", jpeg())}, {"webhook_url": url}
    answer: httpx.Response = service.client.post("/predict", files=files, data=fields, headers=headers)
    return answer


def _register(service: Service, url: str, **headers: str) -> httpx.Response:
    answer: httpx.Response = service.client.post("/v1/webhooks", json={"url": url}, headers=headers)
    return answer


JOBS = [_form, _query, _raw, _put, _batch]
EVERYWHERE = [*JOBS, _predict, _register]


def _assert_nothing_stored(service: Service) -> None:
    assert service.is_empty()
    assert service.client.get("/v1/webhooks").json()["webhooks"] == []


@pytest.mark.parametrize("ask", EVERYWHERE)
def test_a_hostile_address_is_refused_and_neither_looked_up_nor_stored(
    ask: Send, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(_PUBLIC).installed(monkeypatch)
    assert len(_URLS) >= 60
    for url in _URLS if ask is _register else _ONE_OF_EACH_KIND:
        assert assert_problem(ask(service, url), 422, "webhook-refused")["detail"], ascii(url)
    assert resolver.asked == []
    _assert_nothing_stored(service)


@pytest.mark.parametrize("ask", [_raw, _batch, _register])
@pytest.mark.parametrize(
    "answer",
    [
        (),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ["10.0.0.1"],
        ["127.0.0.1"],
        ["169.254.169.254"],
        [*_PUBLIC, "192.168.0.1"],
        ["::ffff:127.0.0.1"],
    ],
    ids=str,
)
def test_a_name_that_leads_nowhere_or_within_is_refused_and_nothing_stored(
    answer: Any, ask: Send, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(answer).installed(monkeypatch)
    problem = assert_problem(ask(service, _URL), 422, "webhook-refused")
    assert "hooks.example.com" in problem["detail"]
    assert not any(address in problem["detail"] for address in ("10.0.0.1", "127.0.0.1", "192.168.0.1"))
    assert resolver.asked == ["hooks.example.com"]
    _assert_nothing_stored(service)


@pytest.mark.parametrize("ask", EVERYWHERE)
def test_while_names_cannot_be_looked_up_who_asks_is_to_come_back(
    ask: Send, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(_TRY_AGAIN).installed(monkeypatch)
    answer = ask(service, _URL)
    assert_problem(answer, 503, "names-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    _assert_nothing_stored(service)


def test_names_that_hang_cost_their_own_caller_an_answer_and_nobody_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, released, other = Resolver(_PUBLIC), threading.Event(), make_key(service.database)
    slow: list[str] = []

    def resolver(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host == "hooks.example.com":
            return healthy(host, port)
        slow.append(host)
        released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    try:
        with ThreadPoolExecutor(60) as pool:
            asks = [_form, _raw, _batch, _register] * 15
            waiting = [pool.submit(ask, service, f"https://n{n}.example.com/") for n, ask in enumerate(asks)]
            wait_for(lambda: len(slow) >= 8, "the look-ups to hang")
            assert service.submit(jpeg()).status_code == 202
            assert service.client.get("/v1/jobs").status_code == 200
            assert [ask(service, _URL, **other.header).status_code for ask in (_form, _batch, _register)] == [
                202,
                202,
                201,
            ]
            assert not all(one.done() for one in waiting)
            for one in waiting:
                answer = one.result()
                assert_problem(answer, 503, "names-unavailable")
                assert int(answer.headers["Retry-After"]) > 0
        assert len(slow) == 8
        assert _form(service, _URL, **other.header).status_code == 202, "the threads still hang"
    finally:
        released.set()
    assert len(service.waiting_ids()) == 5


@pytest.mark.parametrize("ask", JOBS)
def test_a_replay_gives_the_same_job_and_looks_up_nothing(
    ask: Send, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(_PUBLIC, _TRY_AGAIN).installed(monkeypatch)
    once = {"Idempotency-Key": "once"}
    first = ask(service, _URL, **once)
    assert (first.status_code, len(resolver.asked)) == (202, 1)
    again = ask(service, _URL, **once)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    assert_problem(ask(service, _URL + "&other", **once), 422, "idempotency-mismatch")
    assert len(resolver.asked) == 1
    if ask is not _put:  # there the id is a name, too
        assert_problem(ask(service, _URL, **{"Idempotency-Key": "another"}), 503, "names-unavailable")


def test_a_refused_address_costs_no_quota(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(images_per_day=1, api_key=KEY)
    Resolver(["10.0.0.1"], _TRY_AGAIN, _PUBLIC).installed(monkeypatch)
    assert_problem(_form(service, _URL), 422, "webhook-refused")
    assert_problem(_form(service, _URL), 503, "names-unavailable")
    assert _form(service, _URL).status_code == 202


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "http://93.184.215.14/", "https://127.0.0.1/"])
def test_private_and_plain_addresses_are_for_the_operator_to_allow(url: str, service: Service) -> None:
    for ask in (_form, _register):
        assert_problem(ask(service, url), 422, "webhook-refused")
    _assert_nothing_stored(service)


def test_within_an_allowed_network_http_is_taken_and_beside_it_not(
    hooked: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(["127.0.0.2"], ["127.0.0.2", "10.0.0.1"], _PUBLIC, _PUBLIC).installed(monkeypatch)
    inside = "http://receiver.internal:8080/hook"
    assert _form(hooked, inside).status_code == 202
    assert_problem(_form(hooked, inside), 422, "webhook-refused")
    assert_problem(_form(hooked, inside), 422, "webhook-refused")  # public, but without TLS
    assert _form(hooked, _URL).status_code == 202
    assert_problem(_form(hooked, "http://169.254.169.254/latest/meta-data"), 422, "webhook-refused")
