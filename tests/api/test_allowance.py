"""What each key may do in a minute and in a day, with Redis and without."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api import allowance
from api.allowance import IMAGES, RATE, Allowance
from shared.errors import QuotaExceeded
from shared.jobs import ApiKey, Scope
from shared.settings import Settings
from tests.api.conftest import MakeService
from tests.api.service import KEY, Exchange, Service, assert_problem
from tests.photos import jpeg
from tests.redis_server import RedisServer
from tests.shared.keys import MadeKey, make_key
from tests.waiting import wait_for

LIMITED = ApiKey("key-limited", "of a test", frozenset({Scope.ADMIN}), rate_per_minute=3, images_per_day=5)


def standing(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    """What is left and for how many seconds, by policy, as the header says."""
    found = re.findall(r'"(\w+)";r=(\d+);t=(\d+)(?:, |$)', answer.headers["RateLimit"])
    return {policy: (int(remaining), int(seconds)) for policy, remaining, seconds in found}


def look(service: Service, key: MadeKey) -> httpx.Response:
    answer: httpx.Response = service.client.get("/v1/models", headers=key.header)
    return answer


def assert_refused(answer: httpx.Response, code: str, policy: str) -> None:
    document = assert_problem(answer, 429, code)
    assert document["violated-policies"] == [policy]
    remaining, seconds = standing(answer)[policy]
    assert remaining == 0
    assert int(answer.headers["Retry-After"]) >= seconds > 0


def within_a_minute() -> None:
    """Waits out a minute's end, where a process that counts alone begins its next window."""
    wait_for(lambda: time.time() % 60 < 50, "a minute to begin")


@pytest.fixture(params=["redis", "no redis"])
def limited(request: pytest.FixtureRequest, make_service: MakeService) -> Service:
    """A service with these limits, which must hold for a single process whether Redis answers or not."""
    changes = {}
    if request.param == "no redis":
        changes["redis_url"] = "unix:///nowhere/redis.sock"
        within_a_minute()
    return make_service(api_key=KEY, key=None, rate_per_minute=600, images_per_day=5000, **changes)


def test_every_answer_says_what_is_left(limited: Service) -> None:
    key = make_key(limited.database)
    for left in (599, 598):
        answer = look(limited, key)
        assert answer.headers["RateLimit-Policy"] == '"rate";q=600;w=60, "images";q=5000;w=86400'
        assert standing(answer)[RATE][0] == left
        assert 0 < standing(answer)[RATE][1] <= 60
        assert standing(answer)[IMAGES] == (5000, 86400)
    assert standing(limited.client.get("/v1/unknown", headers=key.header))[RATE][0] == 597


def test_a_rate_that_is_spent_is_a_429_problem_for_this_key_alone(limited: Service) -> None:
    key, other = make_key(limited.database, rate_per_minute=3), make_key(limited.database)
    for _ in range(3):
        assert look(limited, key).status_code == 200
    assert_refused(look(limited, key), "rate-exceeded", RATE)
    assert look(limited, other).status_code == 200
    for path in ("/livez", "/", "/static/style.css"):
        assert limited.client.get(path, headers=key.header).status_code == 200
    assert_refused(look(limited, key), "rate-exceeded", RATE)


def test_a_quota_that_is_spent_is_refused_before_the_body_and_only_for_images(limited: Service) -> None:
    key = make_key(limited.database, images_per_day=1)
    accepted = limited.submit(jpeg(), **key.header)
    assert accepted.status_code == 202
    assert standing(accepted)[IMAGES][0] == 0, "as it stands after this image"
    for path in ("/v1/jobs", "/v1/batches", "/predict"):
        answer = limited.client.post(path, content=jpeg(), headers=key.header)
        assert_refused(answer, "quota-exceeded", IMAGES)
        assert answer.headers["Connection"] == "close"
    for method, path, name in (("PUT", "/v1/jobs/mine", {}), ("POST", "/v1/jobs", {"Idempotency-Key": "mine"})):
        answer = limited.client.request(method, path, content=jpeg(), headers={**key.header, **name})
        assert_refused(answer, "quota-exceeded", IMAGES)  # once its body has shown that it is no replay
    exchange = Exchange(limited.app)
    assert limited.client.portal is not None
    limited.client.portal.call(exchange.run, "/v1/jobs", key.header, [jpeg()])
    assert (exchange.status, exchange.read_bytes) == (429, 0)
    job_id = accepted.json()["id"]
    assert limited.client.get(f"/v1/jobs/{job_id}", headers=key.header).status_code == 200
    assert limited.client.post(f"/v1/jobs/{job_id}/cancel", headers=key.header).status_code == 200


def test_a_batch_that_is_larger_than_what_is_left_is_refused_whole(limited: Service) -> None:
    key = make_key(limited.database, images_per_day=2)
    files = [("files", (f"{n}.jpg", jpeg())) for n in range(3)]
    answer = limited.client.post("/v1/batches", files=files, headers=key.header)
    document = assert_problem(answer, 429, "quota-exceeded")
    assert document["violated-policies"] == [IMAGES]
    assert int(answer.headers["Retry-After"]) >= standing(answer)[IMAGES][1]
    assert standing(answer)[IMAGES][0] == 2, "nothing was charged"
    assert limited.client.post("/v1/batches", files=files[:2], headers=key.header).status_code == 202


def test_a_request_without_the_scope_counts_and_says_what_is_left(limited: Service) -> None:
    key = make_key(limited.database, [Scope.READ], rate_per_minute=2)
    for left in (1, 0):
        answer = limited.submit(jpeg(), **key.header)
        assert_problem(answer, 403, "scope-missing")
        assert standing(answer)[RATE][0] == left
    assert_refused(limited.submit(jpeg(), **key.header), "rate-exceeded", RATE)


def test_without_limits_there_is_no_header_and_redis_is_not_asked(
    make_service: MakeService, redis_server: RedisServer
) -> None:
    service = make_service(api_key=KEY)
    assert service.submit(jpeg()).status_code == 202
    answer = service.client.get("/v1/models")
    assert not {"RateLimit", "RateLimit-Policy"} & set(answer.headers)
    assert redis_server.client().keys("turno:allowance*") == []


def test_a_keys_own_limits_come_before_the_deployments_and_nought_is_none(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, key=None, rate_per_minute=600, images_per_day=5000)
    own = look(service, make_key(service.database, rate_per_minute=7, images_per_day=0))
    assert own.headers["RateLimit-Policy"] == '"rate";q=7;w=60'
    assert "RateLimit" not in look(service, make_key(service.database, rate_per_minute=0, images_per_day=0)).headers
    assert look(service, MadeKey(secret=KEY)).headers["RateLimit-Policy"].startswith('"rate";q=600')


def test_who_needs_no_key_has_no_limits(make_service: MakeService) -> None:
    service = make_service(key=None, rate_per_minute=1, images_per_day=1)
    for _ in range(3):
        answer = service.submit(jpeg())
        assert answer.status_code == 202
        assert "RateLimit" not in answer.headers


def test_all_processes_count_together(make_service: MakeService) -> None:
    services = [make_service(api_key=KEY, key=None) for _ in range(2)]
    key = make_key(services[0].database, rate_per_minute=2)
    assert [look(service, key).status_code for service in services] == [200, 200]
    for service in services:
        assert_refused(look(service, key), "rate-exceeded", RATE)


def made(url: str) -> Allowance:
    return Allowance(Settings(_env_file=None, redis_url=url))


def left(one: Allowance, policy: str) -> int:
    window = asyncio.run(one.standing(LIMITED)).window(policy)
    assert window is not None
    return window.remaining


def test_a_charge_takes_all_or_nothing(redis_server: RedisServer) -> None:
    one = made(redis_server.url)
    asyncio.run(one.charge(LIMITED, 3))
    with pytest.raises(QuotaExceeded, match="may send 5 images in 24 hours and has 2 left, not 3"):
        asyncio.run(one.charge(LIMITED, 3))
    asyncio.run(one.charge(LIMITED, 2))
    assert left(one, IMAGES) == 0
    assert left(one, RATE) == 3, "images are no requests"


def test_what_redis_holds_goes_by_itself(redis_server: RedisServer) -> None:
    asyncio.run(made(redis_server.url).count(LIMITED))
    asyncio.run(made(redis_server.url).charge(LIMITED, 1))
    redis = redis_server.client()
    names = redis.keys("*")
    assert len(names) == 2
    for name in names:
        assert name.startswith(b"turno:allowance:")
        assert 0 < redis.ttl(name) <= 2 * 86_400


def test_when_redis_dies_and_comes_back_counting_goes_on(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_QUIET_SECONDS", 0.2)
    server = RedisServer(short_folder)
    server.start()
    one = made(server.url)
    asyncio.run(one.charge(LIMITED, 1))
    server.kill()
    asyncio.run(one.charge(LIMITED, 2))
    assert left(one, IMAGES) == 3, "of its own count"
    server.start()
    wait_for(lambda: left(one, IMAGES) == 5, "the new, empty Redis to be asked")
    asyncio.run(one.charge(LIMITED, 1))
    assert server.client().keys("turno:allowance*")
    server.kill()


@pytest.fixture
def hung_redis() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that takes connections and says nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0", taken
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    for one in taken:
        one.close()


def test_a_redis_that_hangs_is_left_alone_for_a_while(
    hung_redis: tuple[str, list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "_QUIET_SECONDS", 3600)
    url, taken = hung_redis
    one = made(url)
    within_a_minute()
    assert not asyncio.run(one.count(LIMITED)).rate_exceeded
    tries = len(taken)
    assert tries > 0
    assert [asyncio.run(one.count(LIMITED)).rate_exceeded for _ in range(4)] == [False, False, True, True]
    assert len(taken) == tries
