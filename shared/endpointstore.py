"""Registered webhooks in SQL: made, listed, disabled, given another secret; nothing here commits (`Database.write`).

A caller's row without an address holds the secret that signs deliveries to the addresses that come with its jobs.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
import uuid_utils

from shared.hooks import Endpoint, Event, new_secret
from shared.tables import clock, endpoints, insert_unless_there

DISABLED, GONE, REMOVED = "disabled by its owner", "the receiver answered 410 Gone", "the webhook was removed"
_COLUMNS = [endpoints.c[name] for name in Endpoint.__dataclass_fields__]
REGISTERED = endpoints.c.url.is_not(None)


def add(connection: sa.Connection, caller: str, url: str, events: Sequence[Event], secret: str) -> Endpoint:
    """Registers a webhook."""
    id_ = uuid_utils.uuid7().hex
    row = {"id": id_, "caller": caller, "url": url, "events": ",".join(events), "secret": secret}
    connection.execute(sa.insert(endpoints).values(**row, created_at=clock()))
    return _only(connection, endpoints.c.id == id_)


def hold(connection: sa.Connection, caller: str) -> None:
    """Lets nobody else register for this caller until the transaction ends, so that what was looked up stays true."""
    default = default_of(connection, caller)
    connection.execute(sa.select(endpoints.c.id).where(endpoints.c.id == default.id).with_for_update())


def get(connection: sa.Connection, endpoint_id: str) -> Endpoint | None:
    """The webhook with this id."""
    row = connection.execute(sa.select(*_COLUMNS).where(endpoints.c.id == endpoint_id)).first()
    return None if row is None else _endpoint_of(row)


def signer(connection: sa.Connection, endpoint_id: str | None, caller: str) -> Endpoint | None:
    """The webhook with this id; without one, what signs for the addresses that come with this caller's jobs."""
    if endpoint_id is not None:
        return get(connection, endpoint_id)
    row = connection.execute(sa.select(*_COLUMNS).where(endpoints.c.caller == caller, ~REGISTERED)).first()
    return None if row is None else _endpoint_of(row)


def default_of(connection: sa.Connection, caller: str) -> Endpoint:
    """What signs for the addresses that come with this caller's jobs; made when it is first asked for."""
    if (found := signer(connection, None, caller)) is not None:
        return found
    entries = {"id": uuid_utils.uuid7().hex, "caller": caller, "events": "", "secret": new_secret()}
    connection.execute(insert_unless_there(connection, endpoints).values(**entries, created_at=clock()))
    return _only(connection, endpoints.c.caller == caller, ~REGISTERED)


def of_caller(connection: sa.Connection, caller: str | None) -> list[Endpoint]:
    """The webhooks that a caller has registered, oldest first; None: everybody's."""
    rows = sa.select(*_COLUMNS).where(REGISTERED).order_by(endpoints.c.id)
    mine = rows if caller is None else rows.where(endpoints.c.caller == caller)
    return [_endpoint_of(row) for row in connection.execute(mine)]


def live_of(connection: sa.Connection, callers: Collection[str]) -> list[Endpoint]:
    """The webhooks of these callers that are to be told."""
    live = (endpoints.c.caller.in_(callers), REGISTERED, endpoints.c.disabled_at.is_(None))
    return [_endpoint_of(row) for row in connection.execute(sa.select(*_COLUMNS).where(*live))]


def disable(connection: sa.Connection, endpoint_id: str, because: str) -> None:
    """Writes no more for a webhook; what waits to be sent to it is given up when its time comes."""
    disabled = sa.update(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.disabled_at.is_(None))
    connection.execute(disabled.values(disabled_at=clock(), disabled_because=because))


def enable(connection: sa.Connection, endpoint_id: str) -> None:
    """Goes on with what happens from now on."""
    enabled = sa.update(endpoints).where(endpoints.c.id == endpoint_id)
    connection.execute(enabled.values(disabled_at=None, disabled_because=None))


def rotate(connection: sa.Connection, endpoint_id: str, secret: str, overlap_seconds: float) -> bool:
    """Gives a webhook another secret; for so long the one until now signs, too.

    Returns:
        False, and nothing is changed, when this would end before its time a former secret that still signs; only an
        overlap of 0 does that. The secret that signs already stays with the former one as it is.
    """
    columns = endpoints.c
    rotated = sa.update(endpoints).where(columns.id == endpoint_id)
    if overlap_seconds <= 0:
        connection.execute(rotated.values(secret=secret, former_secret=None, former_until=None))
        return True
    # asked in the statement itself: of two rotations at once the later one sees what the earlier has done
    alone = sa.or_(columns.former_until.is_(None), columns.former_until <= clock())
    former = {"former_secret": columns.secret, "former_until": clock(plus_seconds=overlap_seconds)}
    done = connection.execute(rotated.where(alone, columns.secret != secret).values(secret=secret, **former))
    signs = sa.select(columns.id).where(columns.id == endpoint_id, columns.secret == secret)
    return done.rowcount == 1 or connection.execute(signs).first() is not None


def remove(connection: sa.Connection, endpoint_id: str) -> None:
    """Forgets a webhook; what was sent to it stays in the log, what waits is given up when its time comes."""
    connection.execute(sa.delete(endpoints).where(endpoints.c.id == endpoint_id))


def _only(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Endpoint:
    return _endpoint_of(connection.execute(sa.select(*_COLUMNS).where(*conditions)).one())


def _endpoint_of(row: sa.Row[Any]) -> Endpoint:
    names = row.events.split(",")
    events = tuple(event for event in Event if event in names)  # a name of a later version is none of ours
    return Endpoint(**{**row._mapping, "events": events})
