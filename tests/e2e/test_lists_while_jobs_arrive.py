"""Lists that are walked page by page while jobs arrive, are run, canceled and erased: compared with the table."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from shared.tables import jobs
from tests.conftest import DATABASES, shared_stack
from tests.photos import jpeg
from tests.stack import Stack
from tests.waiting import wait_for

PLAIN = jpeg()
_LIMIT = 7
_WALKS = 6


@pytest.fixture(scope="module", params=DATABASES)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The whole service, for all tests: what each finds in the lists is more than its own."""
    with shared_stack(request, request.param) as stack:
        yield stack.start()


def walk(stack: Stack, **query: str | int) -> Iterator[dict[str, Any]]:
    """Every ticket of a list, page after page."""
    path = str(stack.client.build_request("GET", "/v1/jobs", params={"limit": _LIMIT, **query}).url)
    while path:
        answer = stack.client.get(path)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["jobs"]) <= _LIMIT
        assert page["next"] is None or len(page["jobs"]) == _LIMIT
        yield from page["jobs"]
        path = page["next"]


def table(stack: Stack, *conditions: sa.ColumnElement[bool]) -> list[str]:
    """What the table says: the ids of jobs that are not erased, newest first."""
    database = stack.database()
    try:
        found = sa.select(jobs.c.id).where(jobs.c.erased_at.is_(None), *conditions).order_by(jobs.c.id.desc())
        return database.read(lambda connection: list(connection.scalars(found)))
    finally:
        database.close()


class Traffic:
    """Four callers who submit, and cancel or erase some of what they sent, while the block runs."""

    def __init__(self, stack: Stack) -> None:
        self.accepted: list[str] = []
        self.erasing: set[str] = set()  # noted before the request, so that nobody misses them in a list
        self._stack = stack
        self._over = threading.Event()

    @contextmanager
    def __call__(self) -> Iterator["Traffic"]:
        with ThreadPoolExecutor(4) as pool:
            callers: list[Future[None]] = [pool.submit(self._call) for _ in range(4)]
            try:
                wait_for(lambda: len(self.accepted) > 3 * _LIMIT, "some pages of jobs")
                yield self
            finally:
                self._over.set()
            for caller in callers:
                caller.result()

    def _call(self) -> None:
        while not self._over.is_set():
            job_id = self._stack.submit(PLAIN)["id"]
            self.accepted.append(job_id)
            chance = random.random()
            if chance < 0.15:
                assert self._stack.client.post(f"/v1/jobs/{job_id}/cancel").status_code in (200, 409)
            elif chance < 0.3:
                self.erasing.add(job_id)
                assert self._stack.client.delete(f"/v1/jobs/{job_id}").status_code == 204


def assert_a_walk_misses_nothing(traffic: Traffic, listed: Callable[[], list[str]]) -> list[str]:
    """No job twice, strictly newest first, and every job that was there before and is not being erased."""
    before = list(traffic.accepted)
    found = listed()
    assert found == sorted(set(found), reverse=True)
    assert set(before) - traffic.erasing <= set(found)
    return found


def test_a_walk_through_the_list_misses_no_job_and_shows_none_twice_while_jobs_come_and_go(stack: Stack) -> None:
    with Traffic(stack)() as traffic:
        walks = [
            assert_a_walk_misses_nothing(traffic, lambda: [job["id"] for job in walk(stack)]) for _ in range(_WALKS)
        ]
        shown = stack.client.get("/v1/jobs", params={"limit": _LIMIT}).json()
        assert shown["next"] is not None
    assert len(walks[-1]) > len(walks[0]) > 2 * _LIMIT  # jobs did arrive meanwhile
    for id_ in traffic.accepted:
        if id_ not in traffic.erasing:
            stack.ended(id_)
    assert [job["id"] for job in walk(stack)] == table(stack)
    assert set(table(stack)) & set(traffic.accepted) == set(traffic.accepted) - traffic.erasing
    # a page that was left lying continues where it ended, whatever has come since
    older = [job["id"] for job in stack.client.get(shown["next"]).json()["jobs"]]
    last = shown["jobs"][-1]["id"]
    assert older == [id_ for id_ in table(stack) if id_ < last][:_LIMIT]


def test_a_filtered_list_shows_no_job_of_another_state_and_ends_as_the_table_says(stack: Stack) -> None:
    states = ("queued", "running", "succeeded", "failed", "canceled")
    with Traffic(stack)() as traffic:
        for _ in range(2):
            for state in states:
                found = list(walk(stack, status=state))
                ids = [job["id"] for job in found]
                assert ids == sorted(set(ids), reverse=True)
                assert {job["status"] for job in found} <= {state}
                for job in found:
                    ended = state not in ("queued", "running")
                    assert ("stored" in job["timeline"]) == ended, job
                    assert (job["result"] is not None) == (state == "succeeded"), job
    for id_ in set(traffic.accepted) - traffic.erasing:
        stack.ended(id_)
    for state in states:
        assert [job["id"] for job in walk(stack, status=state)] == table(stack, jobs.c.status == state)
    assert table(stack, jobs.c.status == "succeeded") != []
