"""Moves that are made at once: whoever wins, a job lives by its diagram and every move counts, on every database."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from threading import Barrier, Event
from typing import TypeVar

import pytest
import sqlalchemy as sa

from shared import batchstore, jobqueries, jobstore
from shared.database import Database
from shared.errors import ImageUndecodable
from shared.jobs import TERMINAL, Batch, JobStatus, Keep, NewJob, Outcome
from shared.tables import batches
from tests.shared.make import EPOCH, RESULT, add, claim, finish, get, new_job, statuses, succeed

S = JobStatus
T = TypeVar("T")
IDS = [f"{number:03}" for number in range(24)]
Work = Callable[[], T]


def _at_once(*works: Work[T]) -> list[T]:
    """What these return, all begun in the same moment."""
    start = Barrier(len(works), timeout=30)

    def run(work: Work[T]) -> T:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result(60) for done in [pool.submit(run, work) for work in works]]


def _add(database: Database, one: NewJob) -> set[str]:
    return database.write(lambda connection: jobstore.add(connection, [one]), durable=True)


def _cancel(database: Database, job_id: str) -> bool:
    return database.write(lambda connection: jobstore.cancel(connection, job_id), durable=True)


def _retry(database: Database, job_id: str) -> bool:
    return database.write(lambda connection: jobstore.retry(connection, job_id), durable=True)


def _erase(database: Database, *ids: str) -> None:
    database.write(lambda connection: jobstore.erase(connection, ids), durable=True)


def _fail(database: Database, *ids: str) -> None:
    for one in claim(database, *ids):
        finish(database, Outcome(one, error_code=ImageUndecodable.code, error_detail="Damaged."))


def _each(ids: Iterable[str], move: Callable[[str], bool]) -> dict[str, bool]:
    """Which of these were moved, in an order of their own."""
    shuffled = list(ids)
    random.shuffle(shuffled)
    return {id_: move(id_) for id_ in shuffled}


def _assert_gone(database: Database, ids: Iterable[str]) -> None:
    """Erased, ended, and without content."""
    for id_ in ids:
        job = get(database, id_)
        assert job.erased_at is not None
        assert job.status in TERMINAL, (id_, job)
        assert (job.result, job.filename, job.metadata, job.error_detail) == (None,) * 4


def test_of_many_retries_at_once_one_counts(database: Database) -> None:
    add(database, *IDS[:2])
    _fail(database, *IDS[:2])
    for id_ in IDS[:2]:
        assert sorted(_at_once(*[lambda id_=id_: _retry(database, id_)] * 8)) == [False] * 7 + [True]
        job = get(database, id_)
        assert (job.status, job.run, job.version) == (S.QUEUED, 2, 4)


def test_of_many_cancels_at_once_one_counts(database: Database) -> None:
    add(database, *IDS[:2])
    claim(database, *IDS[:1])
    for id_ in IDS[:2]:
        before = get(database, id_).version
        assert sorted(_at_once(*[lambda id_=id_: _cancel(database, id_)] * 8)) == [False] * 7 + [True]
        assert get(database, id_).version == before + 1


def test_of_many_erasures_at_once_one_counts(database: Database) -> None:
    add(database, *IDS[:3])
    succeed(database, *claim(database, *IDS[:1]))
    claim(database, *IDS[1:2])
    for id_, moves in zip(IDS[:3], [1, 2, 2], strict=True):  # what has not ended is canceled first
        before = get(database, id_).version
        _at_once(*[lambda id_=id_: _erase(database, id_)] * 8)
        assert get(database, id_).version == before + moves
    _assert_gone(database, IDS[:3])


@pytest.mark.parametrize("by_batch", [False, True])
def test_what_is_erased_while_it_is_retried_never_waits_again(by_batch: bool, database: Database) -> None:
    batch = Batch("batch", "key-a", EPOCH, total=1, refused=[])
    arrivals = [new_job("a", batch_id="batch", batch_index=0)]
    database.write(lambda connection: connection.execute(sa.delete(batches)))
    database.write(lambda connection: batchstore.add(connection, batch, arrivals))
    _fail(database, "a")
    retrying: list[Future[bool]] = []

    def retry_meanwhile(_connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE jobs") and "erased_at=" in statement and not begun.is_set():
            begun.set()
            retrying.append(pool.submit(_retry, database, "a"))
            wait(retrying, timeout=0.3)  # or it waits itself, for the erasure

    begun = Event()
    with ThreadPoolExecutor(1) as pool:
        sa.event.listen(database.engine, "before_cursor_execute", retry_meanwhile)
        if by_batch:
            database.write(lambda connection: batchstore.erase(connection, "batch"), durable=True)
        else:
            _erase(database, "a")
        (retried,) = retrying
        assert retried.result(60) in (False, True)  # it may have come first
    _assert_gone(database, ["a"])
    assert claim(database, "a") == []


def test_what_is_erased_while_it_ends_has_no_result(database: Database) -> None:
    add(database, *IDS)
    claims = {one.id: one for one in claim(database, *IDS)}

    def end() -> dict[str, bool]:
        return _each(IDS, lambda id_: bool(succeed(database, claims[id_])))

    def erase() -> dict[str, bool]:
        for id_ in random.sample(IDS, len(IDS)):
            _erase(database, id_)
        return {}

    ended, _, _ = _at_once(end, erase, erase)
    _assert_gone(database, IDS)
    for id_ in IDS:
        job = get(database, id_)
        assert (job.status, job.version) == (S.SUCCEEDED if ended[id_] else S.CANCELED, 4)


def test_a_job_is_claimed_or_canceled_first_and_every_move_counts(database: Database) -> None:
    add(database, *IDS)

    def work() -> dict[str, bool]:
        claims = [one for at in range(0, len(IDS), 8) for one in claim(database, *IDS[at : at + 8])]
        landed = {outcome.claim.id for one in claims for outcome in succeed(database, one)}
        return {id_: id_ in landed for id_ in IDS}

    def withdraw() -> dict[str, bool]:
        return _each(IDS, lambda id_: _cancel(database, id_))

    finished, canceled = _at_once(work, withdraw)
    for id_ in IDS:
        job = get(database, id_)
        assert finished[id_] != canceled[id_], id_
        assert job.status is (S.CANCELED if canceled[id_] else S.SUCCEEDED)
        assert job.result == (None if canceled[id_] else RESULT)
        assert job.version == 2 + job.attempt  # queued, perhaps claimed, ended


def test_a_deadline_and_a_claim_at_the_same_moment_do_not_both_count(database: Database) -> None:
    near = database.read(jobqueries.now) + timedelta(milliseconds=150)
    for number, id_ in enumerate(IDS):
        add(database, id_, received_at=near + timedelta(milliseconds=5 * number, seconds=-1), deadline_seconds=1)
    expired: set[str] = set()

    def expire() -> set[str]:
        while S.QUEUED in statuses(database, IDS).values():
            expired.update(job.id for job in database.write(jobstore.expire, durable=True))
        return expired

    def work() -> set[str]:
        claimed = set()
        while S.QUEUED in statuses(database, IDS).values():
            claimed |= {one.id for one in claim(database, random.choice(IDS))}
        return claimed

    ended, claimed, more = _at_once(expire, work, work)
    assert not claimed & more
    assert sorted(ended | claimed | more) == IDS
    assert not ended & (claimed | more)
    for id_ in IDS:
        job = get(database, id_)
        assert job.version == 2
        if id_ in ended:
            assert (job.status, job.attempt, job.error_code) == (S.FAILED, 0, "deadline-exceeded")
        else:
            assert (job.status, job.attempt, job.error_code) == (S.RUNNING, 1, None)


def test_a_retried_job_keeps_its_image_or_is_not_retried(database: Database) -> None:
    add(database, *IDS, keep=Keep.RESULT)
    for id_ in IDS:
        _cancel(database, id_)

    def spend() -> dict[str, bool]:
        spent: set[str] = set()
        for _ in IDS:
            spent.update(database.write(lambda connection: jobstore.spend_images(connection, 2)))
        return {id_: id_ in spent for id_ in IDS}

    spent, retried = _at_once(spend, lambda: _each(IDS, lambda id_: _retry(database, id_)))
    assert {id_ for id_ in IDS if spent[id_]} == {id_ for id_ in IDS if not retried[id_]}


@pytest.mark.parametrize("name", ["client_id", "idempotency_key"])
def test_a_first_name_wins_among_many_and_each_learns_which(name: str, database: Database) -> None:
    ids = [f"{number:03}" for number in range(8)]
    landed = _at_once(*[partial(_add, database, new_job(id_, **{name: "leaf 1"})) for id_ in ids])
    (winner,) = set().union(*landed)
    first = database.read(lambda connection: jobqueries.first_with(connection, "key-a", **{name: "leaf 1"}))
    assert first is not None
    assert first.id == winner
    assert list(statuses(database, ids)) == [winner]
