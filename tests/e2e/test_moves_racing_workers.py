"""Callers who cancel, retry, erase and repeat while workers have the same jobs in hand, on both databases."""

import contextlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import jobqueries
from shared.jobs import TERMINAL, Job
from tests.conftest import DATABASES, shared_stack
from tests.photos import HELD_PX, jpeg
from tests.stack import Stack
from tests.waiting import wait_for

HELD, PLAIN = jpeg(*HELD_PX), jpeg()
_AT_ONCE = 20


@pytest.fixture(scope="module", params=DATABASES)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The whole service, with the worker that holds an image; its jobs are not lost to a slow machine."""
    settings = {"TEST_WORKER": "tests.e2e.held_worker", "LEASE_SECONDS": "20"}
    with shared_stack(request, request.param, **settings) as stack:
        yield stack.start()


@contextlib.contextmanager
def holding(stack: Stack, **fields: str) -> Iterator[dict[str, Any]]:
    """The ticket of an image that the only worker has in hand meanwhile; its job has ended afterwards."""
    stack.forget_held()
    ticket = submit(stack, HELD, **fields)
    stack.wait_held()
    try:
        yield ticket
    finally:
        stack.release_held()
    assert stack.submit(PLAIN, Prefer="wait=60")["status"] == "succeeded"  # the worker is through with what it held


def submit(stack: Stack, image: bytes, **fields: str) -> dict[str, Any]:
    answer = stack.client.post("/v1/jobs", files={"file": ("leaf.jpg", image)}, data=fields)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def submit_batch(stack: Stack, images: int) -> tuple[str, list[str]]:
    files = [("files", (f"leaf-{number}.jpg", PLAIN)) for number in range(images)]
    answer = stack.client.post("/v1/batches", files=files)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], [job["id"] for job in answer.json()["jobs"]]


def post(stack: Stack, job_id: str, verb: str) -> httpx.Response:
    return stack.client.post(f"/v1/jobs/{job_id}/{verb}")


def look(stack: Stack, job_id: str) -> dict[str, Any]:
    return dict(stack.client.get(f"/v1/jobs/{job_id}").json())


def rows(stack: Stack, *ids: str) -> list[Job]:
    database = stack.database()
    try:
        return database.read(lambda connection: jobqueries.get(connection, ids))
    finally:
        database.close()


def image_of(stack: Stack, job_id: str) -> Path:
    return stack.settings.images_dir / job_id[-2:] / job_id


def wait_dropped(stack: Stack, job_id: str) -> None:
    """Returns once a worker has said that it had a result for this job, and that nobody wants it."""

    def said() -> bool:
        return any("result dropped" in line and job_id in line for line in stack.log("worker").splitlines())

    wait_for(said, "the late result to be dropped")


def at_once(*works: Callable[[], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result() for done in [pool.submit(work) for work in works]]


def codes(answers: list[httpx.Response]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def assert_gone(stack: Stack, *ids: str) -> None:
    """Nothing is left of these jobs but that they were, and nothing will be."""
    for job in rows(stack, *ids):
        assert job.erased_at is not None
        assert job.status in TERMINAL, job
        assert (job.result, job.filename, job.metadata, job.error_detail) == (None,) * 4
    for job_id in ids:
        assert list(stack.settings.images_dir.rglob(job_id)) == []
        for answer in (stack.client.get(f"/v1/jobs/{job_id}"), post(stack, job_id, "retry")):
            assert (answer.status_code, answer.json()["code"]) == (410, "job-erased")


def test_a_job_that_is_canceled_in_the_workers_hand_stays_canceled(stack: Stack) -> None:
    with holding(stack) as ticket:
        canceled = post(stack, ticket["id"], "cancel")
        assert canceled.status_code == 200
        assert (canceled.json()["status"], canceled.json()["version"]) == ("canceled", 3)
        stack.release_held()
        wait_dropped(stack, ticket["id"])
    after = look(stack, ticket["id"])
    assert after == canceled.json()
    assert (after["attempt"], after["result"], after["error"]) == (1, None, None)
    again = post(stack, ticket["id"], "cancel")
    assert (again.status_code, again.json()["code"]) == (409, "move-refused")
    assert "canceled" in again.json()["detail"]


def test_two_hundred_jobs_end_once_each_while_they_are_canceled_and_run(stack: Stack) -> None:
    with holding(stack):
        _, ids = submit_batch(stack, 200)
        shuffled = random.sample(ids, len(ids))
        with ThreadPoolExecutor(6) as pool:
            canceling = {id_: pool.submit(post, stack, id_, "cancel") for id_ in shuffled}
            wait_for(lambda: sum(one.done() for one in canceling.values()) >= _AT_ONCE, "the first cancels")
            stack.release_held()
        answers = {id_: one.result() for id_, one in canceling.items()}
    assert {answer.status_code for answer in answers.values()} == {200, 409}
    for job in rows(stack, *ids):
        answer = answers[job.id]
        ended = stack.ended(job.id)
        if answer.status_code == 200:
            assert answer.json() == ended
            assert (job.status, job.result) == ("canceled", None)
            assert job.version in (1 + 2 * job.attempt, 2 + 2 * job.attempt)  # in hand or not
        else:  # a slow machine hands back what a batch had no time to begin
            assert (job.status, job.version, job.run) == ("succeeded", 1 + 2 * job.attempt, 1)
            assert job.result is not None
            assert answer.json()["code"] == "move-refused"


def test_of_twenty_retries_of_a_failed_job_one_counts(stack: Stack) -> None:
    with holding(stack):
        ticket = submit(stack, PLAIN)
        image_of(stack, ticket["id"]).rename(stack.folder / "aside")
        stack.release_held()
        assert stack.ended(ticket["id"])["error"]["code"] == "image-missing"
    (stack.folder / "aside").rename(image_of(stack, ticket["id"]))
    with holding(stack):  # so that it cannot fail again, nor end, before the last retry
        answers = at_once(*[lambda: post(stack, ticket["id"], "retry")] * _AT_ONCE)
        assert codes(answers) == [202] + [409] * (_AT_ONCE - 1)
        waiting = look(stack, ticket["id"])
        assert (waiting["status"], waiting["run"], waiting["version"], waiting["error"]) == ("queued", 2, 4, None)
    ended = stack.ended(ticket["id"])
    assert (ended["status"], ended["run"], ended["attempt"], ended["version"]) == ("succeeded", 2, 2, 6)


def test_the_run_after_a_retry_counts_and_not_the_one_still_in_an_old_workers_hand(stack: Stack) -> None:
    with holding(stack) as ticket:
        assert post(stack, ticket["id"], "cancel").status_code == 200
        assert post(stack, ticket["id"], "retry").json()["run"] == 2
        stack.start("worker2")
        wait_for(lambda: look(stack, ticket["id"])["attempt"] == 2, "the second worker to have it in hand")
        (child,) = stack.children("worker2")
        child.suspend()
        stack.release_held()
        wait_dropped(stack, ticket["id"])
        running = look(stack, ticket["id"])
        assert (running["status"], running["version"], running["result"]) == ("running", 5, None)
        child.resume()
        ended = stack.ended(ticket["id"])
        assert (ended["status"], ended["run"], ended["attempt"], ended["version"]) == ("succeeded", 2, 2, 6)
        stack.tell_to_stop("worker2")
        stack.wait_stopped("worker2")


def test_twenty_erasures_at_once_leave_nothing_of_a_job_in_hand_or_in_the_line(stack: Stack) -> None:
    with holding(stack) as in_hand:
        waiting = submit(stack, PLAIN, metadata='{"patient": 7}')
        for ticket in (in_hand, waiting):
            answers = at_once(*[lambda url=ticket["urls"]["self"]: stack.client.delete(url)] * _AT_ONCE)
            assert set(codes(answers)) <= {204, 410}
            assert codes(answers)[0] == 204
        assert_gone(stack, in_hand["id"], waiting["id"])
        stack.release_held()
        wait_dropped(stack, in_hand["id"])
    assert_gone(stack, in_hand["id"], waiting["id"])
    found = {job.id: (job.status, job.version, job.attempt) for job in rows(stack, in_hand["id"], waiting["id"])}
    assert found == {in_hand["id"]: ("canceled", 4, 1), waiting["id"]: ("canceled", 3, 0)}


def test_jobs_that_are_erased_while_they_are_retried_canceled_and_run_are_gone(stack: Stack) -> None:
    with holding(stack):
        batch, ids = submit_batch(stack, 40)
        assert stack.client.post(f"/v1/batches/{batch}/cancel").json()["counts"]["canceled"] == 40
        with ThreadPoolExecutor(9) as pool:
            retries = [pool.submit(post, stack, id_, "retry") for id_ in ids[:15]]
            wait_for(lambda: all(one.done() for one in retries), "the first to be waiting again")
            stack.release_held()
            retries += [pool.submit(post, stack, id_, "retry") for id_ in random.sample(ids, 40)]
            cancels = [pool.submit(post, stack, id_, "cancel") for id_ in random.sample(ids, 40)]
            erasures = [pool.submit(stack.client.delete, f"/v1/jobs/{id_}") for id_ in random.sample(ids, 40)]
        assert {one.result().status_code for one in retries} <= {202, 409, 410}
        assert {one.result().status_code for one in cancels} <= {200, 409, 410}
        assert {one.result().status_code for one in erasures} == {204}
    assert_gone(stack, *ids)


def test_a_deadline_ends_what_waits_and_not_what_was_claimed_in_time(stack: Stack) -> None:
    with holding(stack, deadline_seconds="2") as in_hand, ThreadPoolExecutor(1) as pool:
        waiting = submit(stack, PLAIN, deadline_seconds="3")
        answer = pool.submit(stack.client.get, waiting["urls"]["self"], headers={"Prefer": "wait=30"}).result()
        failed = answer.json()
        assert (failed["status"], failed["error"]["code"]) == ("failed", "deadline-exceeded")
        assert (failed["attempt"], failed["version"]) == (0, 2)
        stack.release_held()
        ended = stack.ended(in_hand["id"])
        assert ended["timeline"]["stored"] > 2000  # after its deadline
        assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    assert look(stack, waiting["id"]) == failed


def test_no_worker_runs_a_job_after_its_deadline_though_nobody_has_ended_it(stack: Stack) -> None:
    stack.kill("courier")
    with holding(stack):
        late = submit(stack, PLAIN, deadline_seconds="1")
        (job,) = rows(stack, late["id"])
        database = stack.database()
        wait_for(lambda: job.deadline_at and database.read(jobqueries.now) > job.deadline_at, "its deadline to pass")
        database.close()
    seen = look(stack, late["id"])
    assert (seen["status"], seen["attempt"], seen["position"]) == ("queued", 0, None)  # taken, and left
    stack.start("courier")
    assert stack.ended(late["id"])["error"]["code"] == "deadline-exceeded"
