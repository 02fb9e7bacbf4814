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
from shared.ranges import each, merged, whole, within
from shared.tables import clock, deliveries

_COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]
# literals, not parameters: only then can the planner use the partial indexes
_PENDING = deliveries.c.state == sa.literal_column("'pending'")
_DUE = (deliveries.c.id, deliveries.c.caller, deliveries.c.destination, deliveries.c.next_attempt_at)
_ATTEMPTS_KEPT = 30
_SERVER_MAX = 300
_AT_ONCE = 500
_PASSED_OVER = 100  # due deliveries to destinations that are busy; beyond, each destination is asked by itself
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
    due = sa.select(*_DUE).where(_PENDING, deliveries.c.next_attempt_at <= now).order_by(deliveries.c.next_attempt_at)
    seen = connection.execute(due.limit(_PASSED_OVER + size)).all()
    found = [row for row in seen if row.destination not in without[0] and row.caller not in without[1]]
    if not found and len(seen) == _PASSED_OVER + size:  # thousands wait for servers that are slow or dead
        # by what only those that wait have: the state would lead to the index of all that do
        every = each(deliveries.c.destination, deliveries.c.next_attempt_at.is_not(None)).subquery()
        one = deliveries.alias()
        first = sa.select(one.c.id).where(one.c.destination == every.c.value, one.c.next_attempt_at <= now)
        first = first.order_by(one.c.next_attempt_at).limit(1)
        firsts = connection.scalars(sa.select(first.scalar_subquery()).where(every.c.value.not_in(without[0])))
        rows = connection.execute(sa.select(*_DUE).where(deliveries.c.id.in_([id_ for id_ in firsts if id_])))
        found = sorted((row for row in rows if row.caller not in without[1]), key=lambda row: row.next_attempt_at)
    return [(row.id, row.caller, row.destination) for row in found[:size]]


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
    told = (deliveries.c.created_at >= since, deliveries.c.created_at < until, deliveries.c.event != Event.PING)
    rows = sa.select(deliveries.c.id).where(whole(sa.and_(*told)), deliveries.c.endpoint_id.is_not(None))
    above = max(after, least_id(since, _CLOCKS_APART_SECONDS))
    states = [state] if state else DeliveryState
    prefixes = [{deliveries.c.endpoint_id: endpoint_id, deliveries.c.state: one.value} for one in states]
    ranges = [within(rows, prefix, deliveries.c.id, above, oldest_first=True) for prefix in prefixes]
    return list(connection.scalars(merged(ranges, _AT_ONCE, oldest_first=True)))


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
    ids = merged(_ranges(wanted, [before_id] if before_id else []), size)
    rows = sa.select(*_COLUMNS).where(deliveries.c.id.in_(ids)).order_by(deliveries.c.id.desc())
    return [_delivery_of(row) for row in connection.execute(rows)]


def _ranges(wanted: DeliveryFilter, below: list[str]) -> list[sa.Select[str]]:
    """Selects that together find each delivery of a list once, newest first; what each passes over is little."""
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    found, state = sa.select(deliveries.c.id), asked.pop("state", None)
    if {"job_id", "batch_id"} & asked.keys() or not (asked or state):
        few = [deliveries.c[name] == value for name, value in asked.items()]
        if state:  # as an expression: the index of all in this state is not for it
            few.append(sa.func.coalesce(deliveries.c.state, "") == state)
        return [found.where(*few, *(deliveries.c.id < one for one in below)).order_by(deliveries.c.id.desc())]
    leading = [name for name in ("endpoint_id", "caller") if name in asked][:1]
    prefix = {deliveries.c[name]: asked.pop(name) for name in leading}
    found = found.where(*(column.is_not(None) for column in prefix))  # as a partial index is
    for name, value in asked.items():  # a webhook has one owner: PostgreSQL is not to think that few are his
        found = found.where(whole(deliveries.c[name] == value))
    states = [state] if state else DeliveryState
    return [within(found, {**prefix, deliveries.c.state: one}, deliveries.c.id, below=below) for one in states]


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
    old = sa.select(deliveries.c.id).where(deliveries.c.created_at < before, ~_PENDING)
    ids = list(connection.scalars(old.order_by(deliveries.c.created_at).limit(_AT_ONCE)))
    # asked again, of these: one that is sent again meanwhile is not over
    over = sa.func.coalesce(deliveries.c.state, "") != DeliveryState.PENDING
    return connection.execute(sa.delete(deliveries).where(deliveries.c.id.in_(ids), over)).rowcount


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
