"""Thousands who wait on one process, what the real worker announces, and how a process takes its leave."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import sqlalchemy as sa

from shared.changes import CHANNEL, STARTS, announce
from shared.database import Database
from shared.tables import jobs
from tests.conftest import shared_stack
from tests.crowd import allow_open_files, crowd, leave, listen, wait
from tests.photos import HELD_PX, jpeg
from tests.shared.make import add, claim, succeed
from tests.sse import Event, listening
from tests.stack import Stack
from tests.waiting import wait_for

THOUSAND = 1000
POOL_THREADS = 40  # anyio's: they look the newcomers' jobs up, and nobody waits in one
IDS = [f"{number:032x}" for number in range(50)]


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One for all tests, of which each says what runs of it."""
    allow_open_files(3 * THOUSAND)
    with shared_stack(request, TEST_WORKER="tests.e2e.held_worker") as stack:
        yield stack


@pytest.fixture
def stack(service: Stack) -> Stack:
    """Redis and the API, with nobody watching; no worker, so that a test may play it."""
    service.have("redis", "api")
    wait_for(lambda: watched(service) == 0, "nobody to watch")
    return service


@pytest.fixture
def database(stack: Stack) -> Iterator[Database]:
    """What the played worker writes to: no jobs yet."""
    database = stack.database()
    database.write(lambda connection: connection.execute(sa.delete(jobs)))
    yield database
    database.close()


def watched(stack: Stack) -> int:
    """How many wait or watch, as the service measures it."""
    found = re.search(r"^turno_watchers (\d+)", stack.client.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def test_two_thousand_who_wait_cost_one_subscription_and_no_thread(stack: Stack, database: Database) -> None:
    add(database, *IDS, caller="local")
    port, api, redis = stack.settings.port, psutil.Process(stack._processes["api"].pid), stack.redis.client()

    def job(index: int) -> str:
        return IDS[index % len(IDS)]

    async def scenario() -> None:
        threads = api.num_threads()
        streams = await crowd(THOUSAND, lambda index: listen(port, job(index)))
        waits = await crowd(THOUSAND, lambda index: wait(port, job(index)))
        claims = claim(database, *IDS)
        announce(redis, IDS)
        assert {(await stream.event()).ticket["status"] for stream in streams} == {"running"}
        assert api.num_threads() <= threads + POOL_THREADS
        assert redis.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 1)]
        subscribed = [client["sub"] for client in redis.client_list() if client["sub"] != "0"]
        assert subscribed == ["2"]  # one connection, two channels
        succeed(database, *claims)
        announce(redis, IDS)
        heard = await asyncio.gather(*(stream.rest() for stream in streams))
        assert {tuple(event.ticket["status"] for event in events) for events in heard} == {
            ("queued", "running", "succeeded")
        }
        answers = await asyncio.gather(*(one.answer() for one in waits))
        assert {(status, ticket["status"]) for status, ticket in answers} == {(200, "succeeded")}
        assert sorted(ticket["id"] for _, ticket in answers) == sorted(job(index) for index in range(THOUSAND))
        await leave(streams + waits)

    asyncio.run(scenario())
    wait_for(lambda: watched(stack) == 0, "nothing to be held for those who left")


def test_clients_that_leave_are_forgotten(stack: Stack, database: Database) -> None:
    add(database, *IDS, caller="local")

    async def scenario() -> None:
        streams = await crowd(200, lambda index: listen(stack.settings.port, IDS[index % len(IDS)]))
        assert await asyncio.to_thread(watched, stack) == 200
        await leave(streams)

    asyncio.run(scenario())
    wait_for(lambda: watched(stack) == 0, "nothing to be held for those who left", 10)


def test_a_process_that_is_told_to_stop_lets_streams_and_waits_go(stack: Stack, database: Database) -> None:
    add(database, IDS[0], caller="local")
    path = f"/v1/jobs/{IDS[0]}"
    with ThreadPoolExecutor(1) as pool, listening(stack.client, IDS[0]) as stream:
        assert next(stream).ticket["status"] == "queued"
        waiting = pool.submit(stack.client.get, path, headers={"Prefer": "wait=60"})
        wait_for(lambda: _connections(stack) >= 2, "the wait to be open")
        stack.tell_to_stop("api")
        assert list(stream) == [Event("reconnect", data="{}", retry="1000")]
        assert waiting.result(20).json()["status"] == "queued"
    stack.wait_stopped("api", 20)
    assert '"level": "error"' not in stack.log("api")


def _connections(stack: Stack) -> int:
    connections = psutil.Process(stack._processes["api"].pid).net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED for one in connections)


@pytest.mark.usefixtures("database")  # without the jobs of the tests before
def test_the_worker_announces_what_it_takes_and_what_it_ends(stack: Stack) -> None:
    stack.have()
    with stack.redis.client().pubsub(ignore_subscribe_messages=True) as news:
        news.subscribe(CHANNEL, STARTS)
        job_id = stack.submit(jpeg(*HELD_PX))["id"]
        with listening(stack.client, job_id) as stream:
            assert wait_for(lambda: news.get_message(timeout=1), "the claim to be announced")["data"] == job_id.encode()
            seen = [next(event for event in stream if event.ticket["status"] == "running").ticket["status"]]
            stack.release_held()
            assert wait_for(lambda: news.get_message(timeout=1), "the end to be announced")["data"] == job_id.encode()
            seen += [event.ticket["status"] for event in stream]
    assert seen == ["running", "succeeded"]
