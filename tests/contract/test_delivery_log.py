"""Deliveries as their callers list them, send them again by the range, and as retention removes them; everywhere."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared import jobqueries, outbox
from shared.database import Database
from shared.hooks import DeliveryState, Event
from shared.outbox import DeliveryFilter
from shared.tables import deliveries
from tests.contract.told import change, delivery, log, message, post
from tests.shared.make import EPOCH

S = DeliveryState
_DAY = timedelta(days=1)


def _page(database: Database, before_id: str | None = None, size: int = 10, **conditions: Any) -> list[str]:
    found = database.read(lambda connection: outbox.page(connection, DeliveryFilter(**conditions), before_id, size))
    return [one.id for one in found]


def _again(database: Database, since: datetime, until: datetime, state: DeliveryState | None = None) -> int:
    return sum(_pieces(database, since, until, state))


def _pieces(database: Database, since: datetime, until: datetime, state: DeliveryState | None = None) -> Iterator[int]:
    """Sends a range again as the API does; how many each time."""
    last = ""
    while ids := database.read(lambda it, last=last: outbox.in_range(it, "e1", since, until, state, last)):  # type: ignore[misc]
        assert ids == sorted(set(ids))
        assert ids[0] > last
        yield database.write(lambda it, ids=ids: outbox.send_again(it, ids))  # type: ignore[misc]
        last = ids[-1]


def _purge(database: Database, before: datetime) -> int:
    return database.write(lambda connection: outbox.purge(connection, before))


def _posted(database: Database, number: int, state: DeliveryState, **changes: Any) -> list[str]:
    """Deliveries that have come so far, made a day apart from the tests' epoch on."""
    ids = post(database, *(message(one, **changes) for one in range(number)))
    for day, id_ in enumerate(ids):
        change(database, id_, state=state, created_at=EPOCH + day * _DAY, **({} if state is S.PENDING else _OVER))
    return ids


_OVER = {"next_attempt_at": None}


def test_a_list_shows_the_newest_first_and_the_next_page_goes_on(database: Database) -> None:
    ids = post(database, *(message(number) for number in range(25)))[::-1]
    assert ids == sorted(ids, reverse=True)
    walked: list[str] = []
    while page := _page(database, walked[-1] if walked else None):
        walked += page
    assert walked == ids


def test_a_list_shows_what_is_asked_for(database: Database) -> None:
    (failed,) = _posted(database, 1, S.FAILED)
    (succeeded,) = _posted(database, 1, S.SUCCEEDED, caller="key-b", job_id="j")
    (pending,) = _posted(database, 1, S.PENDING, endpoint_id="e1", job_id="j")
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [pending, succeeded, failed]),
        ({"caller": "key-a"}, [pending, failed]),
        ({"job_id": "j"}, [pending, succeeded]),
        ({"job_id": "j", "caller": "key-b"}, [succeeded]),
        ({"endpoint_id": "e1"}, [pending]),
        ({"endpoint_id": "e1", "state": S.FAILED}, []),
        ({"caller": "nobody"}, []),
        *[({"state": state}, [id_]) for state, id_ in zip(S, (pending, succeeded, failed), strict=True)],
        ({"state": S.FAILED, "caller": "key-b"}, []),
        ({"state": S.SUCCEEDED, "caller": "key-b"}, [succeeded]),
    ]
    for conditions, ids in expected:
        assert _page(database, **conditions) == ids, conditions


@pytest.mark.parametrize("state", [None, S.FAILED, S.SUCCEEDED])
def test_a_range_is_sent_again_from_its_first_moment_to_before_its_last(
    state: DeliveryState | None, database: Database
) -> None:
    failed = _posted(database, 4, S.FAILED, endpoint_id="e1")
    succeeded = _posted(database, 4, S.SUCCEEDED, endpoint_id="e1")
    others: list[dict[str, Any]] = [{"endpoint_id": "e2"}, {}, {"endpoint_id": "e1", "event": Event.PING}]
    for other in others:
        _posted(database, 2, S.FAILED, **other)
    (erased,) = _posted(database, 2, S.FAILED, endpoint_id="e1")[1:]
    database.write(lambda connection: outbox.forget(connection, deliveries.c.id == erased))
    waiting = _posted(database, 2, S.PENDING, endpoint_id="e1")
    for id_ in waiting:
        change(database, id_, tries=3)
    in_time = {S.FAILED: failed[1:3], S.SUCCEEDED: succeeded[1:3]}
    again = in_time[state] if state else [*in_time[S.FAILED], *in_time[S.SUCCEEDED], waiting[1]]
    before = {one.id: one for one in log(database)}
    assert _again(database, EPOCH + _DAY, EPOCH + 3 * _DAY, state) == len(again)
    for id_ in again:
        found = delivery(database, id_)
        assert (found.state, found.tries) == (S.PENDING, 0)
        assert found.next_attempt_at
        assert found.next_attempt_at <= database.read(jobqueries.now)
    for id_ in before.keys() - set(again):
        assert delivery(database, id_) == before[id_]


@pytest.mark.parametrize("state", [None, S.FAILED])
def test_a_long_range_is_sent_again_in_pieces_each_of_them_once(
    state: DeliveryState | None, database: Database
) -> None:
    before = database.read(jobqueries.now)
    ids = post(database, *(message(number, endpoint_id="e1") for number in range(1200)))
    failed = sa.update(deliveries).values(state=S.FAILED, next_attempt_at=None, tries=10)
    database.write(lambda connection: connection.execute(failed))
    after = database.read(jobqueries.now) + _DAY
    assert [*_pieces(database, before, after, state)] == [500, 500, 200]
    assert [(one.id, one.state, one.tries) for one in log(database)] == [(id_, S.PENDING, 0) for id_ in ids]
    assert [*_pieces(database, before, after, S.FAILED)] == []


def test_what_is_old_and_over_is_removed_and_what_waits_never(database: Database) -> None:
    failed, succeeded, pending = (_posted(database, 3, state) for state in (S.FAILED, S.SUCCEEDED, S.PENDING))
    assert _purge(database, EPOCH) == 0
    assert _purge(database, EPOCH + 2 * _DAY) == 4
    assert [one.id for one in log(database)] == sorted([failed[2], succeeded[2], *pending])
    assert _purge(database, EPOCH + 999 * _DAY) == 2
    assert [one.id for one in log(database)] == pending


def test_one_that_is_sent_again_while_old_ones_are_removed_stays(database: Database) -> None:
    (id_,) = _posted(database, 1, S.FAILED)
    begun: list[int] = []

    def send_again_first(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM deliveries") and not begun:
            begun.append(1)
            if connection.dialect.name == "sqlite":  # nobody else can write meanwhile: the purge itself stands for them
                outbox.send_again(connection, [id_])
            else:
                database.write(lambda other: outbox.send_again(other, [id_]))

    sa.event.listen(database.engine, "before_cursor_execute", send_again_first)
    assert _purge(database, EPOCH + _DAY) == 0
    assert begun
    assert delivery(database, id_).state is S.PENDING


def test_so_much_is_removed_at_once_that_nobody_waits_for_it(database: Database) -> None:
    post(database, *(message(number) for number in range(501)))
    database.write(lambda connection: connection.execute(sa.update(deliveries).values(state=S.SUCCEEDED)))
    later = database.read(jobqueries.now) + _DAY
    assert [_purge(database, later) for _ in range(3)] == [500, 1, 0]
