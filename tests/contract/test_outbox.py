"""A delivery's life: due, taken by one courier at a time, noted, given up, sent again; on every database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import Attempt, Delivery, DeliveryState
from shared.tables import deliveries
from tests.contract.told import change, delivery, message, post, register
from tests.shared.make import EPOCH

S = DeliveryState
_HOUR = timedelta(hours=1)
_GOOD = Attempt(EPOCH, 12.5, 204)
_BAD = Attempt(EPOCH, 12.5, 500, "answered 500", "Sorry, ñ \U0001f342", 3.5)


def _now(database: Database) -> datetime:
    return database.read(jobqueries.now)


def _due(database: Database, *, later: timedelta = timedelta(), without: Any = ((), ()), size: int = 100) -> list[str]:
    now = _now(database) + later
    return [id_ for id_, _, _ in database.read(lambda it: outbox.due(it, now, without, size))]


def _take(database: Database, *ids: str, later: timedelta = timedelta()) -> list[Delivery]:
    now = _now(database) + later
    return database.write(lambda it: outbox.take(it, ids, now, now + timedelta(seconds=30)))


def _record(database: Database, one: Delivery, attempt: Attempt = _BAD, again_at: datetime | None = None) -> bool:
    return database.write(lambda connection: outbox.record(connection, one, attempt, again_at))


def _send_again(database: Database, delivery_id: str) -> int:
    return database.write(lambda connection: outbox.send_again(connection, [delivery_id]))


def _posted(database: Database, number: int, **changes: Any) -> list[str]:
    return post(database, *(message(one, **changes) for one in range(number)))


def test_what_is_written_is_due_at_once_the_longest_due_first(database: Database) -> None:
    first, second, third = _posted(database, 3)
    change(database, third, next_attempt_at=EPOCH)
    change(database, first, next_attempt_at=_now(database) + _HOUR)
    assert _due(database) == [third, second]
    assert _due(database, size=1) == [third]
    assert _due(database, later=2 * _HOUR) == [third, second, first]


def test_what_goes_to_full_destinations_or_is_of_crowding_callers_is_passed_over(database: Database) -> None:
    one, two = (post(database, message(url=f"https://{name}.example/x"))[0] for name in ("one", "two"))
    (other,) = post(database, message(url="https://one.example/x", caller="key-b"))
    full = delivery(database, one).destination
    assert _due(database, without=([full], [])) == [two, other]
    assert _due(database, without=([], ["key-a"])) == [other]
    assert _due(database, without=([full], ["key-b"])) == [two]
    assert _due(database) == [one, two, other]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://one.example/a?b=c", "https://one.example"),
        ("HTTPS://One.EXAMPLE:443/A", "https://one.example"),
        ("http://one.example:80", "http://one.example"),
        ("https://one.example:8443/a", "https://one.example:8443"),
        ("https://[2606:4700::1111]:443/a", "https://[2606:4700::1111]"),
        ("https://one.example#a", "https://one.example"),
    ],
)
def test_a_destination_is_a_callers_server_however_it_is_written(url: str, server: str, database: Database) -> None:
    (id_,) = post(database, message(url=url))
    assert delivery(database, id_).destination == f"key-a {server}"


def test_one_that_is_taken_comes_back_when_its_time_has_passed(database: Database) -> None:
    (id_,) = _posted(database, 1)
    (taken,) = _take(database, id_)
    assert (taken.id, taken.message_id, taken.payload, taken.tries) == (id_, "m0-3", "{}", 0)
    assert _due(database) == _take(database, id_) == []
    assert _due(database, later=timedelta(seconds=31)) == [id_]
    assert [one.id for one in _take(database, id_, later=timedelta(seconds=31))] == [id_]


def test_two_couriers_never_take_the_same_delivery(database: Database) -> None:
    ids = _posted(database, 60)
    start = Barrier(4, timeout=30)

    def courier(_: int) -> list[str]:
        start.wait()
        return [one.id for at in range(0, 60, 12) for one in _take(database, *ids[at : at + 12])]

    with ThreadPoolExecutor(4) as pool:
        taken = [id_ for mine in pool.map(courier, range(4)) for id_ in mine]
    taken += [one.id for one in _take(database, *ids)]  # what all four passed over because another held it
    assert sorted(taken) == ids


def test_an_attempt_is_noted_as_it_was(database: Database) -> None:
    (id_,) = _posted(database, 1)
    again_at = _now(database).replace(microsecond=5) + _HOUR
    assert _record(database, *_take(database, id_), _BAD, again_at)
    found = delivery(database, id_)
    assert (found.state, found.tries, found.attempts) == (S.PENDING, 1, [_BAD])
    assert found.next_attempt_at == again_at
    assert _record(database, *_take(database, id_, later=2 * _HOUR), _GOOD)
    found = delivery(database, id_)
    assert (found.state, found.tries, found.attempts) == (S.SUCCEEDED, 2, [_BAD, _GOOD])
    assert found.next_attempt_at is None


def test_after_the_last_attempt_a_delivery_has_failed(database: Database) -> None:
    (id_,) = _posted(database, 1)
    assert _record(database, *_take(database, id_))
    assert (delivery(database, id_).state, delivery(database, id_).next_attempt_at) == (S.FAILED, None)
    assert _due(database, later=999 * _HOUR) == []


def test_giving_up_ends_only_what_waits(database: Database) -> None:
    waiting, another, delivered, failed = _posted(database, 4)
    _record(database, *_take(database, delivered), _GOOD)
    _record(database, *_take(database, failed))
    before = [delivery(database, id_) for id_ in (another, delivered, failed)]
    for id_ in (waiting, delivered, failed):
        database.write(lambda connection, id_=id_: outbox.give_up(connection, id_, "for a test"))
    found = delivery(database, waiting)
    assert (found.state, found.given_up_because, found.next_attempt_at) == (S.FAILED, "for a test", None)
    assert [delivery(database, id_) for id_ in (another, delivered, failed)] == before


@pytest.mark.parametrize("end", [_GOOD, _BAD])
def test_one_that_is_sent_again_is_due_at_once_and_keeps_its_id_and_its_attempts(
    end: Attempt, database: Database
) -> None:
    (id_,) = _posted(database, 1)
    _record(database, *_take(database, id_), end)
    assert _send_again(database, id_) == 1
    found = delivery(database, id_)
    assert (found.state, found.tries, found.attempts, found.message_id) == (S.PENDING, 0, [end], "m0-3")
    assert _due(database) == [id_]
    _record(database, *_take(database, id_), _GOOD)
    assert delivery(database, id_).attempts == [end, _GOOD]


def test_what_was_erased_is_not_sent_again(database: Database) -> None:
    erased, kept = _posted(database, 2)
    database.write(lambda connection: outbox.forget(connection, deliveries.c.id == erased))
    assert [_send_again(database, id_) for id_ in (erased, kept)] == [0, 1]
    assert [delivery(database, id_).payload for id_ in (erased, kept)] == [None, "{}"]


def test_a_webhook_that_is_disabled_or_removed_leaves_its_deliveries_to_the_courier(database: Database) -> None:
    one, two = (register(database, f"https://{number}.example/") for number in range(2))
    ids = [post(database, message(endpoint_id=endpoint.id))[0] for endpoint in (one, two)]
    before = [delivery(database, id_) for id_ in ids]
    database.write(lambda connection: endpointstore.disable(connection, one.id, "answered 410"))
    database.write(lambda connection: endpointstore.remove(connection, two.id))
    assert [delivery(database, id_) for id_ in ids] == before
    assert _due(database) == ids


def test_how_late_the_courier_is_is_known(database: Database) -> None:
    assert database.read(outbox.late_seconds) == 0
    first, second, over = _posted(database, 3)
    change(database, first, next_attempt_at=_now(database) - _HOUR)
    change(database, second, next_attempt_at=_now(database) - _HOUR / 2)
    change(database, over, next_attempt_at=EPOCH, state=S.FAILED)
    assert 3600 <= database.read(outbox.late_seconds) < 3700
    change(database, first, next_attempt_at=_now(database) + _HOUR)
    assert 1800 <= database.read(outbox.late_seconds) < 1900
    change(database, second, next_attempt_at=_now(database) + _HOUR)
    assert database.read(outbox.late_seconds) == 0
