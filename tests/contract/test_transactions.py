"""What `read` and `write` promise, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from shared import jobstore
from shared.database import Database, migrate
from shared.tables import jobs
from tests.shared.make import add, claim, get, new_job, statuses, succeed

_ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
_ON_POSTGRES = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def test_a_write_that_raises_changes_nothing(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        jobstore.add(connection, [new_job("a")])
        raise KeyError("of the caller")

    with pytest.raises(KeyError):
        database.write(work)
    assert statuses(database, ["a"]) == {}


def test_a_fault_that_is_not_transient_is_raised_at_once(database: Database) -> None:
    attempts = []

    def work(connection: sa.Connection) -> None:
        attempts.append(1)
        jobstore.add(connection, [new_job("a", caller=None)])

    with pytest.raises(IntegrityError):
        database.write(work)
    assert len(attempts) == 1


def test_a_database_without_its_table_raises_operationally_and_does_not_ping(database: Database) -> None:
    database.ping()
    with pytest.raises(sa.exc.DBAPIError):
        database.write(lambda connection: connection.execute(sa.text("SELECT 1 FROM nothing_here")))


def test_migrating_again_changes_nothing(database: Database) -> None:
    add(database, "a")
    migrate(database.url)
    assert statuses(database, ["a"]) == {"a": "queued"}


def test_the_migrated_table_is_the_one_the_code_means(database: Database) -> None:
    found = sa.inspect(database.engine)
    columns = {column["name"]: column["nullable"] for column in found.get_columns("jobs")}
    assert columns == {column.name: column.nullable for column in jobs.columns}
    assert {index["name"] for index in found.get_indexes("jobs")} == {index.name for index in jobs.indexes}


def test_a_read_sees_only_what_was_committed(database: Database) -> None:
    inside, seen = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        jobstore.add(connection, [new_job("a")])
        inside.set()
        assert seen.wait(30)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(database.write, work)
        assert inside.wait(30)
        before = statuses(database, ["a"])
        seen.set()
        writing.result(30)
    assert before == {}
    assert statuses(database, ["a"]) == {"a": "queued"}


def test_many_writers_at_once_all_get_through(database: Database) -> None:
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: add(database, f"{number:03}"), range(60)))
    ids = [f"{number:03}" for number in range(60)]
    assert len(statuses(database, ids)) == 60


def test_no_job_is_claimed_by_two_workers_at_once(database: Database) -> None:
    ids = [f"{number:03}" for number in range(80)]
    add(database, *ids)

    def worker(number: int) -> list[str]:
        mine = ids if number % 2 else ids[::-1]
        return [
            one.id for at in range(0, 80, 8) for one in claim(database, *mine[at : at + 8], owner=f"host/boot/{number}")
        ]

    with ThreadPoolExecutor(6) as pool:
        claimed = [id_ for taken in pool.map(worker, range(6)) for id_ in taken]
    assert len(claimed) == len(set(claimed))
    assert {get(database, id_).attempt for id_ in claimed} == {1}
    left = [id_ for id_, status in statuses(database, ids).items() if status == "queued"]
    assert sorted(claimed + [one.id for id_ in left for one in claim(database, id_)]) == ids


def test_of_a_cancel_and_a_finish_at_once_exactly_one_wins(database: Database) -> None:
    ids = [f"{number:02}" for number in range(24)]
    add(database, *ids)
    claims = {one.id: one for one in claim(database, *ids)}
    with ThreadPoolExecutor(8) as pool:
        canceling = {
            id_: pool.submit(database.write, lambda connection, id_=id_: jobstore.cancel(connection, id_))
            for id_ in ids
        }
        landing = {id_: pool.submit(succeed, database, claims[id_]) for id_ in ids}
    for id_ in ids:
        won = (canceling[id_].result(), bool(landing[id_].result()))
        assert sorted(won) == [False, True], id_
        assert get(database, id_).status == ("canceled" if won[0] else "succeeded")
        assert get(database, id_).version == 3


def test_two_batches_that_overlap_are_handed_back_without_deadlock(database: Database) -> None:
    ids = [f"{number:02}" for number in range(30)]
    add(database, *ids)
    claims = claim(database, *ids)

    def hand_back(_: int) -> None:
        database.write(lambda connection: jobstore.hand_back(connection, claims))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hand_back, range(8)))
    assert {get(database, id_).version for id_ in ids} == {3}


@_ON_POSTGRES  # SQLite has one writer at a time: nothing can deadlock
def test_a_deadlock_is_tried_again_until_both_are_through(database: Database) -> None:
    add(database, "a", "b")
    meeting, attempts = threading.Barrier(2, timeout=30), []

    def lock(first: str, second: str) -> None:
        def work(connection: sa.Connection) -> None:
            attempts.append(first)
            touch = sa.update(jobs).values(version=jobs.c.version + 1)
            connection.execute(touch.where(jobs.c.id == first))
            if len(attempts) <= 2:
                meeting.wait()
            connection.execute(touch.where(jobs.c.id == second))

        database.write(work)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(lock, "a", "b"), pool.submit(lock, "b", "a")]:
            done.result(60)
    assert len(attempts) == 3
    assert get(database, "a").version == get(database, "b").version == 3


@_ON_SQLITE
def test_a_locked_database_is_tried_again(database: Database) -> None:
    attempts = []

    def work(connection: sa.Connection) -> str:
        attempts.append(1)
        jobstore.add(connection, [new_job("a")])
        if len(attempts) < 3:
            _provoke_locked(database.url)
        return "done"

    assert database.write(work) == "done"
    assert len(attempts) == 3
    assert statuses(database, ["a"]) == {"a": "queued"}


@_ON_SQLITE
def test_a_database_that_stays_locked_is_given_up_with_its_own_error(database: Database) -> None:
    attempts = []

    def work(connection: sa.Connection) -> None:
        attempts.append(1)
        _provoke_locked(database.url)

    with pytest.raises(OperationalError, match="locked"):
        database.write(work)
    assert len(attempts) == 5


def _provoke_locked(url: str) -> None:
    """Raises what SQLite raises when another writer holds the lock, for one does: the caller."""
    impatient = sa.create_engine(url, connect_args={"timeout": 0, "isolation_level": None})
    try:
        with impatient.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        impatient.dispose()


@_ON_POSTGRES
def test_a_client_that_falls_silent_within_a_transaction_does_not_keep_its_locks(database: Database) -> None:
    # as one does whose network is gone: the server hears nothing of it, for hours if it were not told to mind
    add(database, "a")
    (claimed,) = claim(database, "a")
    silent = database.engine.connect()
    silent.begin()
    silent.execute(sa.select(jobs.c.id).where(jobs.c.id == "a").with_for_update())
    assert succeed(database, claimed)
    with pytest.raises(DBAPIError, match="idle-in-transaction"):
        silent.execute(sa.text("SELECT 1"))
    silent.invalidate()
    silent.close()
