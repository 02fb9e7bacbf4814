"""A PostgreSQL that dies, or drops its connections, under load: what was accepted ends once, the rest is told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from tests.conftest import shared_stack
from tests.e2e.load import Load
from tests.photos import HELD_PX, jpeg
from tests.postgres import PostgresServer, running_server
from tests.stack import Stack
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(240)
_LONGEST_SECONDS = 35
_WRITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_SEVER = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state <> 'idle in transaction' AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests' own: it is killed."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[Stack]:
    """One for all tests: each leaves it well, or fails."""
    with shared_stack(request, TEST_WORKER="tests.e2e.held_worker", DATABASE_URL=server.url) as stack:
        yield stack.start()


@pytest.fixture
def stack(service: Stack) -> Iterator[Stack]:
    """It is ready, nothing is held, and its logs are empty."""
    service.forget_held()
    service.forget_logs()
    wait_for(service.ready, "the service to be ready")
    yield service
    service.release_held()


def test_a_killed_database_costs_no_accepted_job_and_is_waited_for(stack: Stack, server: PostgresServer) -> None:
    children = stack.children("worker")
    held = stack.submit(jpeg(*HELD_PX))
    stack.wait_held()
    with Load(stack) as load:
        load.wait_for_accepted()
        server.kill()
        stack.release_held()
        wait_for(lambda: "batch handed back" in stack.log("worker"), "the worker to meet the outage")
        wait_for(lambda: "a step of the courier failed" in stack.log("courier"), "the courier to meet the outage")
        load.wait_for_refusals()
        assert not stack.ready()
        server.start()
        wait_for(stack.ready, "the service to be ready again")
        refused = len(load.refusals)
        load.wait_for_accepted()
        assert len(load.refusals) == refused
    assert_told_in_time(load)
    for id_ in [held["id"], *load.accepted]:
        assert_succeeded_once(stack, id_)
    assert stack.children("worker") == children
    assert stack.runs("worker")
    assert stack.runs("courier")


def test_a_frozen_database_keeps_nobody_waiting_and_loses_nothing(stack: Stack, server: PostgresServer) -> None:
    children = stack.children("worker")
    held = stack.submit(jpeg(*HELD_PX))
    stack.wait_held()
    with ThreadPoolExecutor(1) as pool, Load(stack) as load:
        waiting = pool.submit(
            stack.client.post, "/v1/jobs", files={"file": ("a.jpg", jpeg())}, headers={"Prefer": "wait=5"}
        )
        load.wait_for_accepted()
        with server.frozen():
            stack.release_held()
            accepted = waiting.result(60)  # while nobody can be asked how it stands
            assert accepted.status_code == 202
            assert accepted.headers["Location"] == f"/v1/jobs/{accepted.json()['id']}"
            asked = stack.client.get("/readyz")
            assert asked.status_code == 503
            assert asked.json()["checks"]["database"] == "the database does not answer"
            assert asked.elapsed.total_seconds() < 6
            assert stack.client.get(f"/v1/jobs/{held['id']}").json()["code"] == "store-unavailable"
            load.wait_for_refusals(2)
        wait_for(stack.ready, "the service to be ready again")
        load.wait_for_accepted()
    assert_told_in_time(load)
    for id_ in [held["id"], accepted.json()["id"], *load.accepted]:
        assert_succeeded_once(stack, id_)
    assert stack.children("worker") == children


def test_connections_severed_in_the_middle_of_writing_cost_no_accepted_job(
    stack: Stack, server: PostgresServer
) -> None:
    children = stack.children("worker")
    held = stack.submit(jpeg(*HELD_PX))
    stack.wait_held()
    with Load(stack) as load:
        load.wait_for_accepted()
        with nobody_can_write(server.url):
            stack.release_held()
            three = "the API, the worker and its pulse to be in the middle of writing"
            wait_for(lambda: asked(server.url, _WRITERS) >= 3, three)
            asked(server.url, _SEVER)  # all but the one that holds them up
        load.wait_for_accepted()
    assert load.refusals
    assert "batch handed back" in stack.log("worker")
    assert_told_in_time(load)
    for id_ in [held["id"], *load.accepted]:
        assert_succeeded_once(stack, id_)
    assert stack.children("worker") == children
    assert stack.runs("worker")
    assert stack.runs("courier")


@contextmanager
def nobody_can_write(url: str) -> Iterator[None]:
    """Whoever writes a job meanwhile waits in the middle of its transaction."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE jobs IN EXCLUSIVE MODE"))
        yield
        connection.rollback()


def asked(url: str, question: str) -> int:
    """The number that the database answers with."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.scalars(sa.text(question)).one())


def assert_told_in_time(load: Load) -> None:
    """Whoever was refused was told that it is the database, and nobody was kept waiting."""
    told = {(answer.status_code, answer.headers["Content-Type"], answer.json()["code"]) for answer in load.refusals}
    assert told <= {(503, "application/problem+json", "store-unavailable")}
    assert all(answer.headers["Retry-After"] for answer in load.refusals)
    assert load.slowest_seconds < _LONGEST_SECONDS


def assert_succeeded_once(stack: Stack, job_id: str) -> None:
    """It ended, and of its moves — each makes a version — all but the last were a claim or the way back from one."""
    ended = stack.ended(job_id)
    assert ended["status"] == "succeeded"
    assert ended["version"] == 1 + ended["attempt"] + (ended["attempt"] - 1) + 1
