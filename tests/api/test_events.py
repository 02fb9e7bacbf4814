"""A job's changes as a client hears them."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.routes import events
from shared.broker import connect_redis
from shared.changes import CHANNEL, announce
from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.redis_server import RedisServer
from tests.shared.make import claim
from tests.sse import Event, listening
from tests.waiting import wait_for


@dataclass
class Live:
    """The application behind a real server, and a worker played by hand."""

    service: Service
    app: Any
    client: httpx.Client

    def queued(self) -> str:
        """The id of an accepted image."""
        return self.service.queued(jpeg())

    def claim(self, job_id: str) -> None:
        """Plays a worker that takes the job."""
        claim(self.service.database, job_id)
        announce(connect_redis(self.service.settings.redis_url), [job_id])

    def ended(self) -> str:
        """The id of a job with a result."""
        job_id = self.queued()
        self.service.answer(job_id)
        return job_id

    def nobody_watches(self) -> bool:
        """Whether nothing is held for anybody."""
        return not self.app.state.services.waiting._watches


@contextlib.contextmanager
def served(service: Service) -> Iterator[Live]:
    """A second process's worth of the application, as uvicorn serves it."""
    app = create_app(service.settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, "the server to start")
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=30) as client:
            yield Live(service, app, client)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def live(service: Service) -> Iterator[Live]:
    """The service behind a real server."""
    with served(service) as live:
        yield live
        wait_for(live.nobody_watches, "nothing to be held for those who left")


def test_a_stream_tells_where_the_job_stands_and_each_change_until_its_end(live: Live) -> None:
    job_id = live.queued()
    with listening(live.client, job_id) as stream:
        assert next(stream).ticket["status"] == "queued"
        live.claim(job_id)
        assert next(stream).ticket["status"] == "running"
        live.service.client.post(f"/v1/jobs/{job_id}/cancel")
        last = next(stream).ticket
        assert list(stream) == []
    assert last["status"] == "canceled"
    assert last == live.client.get(f"/v1/jobs/{job_id}").json()


def test_a_stream_tells_the_result(live: Live) -> None:
    job_id = live.queued()
    with listening(live.client, job_id) as stream:
        assert next(stream).ticket["version"] == 1
        live.service.answer(job_id)
        *_, last = stream
    assert last.ticket["status"] == "succeeded"
    assert last.ticket["result"]["predicted_class"] == "rust"


def test_a_stream_of_an_ended_job_is_its_ticket_alone(live: Live) -> None:
    with listening(live.client, live.ended()) as stream:
        assert [event.ticket["status"] for event in stream] == ["succeeded"]


def test_no_cache_and_no_proxy_may_keep_events_back(live: Live) -> None:
    with live.client.stream("GET", f"/v1/jobs/{live.ended()}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"


def test_who_has_seen_the_end_is_told_to_ask_no_more(live: Live) -> None:
    job_id = live.ended()
    answer = live.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "3"})
    assert answer.status_code == 204
    assert answer.content == b""


@pytest.mark.parametrize("seen", ["1", "2", "4", "", "three"])
def test_who_has_not_seen_the_end_is_told_it(seen: str, live: Live) -> None:
    with listening(live.client, live.ended(), **{"Last-Event-ID": seen}) as stream:
        assert [event.id for event in stream] == ["3"]


def test_who_comes_back_to_a_job_that_has_not_ended_gets_a_snapshot(live: Live) -> None:
    with listening(live.client, live.queued(), **{"Last-Event-ID": "1"}) as stream:
        assert next(stream).id == "1"


@pytest.mark.parametrize("job_id", ["0" * 32, "nothing-of-the-kind"])
def test_an_unknown_job_has_no_stream(job_id: str, live: Live) -> None:
    assert_problem(live.client.get(f"/v1/jobs/{job_id}/events"), 404, "unknown-job")


def test_an_erased_job_has_no_stream(live: Live) -> None:
    job_id = live.queued()
    live.client.delete(f"/v1/jobs/{job_id}")
    assert_problem(live.client.get(f"/v1/jobs/{job_id}/events"), 410, "job-erased")


def test_a_stream_asks_for_a_key(live: Live) -> None:
    answer = live.client.get(f"/v1/jobs/{live.queued()}/events", headers={"X-API-Key": "another"})
    assert_problem(answer, 401, "unauthorized")


def test_a_stream_ends_when_its_job_is_erased(live: Live) -> None:
    job_id = live.queued()
    with listening(live.client, job_id) as stream:
        assert next(stream).ticket["status"] == "queued"
        assert live.service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
        assert list(stream) == [Event("erased", data="{}")]


def test_silence_is_broken_by_comments(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    job_id = live.queued()
    with listening(live.client, job_id) as stream:
        assert next(stream).name == "ticket"
        assert [next(stream), next(stream)] == [Event(comment="ping")] * 2
        live.claim(job_id)
        assert next(event for event in stream if event.name).ticket["status"] == "running"


def test_a_stream_that_has_lasted_long_asks_its_client_to_come_again(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LIFETIME_SECONDS", 0.2)
    with listening(live.client, live.queued()) as stream:
        first, last = stream
    assert first.name == "ticket"
    assert last == Event("reconnect", data="{}", retry="1000")


def test_a_client_that_leaves_is_forgotten_at_once(live: Live) -> None:
    with listening(live.client, live.queued()) as stream:
        next(stream)
        assert not live.nobody_watches()
    wait_for(live.nobody_watches, "the client to be forgotten", events.HEARTBEAT_SECONDS / 2)


def test_a_stream_and_a_wait_outlive_redis(make_service: MakeService, short_folder: Path) -> None:
    redis = RedisServer(short_folder)
    redis.start()
    try:
        with served(make_service(api_key=KEY, redis_url=redis.url)) as live, ThreadPoolExecutor(1) as pool:
            job_id = live.queued()
            wait = pool.submit(live.client.get, f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"})
            with listening(live.client, job_id) as stream:
                next(stream)
                redis.kill()
                claim(live.service.database, job_id)
                assert next(stream).ticket["status"] == "running"
                redis.start()
                # the server's own and that of the service's own client
                wait_for(lambda: redis.client().pubsub_numsub(CHANNEL)[0][1] == 2, "both to subscribe again")
                live.service.client.post(f"/v1/jobs/{job_id}/cancel")
                assert [event.ticket["status"] for event in stream] == ["canceled"]
            assert wait.result(60).json()["status"] == "canceled"
    finally:
        redis.kill()


def test_the_document_describes_the_stream(service: Service) -> None:
    (route,) = service.client.get("/openapi.json").json()["paths"]["/v1/jobs/{job_id}/events"].values()
    content = route["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream"]
    assert "event: ticket" in str(content["text/event-stream"]["examples"])
    assert "204" in route["responses"]
    assert "reconnect" in route["description"]
