"""Deliveries in SQL: written beside what they tell of, taken when due, and every attempt noted.

Every function works on the caller's connection and never commits; the caller holds the transaction
(`Database.write`). `worker.delivery` sends them.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import uuid_utils

from shared.hooks import Attempt, Delivery, DeliveryState, Event
from shared.tables import clock, deliveries

_COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]
# literals, not parameters: only then can the planner use the partial indexes
_PENDING = deliveries.c.state == sa.literal_column("'pending'")
_UNSUCCEEDED = deliveries.c.state != sa.literal_column("'succeeded'")
_ATTEMPTS_KEPT = 30
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Message:
    """What one address is to be told."""

    message_id: str
    event: Event
    caller: str
    endpoint_id: str | None
    url: str
    payload: str
    job_id: str | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Which deliveries a list shows; None sets no condition."""

    caller: str | None = None
    state: DeliveryState | None = None
    endpoint_id: str | None = None
    job_id: str | None = None


def add(connection: sa.Connection, messages: Sequence[Message]) -> list[str]:
    """Writes deliveries that are due at once; returns their ids."""
    rows = [
        {
            **asdict(message),
            "id": uuid_utils.uuid7().hex,
            "destination": destination(message.caller, message.url),
            "state": DeliveryState.PENDING,
            "attempts": [],
        }
        for message in messages
    ]
    if rows:
        connection.execute(sa.insert(deliveries).values(created_at=clock(), next_attempt_at=clock()), rows)
    return [row["id"] for row in rows]


def ping_id() -> str:
    """An id for a message that tells of no job."""
    return f"ping-{uuid_utils.uuid7().hex}"


def destination(caller: str, url: str) -> str:
    """What is slow or dead together: the server that a caller's address names."""
    parts = urlsplit(url)
    return f"{caller} {parts.scheme}://{parts.netloc}"[:400]


def due(
    connection: sa.Connection, now: datetime, without: tuple[Collection[str], Collection[str]], size: int
) -> list[tuple[str, str, str]]:
    """Ids, callers and destinations of deliveries to be sent now, the longest due first.

    Args:
        without: destinations to which, and callers for whom, enough is on its way.
    """
    columns = (deliveries.c.id, deliveries.c.caller, deliveries.c.destination)
    destinations, callers = without
    rows = sa.select(*columns).where(_PENDING, deliveries.c.next_attempt_at <= now)
    rows = rows.where(deliveries.c.destination.not_in(destinations), deliveries.c.caller.not_in(callers))
    found = connection.execute(rows.order_by(deliveries.c.next_attempt_at).limit(size))
    return [(row.id, row.caller, row.destination) for row in found]


def take(connection: sa.Connection, ids: Sequence[str], now: datetime, until: datetime) -> list[Delivery]:
    """Those of these deliveries that are still due; nobody else takes them before `until`."""
    mine = sa.select(deliveries.c.id).where(deliveries.c.id.in_(ids), _PENDING, deliveries.c.next_attempt_at <= now)
    mine = mine.order_by(deliveries.c.id).with_for_update(skip_locked=True)
    taken = sa.update(deliveries).where(deliveries.c.id.in_(mine.scalar_subquery()))
    rows = connection.execute(taken.values(next_attempt_at=until).returning(*_COLUMNS))
    return [_delivery_of(row) for row in rows]


def record(connection: sa.Connection, delivery: Delivery, attempt: Attempt, again_at: datetime | None) -> bool:
    """Notes what came of an attempt; False when the delivery is not held any more as it was taken.

    Args:
        again_at: when to try again; None: no more.
    """
    state = DeliveryState.PENDING if again_at else DeliveryState.FAILED
    changed = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery.id, _PENDING, deliveries.c.next_attempt_at == delivery.next_attempt_at)
        .values(
            state=DeliveryState.SUCCEEDED if attempt.succeeded else state,
            next_attempt_at=None if attempt.succeeded else again_at,
            tries=deliveries.c.tries + 1,
            attempts=[_as_json(one) for one in [*delivery.attempts, attempt][-_ATTEMPTS_KEPT:]],
        )
    )
    return changed.rowcount == 1


def give_up(connection: sa.Connection, which: sa.ColumnElement[bool], because: str) -> None:
    """Ends deliveries that wait to be sent, without another attempt."""
    ended = sa.update(deliveries).where(_PENDING, which)
    connection.execute(ended.values(state=DeliveryState.FAILED, next_attempt_at=None, given_up_because=because))


def send_again(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> int:
    """Makes deliveries due at once, with all attempts before them; returns how many. What was erased is not sent."""
    again = sa.update(deliveries).where(deliveries.c.payload.is_not(None), *which)
    fresh = {"state": DeliveryState.PENDING, "next_attempt_at": clock(), "tries": 0, "given_up_because": None}
    return connection.execute(again.values(**fresh)).rowcount


def send_range_again(
    connection: sa.Connection, endpoint_id: str, since: datetime, until: datetime, state: DeliveryState | None
) -> int:
    """The same for what a registered webhook was to be told within a time; pings are left out.

    Args:
        state: only those that stand there; None: all, those too that wait for their next attempt.
    """
    which = [
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.created_at >= since,
        deliveries.c.created_at < until,
        deliveries.c.event != Event.PING,
    ]
    return send_again(connection, *which, *([deliveries.c.state == state] if state else []))


def get(connection: sa.Connection, delivery_id: str) -> Delivery | None:
    """The delivery with this id."""
    row = connection.execute(sa.select(*_COLUMNS).where(deliveries.c.id == delivery_id)).first()
    return None if row is None else _delivery_of(row)


def require(connection: sa.Connection, delivery_id: str) -> Delivery:
    """The same, of one that is there."""
    return _delivery_of(connection.execute(sa.select(*_COLUMNS).where(deliveries.c.id == delivery_id)).one())


def page(connection: sa.Connection, log: Log, before_id: str | None, size: int) -> list[Delivery]:
    """The newest `size` deliveries of a list.

    Args:
        before_id: only those with smaller ids: the last id of the page before.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    if before_id is not None:
        conditions.append(deliveries.c.id < before_id)
    if log.caller is not None:
        conditions.append(deliveries.c.caller == log.caller)
    if log.state is not None:
        conditions.append(deliveries.c.state == sa.literal_column(f"'{log.state.value}'"))
        if log.state is not DeliveryState.SUCCEEDED:
            conditions.append(_UNSUCCEEDED)
    if log.endpoint_id is not None:
        conditions.append(deliveries.c.endpoint_id == log.endpoint_id)
    if log.job_id is not None:
        conditions.append(deliveries.c.job_id == log.job_id)
    rows = sa.select(*_COLUMNS).where(*conditions).order_by(deliveries.c.id.desc()).limit(size)
    return [_delivery_of(row) for row in connection.execute(rows)]


def forget(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Erases what deliveries tell of; those that still wait say no more than that it was erased."""
    connection.execute(sa.update(deliveries).where(which, deliveries.c.payload.is_not(None)).values(payload=None))


def purge(connection: sa.Connection, before: datetime) -> int:
    """Removes some of the deliveries that ended and were made before `before`; returns how many."""
    old = sa.select(deliveries.c.id).where(deliveries.c.created_at < before, ~_PENDING).limit(_AT_ONCE)
    ids = list(connection.scalars(old))
    # asked again: one that is sent again meanwhile is not over
    return connection.execute(sa.delete(deliveries).where(deliveries.c.id.in_(ids), ~_PENDING)).rowcount


def _delivery_of(row: sa.Row[Any]) -> Delivery:
    attempts = [Attempt(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in row.attempts]
    return Delivery(
        **{**row._mapping, "event": Event(row.event), "state": DeliveryState(row.state), "attempts": attempts}
    )


def _as_json(attempt: Attempt) -> dict[str, Any]:
    return {**asdict(attempt), "at": attempt.at.isoformat()}
