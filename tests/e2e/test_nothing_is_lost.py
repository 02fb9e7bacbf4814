"""202 means that a job will end, once: whatever is killed, flushed or stopped meanwhile.

One service for each database lives through all of it; what a test has killed, the next one starts again.
"""

import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from shared import jobqueries
from shared.hooks import new_secret
from tests.conftest import DATABASES, shared_stack
from tests.photos import HELD_PX, POISON_PX, jpeg
from tests.receiver import Receiver
from tests.stack import Stack, kill_hard
from tests.waiting import wait_for

SECRET = new_secret()
HELD, POISON, PLAIN = jpeg(*HELD_PX), jpeg(*POISON_PX), jpeg()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Is told of every end."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module", params=DATABASES)
def service(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[Stack]:
    """The service with the worker that holds an image; however long that was, a batch takes all that waits."""
    settings = {"TEST_WORKER": "tests.e2e.held_worker", "BATCH_SECONDS": "30", "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
    with shared_stack(request, request.param, **settings) as stack:
        made = stack.have("redis", "api").client.post("/v1/webhooks", json={"url": receiver.url, "secret": SECRET})
        assert made.status_code == 201, made.text
        yield stack


@pytest.fixture
def stack(service: Stack) -> Iterator[Stack]:
    """All of it runs, and nothing is held."""
    service.forget_held()
    yield service.have()
    service.release_held()


@pytest.fixture
def without_a_worker(service: Stack) -> Stack:
    """Redis and the API alone."""
    return service.have("redis", "api")


def assert_late_result_is_dropped(stack: Stack, job_id: str) -> None:
    def said() -> bool:
        lines = stack.log("worker").splitlines()
        return any("its claim was no longer the latest" in line and job_id in line for line in lines)

    wait_for(said, "the late result to be dropped")


def test_everything_may_be_stopped_and_started_again_with_its_jobs(without_a_worker: Stack) -> None:
    stack = without_a_worker
    tickets = [stack.submit(PLAIN) for _ in range(3)]
    stack.kill("api")
    stack.redis.kill()
    stack.start()
    ended: list[dict[str, Any]] = [stack.ended(ticket["id"]) for ticket in tickets]
    assert {ticket["status"] for ticket in ended} == {"succeeded"}


def test_a_flush_under_a_running_service_loses_neither_jobs_nor_the_bell(stack: Stack) -> None:
    waiting = [stack.submit(HELD), *(stack.submit(PLAIN) for _ in range(5))]
    stack.wait_held()
    stack.redis.client().flushall()
    stack.release_held()
    later = [stack.submit(PLAIN) for _ in range(5)]
    assert {stack.ended(ticket["id"])["status"] for ticket in waiting + later} == {"succeeded"}
    assert stack.submit(PLAIN, Prefer="wait=60")["status"] == "succeeded"


def test_redis_may_die_and_come_back_while_jobs_wait_and_arrive(stack: Stack) -> None:
    before = [stack.submit(HELD), *(stack.submit(PLAIN) for _ in range(5))]
    stack.wait_held()
    stack.redis.kill()
    during = [stack.submit(PLAIN) for _ in range(5)]
    assert {ticket["status"] for ticket in during} == {"queued"}
    stack.release_held()
    stack.redis.start()
    assert {stack.ended(ticket["id"])["status"] for ticket in before + during} == {"succeeded"}
    after = stack.submit(PLAIN, Prefer="wait=60")
    assert after["status"] == "succeeded"


def test_a_duplicate_in_the_line_is_run_once(stack: Stack) -> None:
    held = stack.submit(HELD)
    stack.wait_held()
    done = stack.submit(PLAIN)
    line = "turno:{leaf-health}:line"
    redis = stack.redis.client()
    redis.zadd(line, {held["id"]: 0})  # taken already, and running
    stack.release_held()
    first = stack.ended(done["id"])
    redis.zadd(line, {done["id"]: 0})  # ended already
    wait_for(lambda: redis.zcard(line) == 0, "the line to be empty")
    assert stack.submit(PLAIN, Prefer="wait=60")["status"] == "succeeded"
    assert stack.ended(held["id"])["attempt"] == 1
    assert stack.ended(done["id"]) == first


def test_a_slow_image_stays_with_the_worker_that_renews_its_lease(stack: Stack) -> None:
    ticket = stack.submit(HELD)
    stack.wait_held()
    database = stack.database()
    first = stack.lease_of(ticket["id"])
    ahead = timedelta(seconds=2 * stack.settings.lease_seconds)
    wait_for(lambda: database.read(jobqueries.now) > first + ahead, "two leases to pass")
    stack.release_held()
    assert stack.ended(ticket["id"])["attempt"] == 1
    database.close()


def test_a_poisonous_image_fails_alone_and_its_batch_mates_succeed(stack: Stack) -> None:
    held = stack.submit(HELD)  # so that what follows is taken as one batch
    stack.wait_held()
    mates = [stack.submit(PLAIN) for _ in range(3)]
    poison = stack.submit(POISON)
    mates += [stack.submit(PLAIN) for _ in range(3)]
    stack.release_held()
    assert stack.ended(held["id"])["status"] == "succeeded"
    failed = stack.ended(poison["id"])
    assert (failed["status"], failed["error"]["code"], failed["attempt"]) == ("failed", "worker-lost", 3)
    for ended in (stack.ended(mate["id"]) for mate in mates):
        assert ended["status"] == "succeeded"
        assert ended["attempt"] == 2  # once with the poison, once without


def test_a_killed_childs_jobs_are_run_by_the_next_child(stack: Stack) -> None:
    tickets = [stack.submit(HELD), *(stack.submit(PLAIN) for _ in range(5))]
    stack.wait_held()
    for child in stack.children("worker"):
        kill_hard(child)
    stack.release_held()
    ended = [stack.ended(ticket["id"]) for ticket in tickets]
    assert {ticket["status"] for ticket in ended} == {"succeeded"}
    assert ended[0]["attempt"] == 2


def test_a_worker_that_was_away_does_not_end_a_job_twice(stack: Stack) -> None:
    ticket = stack.submit(HELD)
    stack.wait_held()
    (child,) = stack.children("worker")
    child.suspend()  # neither dead nor renewing its lease
    stack.start("worker2")
    wait_for(lambda: stack.client.get(f"/v1/jobs/{ticket['id']}").json()["attempt"] == 2, "the job to be taken over")
    stack.release_held()
    ended = stack.ended(ticket["id"])
    child.resume()  # it comes back with a late result
    assert_late_result_is_dropped(stack, ticket["id"])
    assert ended["status"] == "succeeded"
    assert stack.ended(ticket["id"]) == ended


def test_a_killed_parents_jobs_are_run_by_the_next_worker(stack: Stack) -> None:
    tickets = [stack.submit(HELD), *(stack.submit(PLAIN) for _ in range(5))]
    stack.wait_held()
    children = stack.children("worker")
    stack.kill("worker")
    for child in children:
        kill_hard(child)
    stack.release_held()
    stack.start("worker")
    ended = [stack.ended(ticket["id"]) for ticket in tickets]
    assert {ticket["status"] for ticket in ended} == {"succeeded"}
    assert ended[0]["attempt"] == 2


def test_a_worker_that_does_not_hear_its_bell_ends_so_that_another_can_start(stack: Stack) -> None:
    stack.suspend("worker")  # the Celery parent alone, as when it has lost its broker
    ticket = stack.submit(PLAIN)
    assert stack.wait_stopped("worker") == -signal.SIGKILL
    assert stack.status(ticket["id"]) == "queued"
    stack.start("worker")
    assert stack.ended(ticket["id"])["status"] == "succeeded"


def test_a_worker_that_is_asked_to_stop_finishes_what_it_holds(stack: Stack) -> None:
    ticket = stack.submit(HELD)
    stack.wait_held()
    stack.tell_to_stop("worker")
    stack.release_held()
    ended = stack.ended(ticket["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    assert stack.wait_stopped("worker") == 0


def test_a_flushed_redis_loses_no_waiting_job(without_a_worker: Stack) -> None:
    stack = without_a_worker
    tickets = [stack.submit(PLAIN) for _ in range(20)]
    stack.redis.client().flushall()
    stack.start("courier", "worker")
    assert {stack.ended(ticket["id"])["status"] for ticket in tickets} == {"succeeded"}


def test_every_end_was_told_of(stack: Stack, receiver: Receiver) -> None:
    stack.ended(stack.submit(PLAIN)["id"])
    page, expected = "/v1/jobs?limit=200", set()
    while page:
        answer = stack.client.get(page).json()
        ended = [job for job in answer["jobs"] if job["status"] in ("succeeded", "failed", "canceled")]
        expected |= {(f"{job['id']}-{job['version']}", f"job.{job['status']}") for job in ended}
        page = answer["next"]

    def told() -> set[tuple[str, str]]:
        requests = list(receiver.requests)
        return {(one.headers["webhook-id"], Webhook(SECRET).verify(one.body, one.headers)["type"]) for one in requests}

    wait_for(lambda: expected <= told(), "every end to be told", 60)
