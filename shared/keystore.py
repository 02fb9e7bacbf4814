"""API keys in SQL: made, listed, rotated and revoked.

Every function works on the caller's connection and never commits; the caller holds the transaction
(`Database.write`). No key is here, only SHA-256 digests. A slow hash would protect passwords, which people choose
and which can be tried one after the other; a key of 256 random bits is beyond trying, however fast the hash.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared.jobs import ApiKey, Scope
from shared.tables import clock, keys

_BETWEEN_SCOPES = " "


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of the table: what may be known of the key, and by which digests it is recognised."""

    key: ApiKey
    digest: str
    former_digest: str | None  # the secret before the last rotation,
    former_until: datetime | None  # valid until then


def add(connection: sa.Connection, key: ApiKey, digest: str) -> None:
    """Stores a new key."""
    connection.execute(
        sa.insert(keys).values(
            id=key.id,
            name=key.name,
            digest=digest,
            scopes=_BETWEEN_SCOPES.join(sorted(key.scopes)),
            rate_per_minute=key.rate_per_minute,
            images_per_day=key.images_per_day,
            created_at=clock(),
        )
    )


def load(connection: sa.Connection) -> list[StoredKey]:
    """Every key that was ever made, oldest first, the revoked ones too."""
    rows = connection.execute(sa.select(keys).order_by(keys.c.created_at, keys.c.id)).mappings()
    return [_stored(row) for row in rows]


def any_live(connection: sa.Connection) -> bool:
    """Whether a key was made and not revoked."""
    return connection.execute(sa.select(keys.c.id).where(keys.c.revoked_at.is_(None)).limit(1)).first() is not None


def revoke(connection: sa.Connection, key_id: str) -> bool:
    """Ends a key with all its secrets; False when there is no such key, or it has ended already."""
    return _change(connection, key_id, revoked_at=clock())


def rotate(connection: sa.Connection, key_id: str, digest: str, overlap_seconds: float) -> bool:
    """Gives a key another secret; False when there is no such key, or it has been revoked.

    Args:
        overlap_seconds: for so long the secret until now stays valid beside the new one; one that was still valid from
            an earlier rotation ends at once.
    """
    if overlap_seconds <= 0:
        return _change(connection, key_id, digest=digest, former_digest=None, former_until=None)
    return _change(
        connection, key_id, digest=digest, former_digest=keys.c.digest, former_until=clock(plus_seconds=overlap_seconds)
    )


def _change(connection: sa.Connection, key_id: str, **values: Any) -> bool:
    live = sa.update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
    return connection.execute(live.values(**values)).rowcount == 1


def _stored(row: sa.RowMapping) -> StoredKey:
    scopes = row["scopes"].split(_BETWEEN_SCOPES)
    key = ApiKey(
        id=row["id"],
        name=row["name"],
        scopes=frozenset(scope for scope in Scope if scope in scopes),
        rate_per_minute=row["rate_per_minute"],
        images_per_day=row["images_per_day"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
    return StoredKey(key, row["digest"], row["former_digest"], row["former_until"])
