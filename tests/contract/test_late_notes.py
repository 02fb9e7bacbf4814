"""What was tried stands in the log, whatever happened to the delivery while it was on its way; on every database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import Attempt, Delivery, DeliveryState
from shared.tables import deliveries
from tests.contract.told import change, delivery, log, message, post, register
from tests.shared.make import EPOCH

S = DeliveryState
_HOUR = timedelta(hours=1)
_GOOD = Attempt(EPOCH, 12.5, 204)
_BAD = Attempt(EPOCH - _HOUR, 12.5, 500, "answered 500")


def _taken(database: Database) -> Delivery:
    """A delivery that a courier has on its way."""
    (id_,) = post(database, message())
    return _take(database, id_)


def _take(database: Database, delivery_id: str, later: timedelta = timedelta()) -> Delivery:
    now = database.read(jobqueries.now) + later
    (taken,) = database.write(lambda it: outbox.take(it, [delivery_id], now, now + timedelta(seconds=30)))
    return taken


def _record(database: Database, one: Delivery, attempt: Attempt, again_at: datetime | None = None) -> bool:
    return database.write(lambda connection: outbox.record(connection, one, attempt, again_at))


def _send_again(database: Database, one: Delivery) -> None:
    assert database.write(lambda connection: outbox.send_again(connection, [one.id])) == 1


def _give_up(database: Database, one: Delivery) -> None:
    database.write(lambda connection: outbox.give_up(connection, one.id, "for a test"))


@pytest.mark.parametrize("late", [_GOOD, _BAD])
def test_of_two_that_tried_the_same_the_second_notes_its_attempt_and_no_more(late: Attempt, database: Database) -> None:
    slow = _taken(database)
    quick = _take(database, slow.id, later=_HOUR)
    again_at = database.read(jobqueries.now).replace(microsecond=0) + _HOUR
    first = replace(_BAD, at=EPOCH - 2 * _HOUR)
    assert _record(database, quick, first, again_at)
    before = delivery(database, slow.id)
    assert not _record(database, slow, late)
    assert delivery(database, slow.id) == replace(before, attempts=[first, late])


def test_attempts_stand_in_the_order_in_which_they_were_made(database: Database) -> None:
    slow = _taken(database)
    quick = _take(database, slow.id, later=_HOUR)
    assert _record(database, quick, _GOOD)
    assert not _record(database, slow, _BAD, EPOCH)
    found = delivery(database, slow.id)
    assert found.attempts == [_BAD, _GOOD]
    assert (found.state, found.next_attempt_at, found.tries) == (S.SUCCEEDED, None, 1)


def test_one_that_was_given_up_on_its_way_and_arrived_has_succeeded(database: Database) -> None:
    taken = _taken(database)
    _give_up(database, taken)
    assert not _record(database, taken, _GOOD)
    found = delivery(database, taken.id)
    assert (found.state, found.given_up_because, found.next_attempt_at) == (S.SUCCEEDED, None, None)
    assert found.attempts == [_GOOD]


def test_one_that_was_given_up_on_its_way_and_did_not_arrive_stays_given_up(database: Database) -> None:
    taken = _taken(database)
    _give_up(database, taken)
    assert not _record(database, taken, _BAD, database.read(jobqueries.now))
    found = delivery(database, taken.id)
    assert (found.state, found.given_up_because, found.next_attempt_at) == (S.FAILED, "for a test", None)
    assert found.attempts == [_BAD]


@pytest.mark.parametrize("late", [_GOOD, _BAD])
def test_one_that_is_sent_again_while_it_is_on_its_way_is_sent_again(late: Attempt, database: Database) -> None:
    taken = _taken(database)
    _send_again(database, taken)
    assert not _record(database, taken, late)  # of the tries before: it must not end the new ones
    found = delivery(database, taken.id)
    assert (found.state, found.tries, found.attempts) == (S.PENDING, 0, [late])
    assert _record(database, _take(database, taken.id), _GOOD)
    assert delivery(database, taken.id).state is S.SUCCEEDED
    assert len(delivery(database, taken.id).attempts) == 2


def test_of_a_delivery_that_is_removed_nothing_is_noted(database: Database) -> None:
    taken = _taken(database)
    database.write(lambda connection: connection.execute(sa.delete(deliveries)))
    assert not _record(database, taken, _GOOD)
    assert log(database) == []


@pytest.mark.parametrize("held", [True, False])
def test_the_last_thirty_attempts_are_kept(held: bool, database: Database) -> None:
    one = _taken(database)
    if not held:
        change(database, one.id, next_attempt_at=EPOCH)
    for number in range(32):
        attempt = replace(_BAD, at=EPOCH + number * _HOUR, status=500 + number)
        assert _record(database, one, attempt, one.next_attempt_at) is held
    found = delivery(database, one.id)
    assert found.tries == 32 * held
    assert [one.status for one in found.attempts] == [*range(502, 532)]


def test_of_ten_that_note_the_same_delivery_at_once_no_attempt_is_lost(database: Database) -> None:
    taken = _taken(database)
    start = Barrier(10, timeout=30)

    def note(number: int) -> bool:
        start.wait()
        return _record(database, taken, replace(_BAD, status=500 + number), EPOCH)

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(note, range(10))) == 1
    found = delivery(database, taken.id)
    assert sorted(one.status or 0 for one in found.attempts) == [*range(500, 510)]
    assert found.tries == 1


def test_ten_couriers_and_an_owner_that_disable_at_once_get_through_without_a_deadlock(database: Database) -> None:
    endpoint = register(database)
    ids = post(database, *(message(number, endpoint_id=endpoint.id) for number in range(10)))
    taken = [_take(database, id_) for id_ in ids]
    start = Barrier(11, timeout=30)
    faults: list[object] = []
    sa.event.listen(database.engine, "handle_error", lambda context: faults.append(context.original_exception))

    def note(one: Delivery) -> None:
        def write(connection: sa.Connection) -> None:
            endpointstore.disable(connection, endpoint.id, endpointstore.GONE)
            outbox.record(connection, one, _BAD, None)

        start.wait()
        database.write(write)

    def disable() -> None:
        start.wait()
        database.write(lambda connection: endpointstore.disable(connection, endpoint.id, endpointstore.DISABLED))

    with ThreadPoolExecutor(11) as pool:
        for done in [pool.submit(disable), *(pool.submit(note, one) for one in taken)]:
            done.result(60)
    assert faults == []
    assert [(one.state, one.attempts) for one in log(database)] == [(S.FAILED, [_BAD])] * 10
