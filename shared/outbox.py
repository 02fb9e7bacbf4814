"""Deliveries in SQL: written beside what they tell of, taken when due, and every attempt noted.

Every function works on the caller's connection and never commits; the caller holds the transaction
(`Database.write`). `worker.delivery` sends them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import uuid_utils

from shared.hooks import Attempt, Delivery, DeliveryState, Event
from shared.jobqueries import least_id
from shared.tables import clock, deliveries

_COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]
# literals, not parameters: only then can the planner use the partial indexes
_PENDING = deliveries.c.state == sa.literal_column("'pending'")
_UNSUCCEEDED = deliveries.c.state != sa.literal_column("'succeeded'")
_ATTEMPTS_KEPT = 30
_SERVER_MAX = 300
_AT_ONCE = 500
_CLOCKS_APART_SECONDS = 300  # ids are made by the writer's clock, times by the database's


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
class DeliveryFilter:
    """Which deliveries a list shows; None sets no condition."""

    caller: str | None = None
    state: DeliveryState | None = None
    endpoint_id: str | None = None
    job_id: str | None = None
    batch_id: str | None = None


def add(connection: sa.Connection, messages: Sequence[Message]) -> list[str]:
    """Writes deliveries that are due at once; returns their ids."""
    rows = [
        {
            **asdict(message),
            "id": uuid_utils.uuid7().hex,
            "destination": f"{message.caller} {_server(message.url)}",
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
    """Notes an attempt, and what follows from it; False when the delivery is not held any more as it was taken.

    Then the attempt stands in the log, no more: unless it succeeded where the delivery has failed meanwhile.

    Args:
        again_at: when to try again; None: no more.
    """
    this = deliveries.c.id == delivery.id
    found = connection.execute(sa.select(*_COLUMNS).where(this).with_for_update()).first()
    if found is None:
        return False
    present = _delivery_of(found)
    held = present.state is DeliveryState.PENDING and present.next_attempt_at == delivery.next_attempt_at
    attempts = sorted([*present.attempts, attempt], key=lambda one: one.at)[-_ATTEMPTS_KEPT:]
    values: dict[str, Any] = {"attempts": [_as_json(one) for one in attempts]}
    if attempt.succeeded and (held or present.state is DeliveryState.FAILED):
        values |= {"state": DeliveryState.SUCCEEDED, "next_attempt_at": None, "given_up_because": None}
    elif held:
        values |= {"state": DeliveryState.PENDING if again_at else DeliveryState.FAILED, "next_attempt_at": again_at}
    if held:
        values["tries"] = present.tries + 1
    connection.execute(sa.update(deliveries).where(this).values(**values))
    return held


def give_up(connection: sa.Connection, delivery_id: str, because: str) -> None:
    """Ends a delivery that waits to be sent, without another attempt."""
    ended = sa.update(deliveries).where(_PENDING, deliveries.c.id == delivery_id)
    connection.execute(ended.values(state=DeliveryState.FAILED, next_attempt_at=None, given_up_because=because))


def in_range(
    connection: sa.Connection,
    endpoint_id: str,
    since: datetime,
    until: datetime,
    state: DeliveryState | None,
    after: str,
) -> list[str]:
    """Some of what a registered webhook was to be told within a time, by id; pings are left out.

    Args:
        state: only those that stand there; None: all, those too that wait for their next attempt.
        after: the last id of those before.
    """
    rows = sa.select(deliveries.c.id).where(
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.id > max(after, least_id(since, _CLOCKS_APART_SECONDS)),
        deliveries.c.created_at >= since,
        deliveries.c.created_at < until,
        deliveries.c.event != Event.PING,
        *([deliveries.c.state == state] if state else []),
    )
    return list(connection.scalars(rows.order_by(deliveries.c.id).limit(_AT_ONCE)))


def send_again(connection: sa.Connection, ids: Sequence[str]) -> int:
    """Makes deliveries due at once, with all attempts before them; returns how many. What was erased is not sent."""
    mine = sa.select(deliveries.c.id).where(deliveries.c.id.in_(ids), deliveries.c.payload.is_not(None))
    mine = mine.order_by(deliveries.c.id).with_for_update()
    again = sa.update(deliveries).where(deliveries.c.id.in_(mine.scalar_subquery()))
    fresh = {"state": DeliveryState.PENDING, "next_attempt_at": clock(), "tries": 0, "given_up_because": None}
    return connection.execute(again.values(**fresh)).rowcount


def get(connection: sa.Connection, delivery_id: str) -> Delivery | None:
    """The delivery with this id."""
    row = connection.execute(sa.select(*_COLUMNS).where(deliveries.c.id == delivery_id)).first()
    return None if row is None else _delivery_of(row)


def require(connection: sa.Connection, delivery_id: str) -> Delivery:
    """The same, of one that is there."""
    return _delivery_of(connection.execute(sa.select(*_COLUMNS).where(deliveries.c.id == delivery_id)).one())


def page(connection: sa.Connection, wanted: DeliveryFilter, before_id: str | None, size: int) -> list[Delivery]:
    """The newest `size` deliveries of a list.

    Args:
        before_id: only those with smaller ids: the last id of the page before.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    if before_id is not None:
        conditions.append(deliveries.c.id < before_id)
    if wanted.caller is not None:
        conditions.append(deliveries.c.caller == wanted.caller)
    if wanted.state is not None:
        conditions.append(deliveries.c.state == sa.literal_column(f"'{wanted.state.value}'"))
        if wanted.state is not DeliveryState.SUCCEEDED:
            conditions.append(_UNSUCCEEDED)
    if wanted.endpoint_id is not None:
        conditions.append(deliveries.c.endpoint_id == wanted.endpoint_id)
    if wanted.job_id is not None:
        conditions.append(deliveries.c.job_id == wanted.job_id)
    if wanted.batch_id is not None:
        conditions.append(deliveries.c.batch_id == wanted.batch_id)
    rows = sa.select(*_COLUMNS).where(*conditions).order_by(deliveries.c.id.desc()).limit(size)
    return [_delivery_of(row) for row in connection.execute(rows)]


def late_seconds(connection: sa.Connection) -> float:
    """How long the delivery that is due for longest has been due."""
    first = sa.select(deliveries.c.next_attempt_at).where(_PENDING).order_by(deliveries.c.next_attempt_at).limit(1)
    now, due_at = connection.execute(sa.select(clock(), first.scalar_subquery())).one()
    return max(0.0, (now - due_at).total_seconds()) if due_at else 0.0


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


def _server(url: str) -> str:
    scheme, _, rest = url.lower().partition("://")
    port = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{re.split('[/?#]', rest)[0].removesuffix(port)}"[:_SERVER_MAX]


def _as_json(attempt: Attempt) -> dict[str, Any]:
    return {**asdict(attempt), "at": attempt.at.isoformat()}
