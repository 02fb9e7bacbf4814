"""A batch that is completed is told of once, whoever ends its last jobs at the same moment, on every database."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial
from threading import Barrier, Event
from typing import Any

import pytest
import sqlalchemy as sa

from shared import batchstore, hooks, jobqueries, jobstore
from shared.database import Database
from shared.errors import ImageUndecodable
from shared.jobs import Batch, Claim, Outcome, Refused
from tests.contract.told import URL, hook, log, register
from tests.shared.make import EPOCH, claim, finish, get, new_job, succeed

COMPLETED = hooks.Event.BATCH_COMPLETED
_ON_POSTGRES = pytest.mark.parametrize("database", ["postgres"], indirect=True)
_AT_ONCE = 6
_ROUNDS = 4


def _begin(database: Database, batch_id: str, size: int, refused: int = 0, **changes: Any) -> list[str]:
    """A batch of so many jobs, of whose completion their address is to hear; the jobs' ids."""
    ids = [f"{batch_id}{number:03}" for number in range(size)]
    bad = [Refused(size + number, "notes.txt", "image-type-refused", "No image.") for number in range(refused)]
    batch = Batch(batch_id, "key-a", EPOCH, size + refused, bad)
    wanted = {**hook(COMPLETED), **changes}
    arrivals = [new_job(id_, batch_id=batch_id, batch_index=at, **wanted) for at, id_ in enumerate(ids)]
    assert database.write(lambda connection: batchstore.add(connection, batch, arrivals))
    return ids


def _cancel(database: Database, job_id: str) -> None:
    assert database.write(lambda connection: jobstore.cancel(connection, job_id), durable=True)


def _erase(database: Database, job_id: str) -> None:
    database.write(lambda connection: jobstore.erase(connection, [job_id]), durable=True)


def _succeed(database: Database, one: Claim) -> None:
    assert succeed(database, one)


def _completions(database: Database, batch_id: str = "b") -> list[str]:
    """The messages' ids, one for each address that was told."""
    return [one.message_id for one in log(database) if one.batch_id == batch_id]


def test_a_batch_is_told_of_when_its_last_job_ends_and_not_before(database: Database) -> None:
    registered = register(database, events=[COMPLETED])
    register(database, "https://another.example/", events=[hooks.Event.JOB_STARTED])
    one, two, three = _begin(database, "b", 3, refused=2)
    succeed(database, *claim(database, one))
    finish(database, *[Outcome(held, error_code=ImageUndecodable.code) for held in claim(database, two)])
    assert _completions(database) == []
    before = database.read(jobqueries.now)
    _cancel(database, three)
    told = [delivery for delivery in log(database) if delivery.event is COMPLETED]
    assert {(one.endpoint_id, one.url) for one in told} == {(None, URL), (registered.id, registered.url)}
    assert {(one.message_id, one.job_id, one.batch_id, one.caller) for one in told} == {("b-8", None, "b", "key-a")}
    (said,) = [json.loads(body) for body in {one.payload or "" for one in told}]
    assert said["type"] == "batch.completed"
    assert said["timestamp"] == said["data"]["completed_at"]
    assert before <= datetime.fromisoformat(said["timestamp"]) <= database.read(jobqueries.now)
    assert said["data"]["counts"] == {"succeeded": 1, "failed": 1, "canceled": 1, "refused": 2}
    assert (said["data"]["id"], said["data"]["total"]) == ("b", 5)


def test_who_wants_to_hear_of_jobs_alone_hears_of_no_batch(database: Database) -> None:
    for id_ in _begin(database, "b", 2, **hook(*hooks.ENDS)):
        _cancel(database, id_)
    assert [one.event for one in log(database)] == [hooks.Event.JOB_CANCELED] * 2


def test_a_batch_that_is_completed_again_is_told_of_again_under_another_id(database: Database) -> None:
    ids = _begin(database, "b", 2)
    for id_ in ids:
        _cancel(database, id_)
    for _ in range(2):
        assert database.write(lambda connection: jobstore.retry(connection, ids[0]))
        succeeded_before = len(_completions(database))
        _cancel(database, ids[0])
        assert len(_completions(database)) == succeeded_before + 1
    assert _completions(database) == ["b-4", "b-6", "b-8"]


def test_what_happens_to_a_completed_batch_does_not_complete_it_again(database: Database) -> None:
    one, two = _begin(database, "b", 2)
    (held,) = claim(database, one)
    _cancel(database, two)
    _succeed(database, held)
    assert succeed(database, held) == []
    _erase(database, two)
    database.write(lambda connection: batchstore.cancel(connection, "b"))
    database.write(lambda connection: batchstore.erase(connection, "b"))
    assert _completions(database) == ["b-5"]


def test_five_hundred_jobs_that_are_canceled_at_once_complete_their_batch_once(database: Database) -> None:
    register(database, events=hooks.ENDS)
    _begin(database, "b", 500)
    assert len(database.write(lambda connection: batchstore.cancel(connection, "b"), durable=True)) == 500
    told = log(database)
    assert len({one.message_id for one in told}) == len(told) == 501
    assert _completions(database) == ["b-1000"]


def test_several_batches_that_end_in_one_transaction_are_each_told_of(database: Database) -> None:
    ids = [*_begin(database, "b", 2), *_begin(database, "c", 2), *_begin(database, "d", 2)]
    database.write(lambda connection: jobstore.cancel_all(connection, ids[:-1]))
    assert [_completions(database, id_) for id_ in "bcd"] == [["b-4"], ["c-4"], []]


def test_an_erased_batch_is_told_of_without_saying_what_it_was(database: Database) -> None:
    ids = _begin(database, "b", 3, refused=1)
    _erase(database, ids[0])
    database.write(lambda connection: batchstore.erase(connection, "b"), durable=True)
    assert [(one.event, one.payload) for one in log(database)] == [(COMPLETED, None)]


def test_a_batch_that_is_erased_in_time_leaves_nothing_of_what_was_told(database: Database) -> None:
    for batch_id in "bc":
        for id_ in _begin(database, batch_id, 2):
            _cancel(database, id_)
            if batch_id == "b":
                _erase(database, id_)
    assert all(one.payload for one in log(database))
    later = database.read(jobqueries.now)
    database.write(lambda connection: batchstore.erase_emptied(connection, later))
    assert [(one.batch_id, one.payload is None) for one in log(database)] == [("b", True), ("c", False)]


@_ON_POSTGRES  # SQLite has one writer at a time: who registers comes before an end, or after it
def test_who_registers_between_the_ends_of_the_last_two_jobs_hears_of_their_batch(database: Database) -> None:
    one, two = claim(database, *_begin(database, "b", 2, webhook_url=None, webhook_events=None))
    moved, committing = Event(), Event()

    def finish_and_dawdle(connection: sa.Connection) -> None:
        jobstore.finish(connection, [Outcome(one, error_code=ImageUndecodable.code)])
        moved.set()
        assert committing.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(database.write, finish_and_dawdle)
        assert moved.wait(30)
        register(database, events=[COMPLETED])
        second = pool.submit(_succeed, database, two)
        wait([second], timeout=0.3)
        committing.set()
        first.result(30)
        second.result(30)
    assert _completions(database) == ["b-6"]


def test_of_two_that_end_the_last_two_jobs_the_second_waits_and_sees_the_first(database: Database) -> None:
    one, two = claim(database, *_begin(database, "b", 2))
    moved, committing = Event(), Event()

    def finish_and_dawdle(connection: sa.Connection) -> None:
        jobstore.finish(connection, [Outcome(one, error_code=ImageUndecodable.code)])
        moved.set()
        assert committing.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(database.write, finish_and_dawdle)
        assert moved.wait(30)
        second = pool.submit(_succeed, database, two)
        assert not wait([second], timeout=0.3).done
        committing.set()
        first.result(30)
        second.result(30)
    assert _completions(database) == ["b-6"]


def test_many_that_end_a_batchs_jobs_at_the_same_moment_complete_it_once(database: Database) -> None:
    register(database, events=[COMPLETED])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(_ROUNDS):
            batch_id = f"batch{number}"
            ids = _begin(database, batch_id, _AT_ONCE)
            for run in (1, 2):
                _end_at_once(database, pool, ids)
                completions = _completions(database, batch_id)
                assert len(completions) == 2 * run  # for the jobs' address, and for the registered one
                assert completions[-1] == f"{batch_id}-{sum(get(database, id_).version for id_ in ids)}"
                for id_ in ids:
                    _retry(database, id_)


def _retry(database: Database, job_id: str) -> None:
    # those that succeeded stay as they are
    database.write(lambda connection: jobstore.retry(connection, job_id))


def _end_at_once(database: Database, pool: ThreadPoolExecutor, ids: list[str]) -> None:
    """Ends each of these, as far as it has not ended, one by one and in many ways."""
    waiting = [id_ for id_ in ids if not get(database, id_).terminal]
    claims = {one.id: one for id_ in waiting[::2] for one in claim(database, id_)}
    start = Barrier(len(waiting), timeout=30)

    def end(work: Callable[[], None]) -> None:
        start.wait()
        work()

    works = [
        partial(_succeed, database, claims[id_]) if id_ in claims and number % 4 else partial(_cancel, database, id_)
        for number, id_ in enumerate(waiting)
    ]
    for done in [pool.submit(end, work) for work in random.sample(works, len(works))]:
        done.result(60)


def test_a_cancel_and_an_erasure_of_a_batch_while_its_jobs_end_complete_it_once(database: Database) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(_ROUNDS):
            batch_id = f"batch{number}"
            claims = claim(database, *_begin(database, batch_id, 8))
            works: list[Callable[[], object]] = [
                partial(succeed, database, *claims[:2]),
                partial(succeed, database, *claims[:5:-1]),
                lambda batch_id=batch_id: database.write(lambda it: batchstore.cancel(it, batch_id), durable=True),
                lambda batch_id=batch_id: database.write(lambda it: batchstore.erase(it, batch_id), durable=True),
            ]
            for done in [pool.submit(work) for work in random.sample(works, len(works))]:
                done.result(60)
            assert len(_completions(database, batch_id)) == 1
