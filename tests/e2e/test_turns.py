"""Who is next: the interactive before batches, and callers in turns, whatever one of them has sent or taken back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from shared import jobqueries
from shared.jobs import Job
from shared.tables import jobs
from tests.conftest import shared_stack
from tests.photos import HELD_PX, jpeg
from tests.stack import Stack
from tests.waiting import wait_for

HELD, PLAIN = jpeg(*HELD_PX), jpeg()
MANY, FEW = "leaf-institute-" + "a" * 32, "field-phone-" + "b" * 32  # keys of a caller with thousands, and of another


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stack]:
    settings = {"API_KEY": f"{MANY},{FEW}", "LEASE_SECONDS": "20", "BATCH_FILES_MAX": "1000"}
    with shared_stack(request, TEST_WORKER="tests.e2e.held_worker", **settings) as stack:
        yield stack.start()


@pytest.fixture
def stack(service: Stack) -> Iterator[Stack]:
    """Nothing is held and nobody waits, however many a test before left in line."""
    service.forget_held()
    yield service
    service.release_held()
    waiting = sa.select(jobs.c.caller, jobs.c.batch_id).where(jobs.c.status == "queued").distinct()
    left = read(service, lambda connection: {batch for _, batch in connection.execute(waiting)})
    for key in (MANY, FEW):
        for batch in left:
            service.client.post(f"/v1/batches/{batch}/cancel", headers={"X-API-Key": key})
    wait_for(lambda: service.redis.client().zcard("turno:{leaf-health}:line") == 0, "the line to be empty")


def ask(stack: Stack, key: str, method: str, path: str, **request: Any) -> httpx.Response:
    answer = stack.client.request(method, path, headers={"X-API-Key": key}, **request)
    assert answer.is_success, answer.text
    return answer


def submit(stack: Stack, key: str, image: bytes = PLAIN, **fields: str) -> str:
    return str(ask(stack, key, "POST", "/v1/jobs", files={"file": ("leaf.jpg", image)}, data=fields).json()["id"])


def submit_batch(stack: Stack, key: str, images: Sequence[bytes]) -> tuple[str, list[str]]:
    files = [("files", ("leaf.jpg", image)) for image in images]
    batch = ask(stack, key, "POST", "/v1/batches", files=files, data={"priority": "batch"}).json()
    return batch["id"], [job["id"] for job in batch["jobs"]]


def position(stack: Stack, key: str, job_id: str) -> int | None:
    found: int | None = ask(stack, key, "GET", f"/v1/jobs/{job_id}").json()["position"]
    return found


def wait_in_line(stack: Stack, *tickets: tuple[str, str]) -> datetime:
    """Returns once all of these stand there: when that was, by the database's clock."""
    for key, job_id in tickets:
        wait_for(lambda key=key, job_id=job_id: position(stack, key, job_id) is not None, "a place in the line")  # type: ignore[misc]
    now: datetime = read(stack, jobqueries.now)
    return now


def wait_ended(stack: Stack, key: str, ids: Sequence[str]) -> None:
    headers = {"X-API-Key": key, "Prefer": "wait=60"}
    for id_ in ids:
        assert stack.client.get(f"/v1/jobs/{id_}", headers=headers).json()["status"] == "succeeded"


def read(stack: Stack, question: Any) -> Any:
    database = stack.database()
    try:
        return database.read(question)
    finally:
        database.close()


def claimed(stack: Stack, ids: Sequence[str], since: datetime) -> list[datetime]:
    """When workers took these jobs, in that order; those taken before are left out."""
    found: list[Job] = read(stack, lambda connection: jobqueries.get(connection, ids))
    return sorted(job.claimed_at for job in found if job.claimed_at and job.claimed_at > since)


def test_one_interactive_image_waits_for_the_batch_in_hand_and_for_no_other(stack: Stack) -> None:
    _, many = submit_batch(stack, MANY, [HELD if number == 100 else PLAIN for number in range(501)])
    stack.wait_held()
    others, own = submit(stack, FEW), submit(stack, MANY)
    arrived = wait_in_line(stack, (FEW, others), (MANY, own))
    states = [job.status for job in read(stack, lambda connection: jobqueries.get(connection, many))]
    assert states.count("queued") > 300
    assert 1 <= states.count("running") <= stack.settings.batch_max  # the batch in hand
    stack.release_held()
    wait_ended(stack, FEW, [others])
    wait_ended(stack, MANY, [own])
    before_others, before_own = (
        [moment for moment in claimed(stack, many, arrived) if moment < taken]
        for taken in claimed(stack, [others], arrived) + claimed(stack, [own], arrived)
    )
    assert before_others == []
    assert before_own == []


def test_a_caller_with_few_images_takes_turns_with_one_who_has_two_thousand(stack: Stack) -> None:
    many: list[str] = []
    for first in (HELD, PLAIN):
        many += submit_batch(stack, MANY, [first if number == 200 else PLAIN for number in range(1000)])[1]
    stack.wait_held()
    _, few = submit_batch(stack, FEW, [PLAIN] * 60)
    arrived = wait_in_line(stack, (FEW, few[0]), (FEW, few[-1]), (MANY, many[-1]))
    stack.release_held()
    wait_ended(stack, FEW, few)
    turns, others = claimed(stack, few, arrived), claimed(stack, many, arrived)
    assert len(turns) == 60
    in_hand = stack.settings.batch_max
    for number, taken in enumerate(turns, 1):
        before = sum(moment < taken for moment in others)
        # neither buried by the two thousand, nor before them all for having come late
        assert number - 2 * in_hand <= before <= number + in_hand


def test_images_that_were_taken_back_cost_their_caller_no_turns(stack: Stack) -> None:
    submit(stack, FEW, HELD)
    stack.wait_held()
    canceled, _ = submit_batch(stack, MANY, [PLAIN] * 100)
    erased, _ = submit_batch(stack, MANY, [PLAIN] * 100)
    _, few = submit_batch(stack, FEW, [PLAIN] * 60)
    wait_in_line(stack, (FEW, few[-1]))
    ask(stack, MANY, "POST", f"/v1/batches/{canceled}/cancel")
    ask(stack, MANY, "DELETE", f"/v1/batches/{erased}")
    one = submit(stack, MANY, priority="batch")
    wait_in_line(stack, (MANY, one))
    assert position(stack, MANY, one) in (0, 1, 2)
    stack.release_held()
    wait_ended(stack, MANY, [one])
